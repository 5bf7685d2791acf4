"""The installation's keys: one signs all that we hand out, one is over the keys of all photographs."""

import base64
import os
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

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
    create_file(settings.MASTER_KEY_FILE, _new_master_key())


def _new_master_key() -> bytes:
    return base64.b64encode(os.urandom(MASTER_BYTES)) + b"\n"


def master_key() -> bytes:
    """The key that subjects' keys are wrapped by from now on; ValueError says how to make one.

    Read each time: a process that remembered it would go on wrapping by a key that is about to be retired.
    """
    return master_keys()[0]


def master_keys() -> tuple[bytes, ...]:
    """Every key that may have wrapped a subject's key: while the master key is replaced two, the coming one first."""
    coming = _read_master_key(coming_master_key_file())  # first: it takes the other's place, never the other way round
    current = _read_master_key(settings.MASTER_KEY_FILE)
    if current is None:
        raise ValueError(f"no master key at {settings.MASTER_KEY_FILE}: run `manage.py create_signing_key`")
    return (coming, current) if coming not in (None, current) else (current,)


def _read_master_key(path: Path) -> bytes | None:
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except FileNotFoundError:
        return None
    if len(key) != MASTER_BYTES:
        raise ValueError(f"{path} holds no master key: it has to be {MASTER_BYTES} bytes in base64")
    return key


# --- Replacing the master key --------------------------------------------------------------------


def coming_master_key_file() -> Path:
    """Beside the master key's: the one that replaces it, as long as that takes."""
    path = settings.MASTER_KEY_FILE
    return path.with_name(f"{path.name}.new")


def prepare_master_key() -> None:
    """Make the coming master key unless there is one: from then on every process wraps by it and reads by both."""
    path = coming_master_key_file()
    written = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    create_file(written, _new_master_key())
    with suppress(FileExistsError, FileNotFoundError):
        os.link(written, path)  # whole or not at all, and never over another
    for left in path.parent.glob(f"{path.name}.*"):  # our own, and what was killed before it got here
        left.unlink(missing_ok=True)


def retire_master_key() -> None:
    """Put the coming master key in the place of the old one, which is gone with that. Done before, it stays done."""
    with suppress(FileNotFoundError):
        coming_master_key_file().replace(settings.MASTER_KEY_FILE)
