"""Second factors: staff must have one (settings.STAFF_MFA), everybody may."""

import base64
import hashlib

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.utils import is_mfa_enabled
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from consent.models import User

CONTEXT = b"likeness second factors\0"


class MFAAdapter(DefaultMFAAdapter):
    """Keeps authenticator secrets encrypted under the installation's SECRET_KEY: a copied database signs nobody in."""

    def encrypt(self, text: str) -> str:
        return _cipher(settings.SECRET_KEY).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The secret; an empty one, which no code fits, if SECRET_KEY was replaced meanwhile."""
        for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
            try:
                return _cipher(key).decrypt(encrypted_text.encode()).decode()
            except InvalidToken:
                continue
        return ""


def _cipher(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(CONTEXT + key.encode()).digest()))


def lacks_second_factor(user: User) -> bool:
    """True for staff who must set up a second factor before they see anything."""
    return settings.STAFF_MFA and not is_mfa_enabled(user)
