"""What happens to campaigns, annotators and annotations here. To Label Studio speak push, pull and retract."""

import json
import secrets
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone

from annotation.config import check_result, is_storable, parse_config
from annotation.labelstudio import RemoteAnnotation
from annotation.models import Annotation, Annotator, Campaign, Earning, Hint, Invitation, LabelProject, LabelTask
from collection.models import Image
from consent import ledger
from consent.models import LedgerEntry, User
from consent.refusals import Refused
from consent.signing import sha256_hex

INVITATION_DAYS = 14
VIEW_KEY_BYTES = 32
LARGEST_ID = 2**31 - 1
C = Campaign.State
# What staff may do with a campaign: from which states, to which.
ACTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "start": ((C.DRAFT, C.PAUSED), C.RUNNING),
    "pause": ((C.RUNNING,), C.PAUSED),
    "close": ((C.DRAFT, C.RUNNING, C.PAUSED), C.CLOSED),
}
# In these states a task's budget is reserved, so that an annotation of it can be paid.
PAYABLE = (LabelTask.State.PUSHING, LabelTask.State.PUSHED, LabelTask.State.RETRACTING)


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


def plan_tasks(*, campaign: Campaign) -> int:
    """A pending task for every image that is open for the campaign's purpose and has none; how many."""
    unplanned = Image.objects.open_for(campaign.purpose_id).exclude(label_tasks__campaign=campaign)
    tasks = [
        LabelTask(campaign=campaign, image_id=image, view_key=secrets.token_urlsafe(VIEW_KEY_BYTES))
        for image in unplanned.order_by("received_at").values_list("pk", flat=True)
    ]
    LabelTask.objects.bulk_create(tasks, batch_size=500, ignore_conflicts=True)
    return len(tasks)


def may_be_seen(*, task: LabelTask) -> bool:
    """Whether annotators may see the photograph of this task now."""
    open_tasks = LabelTask.objects.filter(pk=task.pk, state__in=[LabelTask.State.PUSHING, LabelTask.State.PUSHED])
    return open_tasks.of_usable_images(task.campaign).exists()


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
    send_mail(
        "Likeness: you are invited to label photographs",
        "You are invited to label photographs for pay. Read the agreement and join here, "
        f"within {INVITATION_DAYS} days:\n\n{settings.BASE_URL}/work/join/{token}/\n",
        None,
        [invitation.email],
    )
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
def accept_invitation(*, invitation: Invitation, user: User | None, password: str) -> Annotator:
    """Make the invited person an annotator: `user` when they are signed in with that address, else a new account."""
    now = timezone.now()
    if not Invitation.objects.filter(pk=invitation.pk, accepted_at=None).update(accepted_at=now):
        raise Refused("This invitation was used already. Sign in instead.")
    account = _account(invitation.email, user, password)
    return Annotator.objects.get_or_create(user=account, defaults={"terms_accepted_at": now})[0]


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

    Not for a project that is not ours, nor while other hints wait: one pull fetches all of them, at most a sweep later.
    """
    ours = LabelProject.objects.filter(external_id=project).first()
    if ours is None or not 0 < task <= LARGEST_ID:
        return False
    is_first = not Hint.objects.filter(project=ours).exists()
    Hint.objects.create(project=ours, task_external_id=task, action=action[:40])
    return is_first


@transaction.atomic
def record_annotation(*, task: LabelTask, remote: RemoteAnnotation) -> Annotation:
    """Keep what an annotator said and pay for it if it holds, once however often it is told.

    The task's row is locked, so two annotations of one task are judged one after the other.
    """
    task = LabelTask.objects.select_for_update(of=("self",)).select_related("campaign").get(pk=task.pk)
    result = remote.result if not remote.skipped and is_storable(remote.result) else []
    # Not canonical_json: Label Studio's numbers are floats.
    sha256 = sha256_hex(json.dumps(result, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
    latest = Annotation.objects.filter(unique_id=remote.unique_id).order_by("-version").first()
    annotator = Annotator.objects.filter(label_studio_user=remote.user).first() if remote.user else None
    if latest and (_was_told(latest, sha256, remote) or _is_somebody_elses(latest, task, annotator)):
        return latest
    refusal = _refusal(task, annotator, remote)
    annotation = Annotation.objects.create(
        task=task,
        annotator=annotator,
        unique_id=remote.unique_id,
        version=latest.version + 1 if latest else 1,
        result=result,
        result_sha256=sha256,
        made_at=remote.made_at,
        lead_seconds=remote.lead_seconds,
        verdict=Annotation.Verdict.REFUSED if refusal else Annotation.Verdict.ACCEPTED,
        refusal=refusal[:200],
    )
    if annotator and not refusal:
        _earn(annotation, annotator)
    return annotation


def _was_told(latest: Annotation, sha256: str, remote: RemoteAnnotation) -> bool:
    return latest.result_sha256 == sha256 or latest.made_at >= remote.made_at


def _is_somebody_elses(latest: Annotation, task: LabelTask, annotator: Annotator | None) -> bool:
    """True for work under another's unique_id: Label Studio lets anybody choose it, and would be paid as an edit."""
    other = latest.annotator_id is not None and latest.annotator_id != (annotator and annotator.pk)
    return other or latest.task_id != task.pk


def _refusal(task: LabelTask, annotator: Annotator | None, remote: RemoteAnnotation) -> str:
    """Why this annotation is not accepted, in words for the annotator; "" when it is."""
    if annotator is None:
        return "Made by somebody who is not one of our annotators."
    if task.state not in PAYABLE:
        return "The photograph had been withdrawn before this was sent."
    if remote.skipped:
        return "Skipped."
    if not is_storable(remote.result):
        return "The labels hold characters or numbers that cannot be kept."
    others = list(task.earnings.exclude(annotation__unique_id=remote.unique_id).values_list("annotator", flat=True))
    if annotator.pk in others:
        return "A second annotation by the same person of the same photograph."
    if len(others) >= task.campaign.overlap:
        return f"The photograph had all {task.campaign.overlap} annotations that were wanted already."
    return check_result(parse_config(task.campaign.config), remote.result)


def _earn(annotation: Annotation, annotator: Annotator) -> None:
    """Pay for the first accepted version; edits of it are paid already."""
    if annotation.task.earnings.filter(annotator=annotator).exists():
        return
    campaign = annotation.task.campaign
    record_earning(
        Earning.objects.create(
            annotation=annotation,
            task=annotation.task,
            annotator=annotator,
            amount=campaign.rate,
            currency=campaign.currency,
        )
    )


def record_earning(earning: Earning) -> LedgerEntry:
    """The ledger's entry for one earning: pseudonymous."""
    return ledger.append(
        "earning.recorded",
        at=earning.earned_at,
        annotation=earning.annotation_id,
        annotator=earning.annotator_id,
        task=earning.task_id,
        result_sha256=earning.annotation.result_sha256,
        amount=earning.amount,
        currency=earning.currency,
    )
