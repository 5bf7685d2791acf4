"""Deleting one's account: what goes, what stays, and the password once more."""

import logging
import uuid

from allauth.account.models import EmailAddress
from allauth.core import ratelimit
from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache

from consent import accounts
from consent.mailing import absolute, try_to_send, write_mail
from consent.models import Contributor, User, Withdrawal
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import contributor_required

logger = logging.getLogger(__name__)


class DeleteAccountForm(forms.Form):
    """The password, if the account has one: a phone that lies about must not be enough."""

    password = forms.CharField(
        label="Your password",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": "Please type your password: it shows that it is you."},
    )

    def __init__(self, data: dict[str, str] | None = None, *, user: User) -> None:
        super().__init__(data)
        self.user = user
        if not user.has_usable_password():
            del self.fields["password"]

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise forms.ValidationError("That is not your password. Nothing was deleted.")
        return password


@form_page
@never_cache
@contributor_required
def account_delete(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    user = contributor.user
    assert user is not None  # noqa: S101  # contributor_required came by way of it
    form = DeleteAccountForm(request.POST if request.method == "POST" else None, user=user)
    if request.method == "POST" and not ratelimit.consume(request, action="reauthenticate", user=user):
        form.add_error(None, "That was tried too often. Nothing was deleted. Please wait a minute and try again.")
    if request.method == "POST" and form.is_valid():
        address = EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True).first()
        try:
            act = accounts.delete_account(contributor=contributor)
        except Refused as refused:
            form.add_error(None, str(refused))
        else:
            logout(request)
            return _goodbye(request, address, act)
    return render(request, "consent/account_delete.html", {"form": form})


def _goodbye(request: HttpRequest, address: str | None, act: uuid.UUID) -> HttpResponse:
    """To the certificate; to the start page if nothing was permitted any more, so that there is none."""
    if not Withdrawal.objects.filter(act=act).exists():
        messages.success(request, "Your account is deleted.")
        return redirect("home")
    certificate = absolute("certificate", act)
    _mail_goodbye(address, certificate)
    messages.success(request, "Your account is deleted. Keep the address of this page: it needs no account.")
    return redirect(certificate)


def _mail_goodbye(address: str | None, certificate: str) -> None:
    """The last mail. If it cannot be sent, the page that follows has the same address; nobody is left to try again."""
    if address:
        body = render_to_string("consent/mail/account_deleted.txt", {"certificate": certificate})
        subject = "Likeness: your account is deleted"
        try_to_send(write_mail(subject, body, [address]).send, what="a deleted account's last mail")
