"""What we add to allauth's accounts."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.mail import EmailMessage
from django.http import HttpRequest
from django.utils import timezone

from consent.contact import touch
from consent.models import Contributor, User


class AccountAdapter(DefaultAccountAdapter):
    """Keeps when an address was confirmed: it is evidence for signatures, and allauth forgets it; and who was here."""

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> Any:
        confirmed = super().confirm_email(request, email_address)
        if confirmed:
            User.objects.filter(pk=email_address.user_id).update(email_verified_at=timezone.now())
        return confirmed

    def login(self, request: HttpRequest, user: User) -> None:
        """Signing in is a sign of life: see consent.retention."""
        super().login(request, user)
        if contributor := Contributor.objects.filter(user=user).first():
            touch(contributor=contributor)

    def render_mail(self, *arguments: Any, **more: Any) -> EmailMessage:
        """Whoever answers a mail of allauth's reaches a person, as with ours (consent.mailing)."""
        message: EmailMessage = super().render_mail(*arguments, **more)
        message.reply_to = settings.REPLY_TO_EMAIL
        return message
