"""What we add to allauth's accounts."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.http import HttpRequest
from django.utils import timezone

from consent.models import User


class AccountAdapter(DefaultAccountAdapter):
    """Keeps when an address was confirmed: it is evidence for signatures, and allauth forgets it."""

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> Any:
        confirmed = super().confirm_email(request, email_address)
        if confirmed:
            User.objects.filter(pk=email_address.user_id).update(email_verified_at=timezone.now())
        return confirmed
