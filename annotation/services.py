"""What happens to campaigns, annotators and annotations here. To Label Studio speak push, pull and retract."""

import datetime
import secrets
import uuid
from datetime import timedelta
from decimal import Decimal

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet, Value
from django.utils import timezone

from annotation import disputes, scope
from annotation.models import (
    Annotator,
    Campaign,
    Hint,
    Invitation,
    LabelProject,
    LabelTask,
    TopUp,
)
from annotation.terms import agree
from collection.models import Image, prepared
from collection.models.prepared import Question
from consent.mailing import write_mail
from consent.models import User
from consent.refusals import Refused
from consent.signing import sha256_hex

INVITATION_DAYS = 14
TWICE = timedelta(minutes=1)  # the same again within it is a form that was sent twice
VIEW_KEY_BYTES = 32
LARGEST_BUDGET = Decimal("99999999.9999")  # what the column holds
LARGEST_ID = 2**31 - 1
C = Campaign.State
# What staff may do with a campaign: from which states, to which.
ACTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "start": ((C.DRAFT, C.PAUSED), C.RUNNING),
    "pause": ((C.RUNNING,), C.PAUSED),
    "close": ((C.DRAFT, C.RUNNING, C.PAUSED), C.CLOSED),
}


# --- Campaigns -----------------------------------------------------------------------------------


def change_campaign(*, campaign: Campaign, action: str) -> None:
    """Start, pause or close a campaign; Refused when its state does not allow that."""
    if action not in ACTIONS:
        raise Refused(f"A campaign can be told to {', '.join(ACTIONS)}, not “{action}”.")
    before, after = ACTIONS[action]
    if not Campaign.objects.filter(pk=campaign.pk, state__in=before).update(state=after):
        campaign.refresh_from_db()
        raise Refused(f"The campaign is {campaign.get_state_display().lower()}, so it cannot {action}.")
    campaign.refresh_from_db()


@transaction.atomic
def top_up(*, campaign: Campaign, amount: Decimal, user: User) -> None:
    """Add to the budget; Refused once the campaign is closed, unless a dispute may still have to be paid from it."""
    locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
    if locked.state == C.CLOSED and not disputes.waiting_in(locked):
        raise Refused("The campaign is closed. Make a new one for further work.")
    if locked.budget + amount > LARGEST_BUDGET:
        raise Refused(f"No budget can be larger than {LARGEST_BUDGET:,}. Add less.")
    said = {"campaign": campaign, "amount": amount, "made_by": user}
    if TopUp.objects.filter(**said, at__gt=timezone.now() - TWICE).exists():
        raise Refused("You added this very amount a moment ago. Wait a minute, if you mean to add it again.")
    TopUp.objects.create(**said)
    Campaign.objects.filter(pk=campaign.pk).update(budget=locked.budget + amount)
    campaign.refresh_from_db()


@transaction.atomic
def plan_tasks(*, campaign: Campaign) -> int:
    """A pending task for every image that the campaign is to label and has none; how many.

    Under the campaign's lock: two planners at once would make more than a sample.
    """
    campaign = Campaign.objects.select_for_update().get(pk=campaign.pk)
    tasks = [
        LabelTask(
            campaign=campaign,
            image_id=image,
            view_key=secrets.token_urlsafe(VIEW_KEY_BYTES),
            is_gold=secrets.randbelow(100) < campaign.gold_percent,
        )
        for image in scope.unplanned(campaign)
    ]
    LabelTask.objects.bulk_create(tasks, batch_size=500, ignore_conflicts=True)
    return len(tasks)


def may_be_seen(*, task: LabelTask) -> bool:
    """Whether annotators may see the photograph of this task now."""
    return is_usable_for(task.campaign.purpose_id, task=task.pk)


def is_usable_for(purpose: str, *, task: uuid.UUID) -> bool:
    """Whether the photograph of the task with this key may be seen now, if its campaign is for `purpose`."""
    return bool(SEEN.ask(task=task, purpose=purpose, at=timezone.now()))


def _seen(task: uuid.UUID, purpose: str, at: datetime.datetime) -> QuerySet[Image, tuple[int]]:
    there = Q(label_tasks=task, label_tasks__state__in=[LabelTask.State.PUSHING, LabelTask.State.PUSHED])
    return Image.objects.usable_for(purpose, at).filter(there).values_list(Value(1))


SEEN = Question(_seen, task=uuid.UUID(int=1), purpose="which purpose?", at=prepared.STAND_IN)


# --- Annotators ----------------------------------------------------------------------------------


def invite_annotator(*, email: str, invited_by: User) -> Invitation:
    """Mail a link to join; an earlier invitation to the same address ends."""
    if Annotator.objects.filter(user__email__iexact=email).exists():
        raise Refused(f"{email} is an annotator already.")
    token, now = secrets.token_urlsafe(32), timezone.now()
    with transaction.atomic():
        Invitation.objects.filter(email__iexact=email, accepted_at=None, expires_at__gt=now).update(expires_at=now)
        invitation = Invitation.objects.create(
            email=email.lower(),
            token_sha256=sha256_hex(token.encode()),
            invited_by=invited_by,
            expires_at=now + timedelta(days=INVITATION_DAYS),
        )
    write_mail(
        "Likeness: you are invited to label photographs",
        "You are invited to label photographs for pay. Read the agreement and join here, "
        f"within {INVITATION_DAYS} days:\n\n{settings.BASE_URL}/work/join/{token}/\n",
        [invitation.email],
    ).send()
    return invitation


def find_invitation(*, token: str) -> Invitation:
    """The open invitation that the link stands for; Refused when there is none."""
    invitation = Invitation.objects.filter(
        token_sha256=sha256_hex(token.encode()), accepted_at=None, expires_at__gt=timezone.now()
    ).first()
    if invitation is None:
        raise Refused("This invitation is not valid any more. Ask whoever invited you for a new one.")
    return invitation


@transaction.atomic
def accept_invitation(*, invitation: Invitation, user: User | None, password: str, terms_sha256: str) -> Annotator:
    """Make the invited person an annotator: `user` when they are signed in with that address, else a new account.

    They agreed to the terms with this hash; Refused if others are in force by now.
    """
    now = timezone.now()
    if not Invitation.objects.filter(pk=invitation.pk, accepted_at=None).update(accepted_at=now):
        raise Refused("This invitation was used already. Sign in instead.")
    account = _account(invitation.email, user, password)
    annotator = Annotator.objects.get_or_create(user=account, defaults={"terms_accepted_at": now})[0]
    agree(annotator=annotator, sha256=terms_sha256)
    return annotator


def _account(email: str, user: User | None, password: str) -> User:
    if user is not None and user.email.lower() == email.lower():
        return user
    if User.objects.filter(email__iexact=email).exists():
        raise Refused("You have an account with this address already. Sign in with it and open the invitation again.")
    if user is not None:  # they were asked for no password, so the new account would have an empty one
        raise Refused(f"This invitation is for {email}. Sign out, and open its link again.")
    account = User.objects.create_user(email, password)
    EmailAddress.objects.create(user=account, email=account.email, verified=True, primary=True)
    return account


# --- Annotations ---------------------------------------------------------------------------------


def note_hint(*, project: int, task: int, action: str) -> bool:
    """Note that a task changed in Label Studio (ids are Label Studio's); True if a pull is to be asked for.

    Not for a project that is not ours, nor while earlier hints wait that nobody took: the pull that they asked for
    fetches this one too. It is noted first and then looked, so that one that ends in this moment misses none.
    """
    ours = LabelProject.objects.filter(external_id=project).first()
    if ours is None or not 0 < task <= LARGEST_ID:
        return False
    noted = Hint.objects.create(project=ours, task_external_id=task, action=action[:40])
    return not Hint.objects.filter(project=ours, pk__lt=noted.pk, taken_until=None).exists()
