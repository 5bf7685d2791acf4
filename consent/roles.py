"""Who may do what on the staff pages: Django groups, made by a migration."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache

from consent.mfa import lacks_second_factor
from consent.models import Contributor, User

REVIEWER = "reviewer"
DATA_MANAGER = "data manager"
PROTECTION_OFFICER = "data-protection officer"
FAIRNESS_ANALYST = "fairness analyst"
HARM_OFFICER = "harm officer"  # alone may look at what lists of known harm match
ROLES = (REVIEWER, DATA_MANAGER, PROTECTION_OFFICER, FAIRNESS_ANALYST, HARM_OFFICER)

View = Callable[..., HttpResponseBase]


def has_role(user: User | AnonymousUser, name: str) -> bool:
    """True for active members of the group `name` and for superusers."""
    if isinstance(user, AnonymousUser) or not user.is_active:
        return False
    return user.is_superuser or user.groups.filter(name=name).exists()


def addresses_of(role: str) -> list[str]:
    """The e-mail addresses of every active member of the group `role`."""
    found = User.objects.filter(is_active=True, groups__name=role)
    return list(found.order_by("email").values_list("email", flat=True))


def role_required(*names: str) -> Callable[[View], View]:
    """A view only for people who have one of these roles: others get 403, strangers the sign-in page.

    Staff without a second factor are led to setting one up.
    """

    def decorate(view: View) -> View:
        @never_cache
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not any(has_role(request.user, name) for name in names):
                raise PermissionDenied(f"This page is for people with the role: {', '.join(names)}.")
            if lacks_second_factor(staff_user(request)):
                messages.info(request, "Staff sign in with a second factor. Please set one up before you go on.")
                return redirect("mfa_activate_totp")
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def staff_user(request: HttpRequest) -> User:
    """The person behind a view that `role_required` guards."""
    assert isinstance(request.user, User)  # noqa: S101  # role_required lets nobody else in
    return request.user


def user_required(view: View) -> View:
    """A view for people who are signed in, called with (request, user, …); others get the sign-in page."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return view(request, request.user, *args, **kwargs)

    return guarded


def contributor_required(view: View) -> View:
    """A view for contributors, called with (request, contributor, …); others are led to what they have to do first."""

    @user_required
    @wraps(view)
    def guarded(request: HttpRequest, user: User, *args: Any, **kwargs: Any) -> HttpResponseBase:
        contributor = Contributor.objects.filter(user=user).first()
        if contributor is None:
            return redirect_to_login(request.get_full_path(), login_url=reverse("about"))
        return view(request, contributor, *args, **kwargs)

    return guarded
