"""The installation's keys: one signs all that we hand out, one is over the keys of all photographs."""

import base64
import os
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from consent.signing import create_file, load_key

MASTER_BYTES = 32


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


def create_master_key() -> None:
    """Write a new master key to settings.MASTER_KEY_FILE (base64, mode 0600) unless one is there."""
    create_file(settings.MASTER_KEY_FILE, base64.b64encode(os.urandom(MASTER_BYTES)) + b"\n")


@lru_cache(maxsize=1)
def master_key() -> bytes:
    """The key of settings.MASTER_KEY_FILE; ValueError says how to make one."""
    path = settings.MASTER_KEY_FILE
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except FileNotFoundError:
        raise ValueError(f"no master key at {path}: run `manage.py create_signing_key`") from None
    if len(key) != MASTER_BYTES:
        raise ValueError(f"{path} holds no master key: it has to be {MASTER_BYTES} bytes in base64")
    return key
