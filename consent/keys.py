"""The installation's signing key, and what is derived from it."""

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from consent.signing import load_key


@lru_cache(maxsize=1)
def signing_key() -> Ed25519PrivateKey:
    """The private key of settings.SIGNING_KEY_FILE; ValueError says how to make one."""
    return load_key(settings.SIGNING_KEY_FILE)


def public_key() -> Ed25519PublicKey:
    """The key that everybody checks with."""
    return signing_key().public_key()


def derived_key(purpose: str) -> bytes:
    """32 secret bytes for one purpose, which lie outside the database and lead back to no other key."""
    secret = signing_key().private_bytes_raw()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"likeness: {purpose}".encode()).derive(secret)
