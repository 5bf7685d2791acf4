"""The people: accounts, contributors, and what contributors choose to say about themselves."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone


class UserManager(BaseUserManager["User"]):
    """Users are known by e-mail address; there is no user name."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractUser):
    """Anybody who signs in: contributor, annotator, reviewer, data manager."""

    username = None  # type: ignore[assignment]  # signing in is by e-mail address
    email = models.EmailField("e-mail address", unique=True)
    email_verified_at = models.DateTimeField(null=True, editable=False)  # evidence for signatures

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "email": "sign-in and mail",
        "email_verified_at": "evidence of signatures",
        "first_name": "unused, kept empty",
        "last_name": "unused, kept empty",
    }

    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]


class Contributor(models.Model):
    """An adult who gives photographs of themselves."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # the pseudonym that the ledger carries
    user = models.OneToOneField(User, null=True, on_delete=models.SET_NULL, related_name="contributor")
    date_of_birth = models.DateField(null=True)
    country = models.CharField(max_length=2)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Signed in, signed or uploaded: three years after it everything lapses (consent.retention).
    last_contact_at = models.DateTimeField(default=timezone.now)
    # The mail that says so in time: one per silence. Whoever moves `reminder_due_at` on may send it.
    reminded_at = models.DateTimeField(null=True)
    reminder_due_at = models.DateTimeField(default=timezone.now)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "user": "link to the account; empty once it is deleted",
        "date_of_birth": "proof of adulthood; empty once the account is deleted",
        "country": "age of majority, jurisdiction",
        "last_contact_at": "retention clock",
    }

    def __str__(self) -> str:
        return f"contributor {self.id}"


PREFER_NOT_TO_SAY = "prefer_not"


class Demographics(models.Model):
    """What a contributor chose to say about themselves, for fairness only (checks, targets of calls); never inferred.

    Kept apart from everything else: read through `consent.demographics` alone, by people with the role for it, and
    deleted on `delete_on`. Each value is "" (not answered), "prefer_not", or one of the choices there.
    """

    contributor = models.OneToOneField(
        Contributor, primary_key=True, on_delete=models.CASCADE, related_name="demographics"
    )
    skin_tone = models.CharField(max_length=20, blank=True)  # Monk scale, "1" (lightest) to "10"
    age_band = models.CharField(max_length=20, blank=True)  # from the date of birth, if they ask for it
    gender = models.CharField(max_length=20, blank=True)
    ancestry = models.CharField(max_length=40, blank=True)
    country = models.CharField(max_length=20, blank=True)  # ISO 3166, where they live
    given_at = models.DateTimeField(default=timezone.now)
    delete_on = models.DateField()

    PERSONAL_DATA: ClassVar[dict[str, str]] = dict.fromkeys(
        ("skin_tone", "age_band", "gender", "ancestry", "country"),
        "self-reported, for fairness checks and targets of calls only",
    )

    def __str__(self) -> str:
        return f"demographics of {self.contributor_id}"
