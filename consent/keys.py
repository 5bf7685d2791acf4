"""The installation's signing key."""

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

from consent.signing import load_key


@lru_cache(maxsize=1)
def signing_key() -> Ed25519PrivateKey:
    """The private key of settings.SIGNING_KEY_FILE; ValueError says how to make one."""
    return load_key(settings.SIGNING_KEY_FILE)


def public_key() -> Ed25519PublicKey:
    """The key that everybody checks with."""
    return signing_key().public_key()
