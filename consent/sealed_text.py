"""Short secrets in the database, encrypted under the installation's SECRET_KEY: a copied database reveals none."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


def seal_text(text: str, *, context: bytes) -> str:
    """`context` keeps what is sealed for one use from being opened by another."""
    return _cipher(settings.SECRET_KEY, context).encrypt(text.encode()).decode()


def open_text(sealed: str, *, context: bytes) -> str:
    """The text; an empty one if SECRET_KEY was replaced meanwhile and is no longer among the fallbacks."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return _cipher(key, context).decrypt(sealed.encode()).decode()
        except InvalidToken:
            continue
    return ""


def _cipher(key: str, context: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(context + key.encode()).digest()))
