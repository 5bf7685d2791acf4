"""Second factors: staff must have one (settings.STAFF_MFA), everybody may."""

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings

from consent.models import User
from consent.sealed_text import open_text, seal_text

CONTEXT = b"likeness second factors\0"


class MFAAdapter(DefaultMFAAdapter):
    """Keeps authenticator secrets encrypted under the installation's SECRET_KEY: a copied database signs nobody in."""

    def encrypt(self, text: str) -> str:
        return seal_text(text, context=CONTEXT)

    def decrypt(self, encrypted_text: str) -> str:
        """The secret; an empty one, which no code fits, if SECRET_KEY was replaced meanwhile."""
        return open_text(encrypted_text, context=CONTEXT)


def lacks_second_factor(user: User) -> bool:
    """True for staff who must set up a second factor before they see anything."""
    return settings.STAFF_MFA and not is_mfa_enabled(user)
