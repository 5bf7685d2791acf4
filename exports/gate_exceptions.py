"""Exceptions from the gate: written by one person, signed by another, carried by a draft of the same snapshot."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from consent import ledger
from consent.keys import signing_key
from consent.models import LedgerEntry, User
from consent.refusals import Refused
from consent.signing import canonical_json, sha256_hex, sign_dsse, utc_text
from exports import release_files
from exports.gate import TOO_FAR
from exports.models import DeviationReport, GateException, Release
from exports.services import redraft_release

EXCEPTION_TYPE = "application/vnd.likeness.gate-exception+json"


def write_exception(*, release: Release, user: User, reason: str, owner: str) -> GateException:
    """Why a built release that the gate keeps back should be published all the same, and who answers for it."""
    report = DeviationReport.objects.filter(release=release).first()
    release.refresh_from_db()
    if release.state != Release.State.BUILT or report is None or report.content["gate"]["verdict"] != TOO_FAR:
        raise Refused(f"{release} needs no exception: the gate does not keep it back, or it no longer waits.")
    try:
        with transaction.atomic():
            return GateException.objects.create(release=release, reason=reason, owner=owner, written_by=user)
    except IntegrityError:
        raise Refused(
            "There is an exception for this release already. Read it; drop it first to write another."
        ) from None


def drop_exception(*, exception: GateException) -> None:
    """Give up an exception that nobody has signed, so that another can be written."""
    deleted, _ = GateException.objects.filter(pk=exception.pk, envelope="").delete()
    if not deleted:
        raise Refused("This exception is signed, so it stays.")


def sign_exception(*, exception: GateException, user: User) -> Release:
    """Sign an exception; returns the draft that replaces the release it is about, and carries it in its card.

    By neither of those who wrote the exception and drafted the release. Whoever signs does not publish either.
    """
    release = exception.release
    if exception.written_by_id == user.pk:
        raise Refused("You wrote this exception. Ask a second person to read and sign it.")
    if release.drafted_by_id == user.pk:
        raise Refused(f"You drafted {release}. Ask somebody else to read and sign its exception.")
    now = timezone.now()
    envelope = sign_dsse(canonical_json(_facts(exception, user, utc_text(now))).encode(), EXCEPTION_TYPE, signing_key())
    with transaction.atomic():
        signed = GateException.objects.filter(pk=exception.pk, envelope="").update(
            envelope=envelope, signed_by=user, signed_at=now
        )
        if not signed:
            raise Refused("Somebody else signed or dropped this exception. Look at it again.")
        exception.refresh_from_db()
        record_exception(exception)
        draft = redraft_release(release=release)
    release_files.delete_own(release)
    return draft


def record_exception(exception: GateException) -> LedgerEntry:
    """The ledger's entry for a signed exception."""
    return ledger.append(
        "gate.excepted",
        at=exception.signed_at,
        dataset=exception.release.dataset.slug,
        version=exception.release.version,
        snapshot_at=exception.release.snapshot_at,
        report_sha256=exception.release.deviation_report.sha256,
        envelope_sha256=sha256_hex(exception.envelope.encode()),
    )


def _facts(exception: GateException, signer: User, signed_at: str) -> dict[str, object]:
    """What is signed. People are the numbers of their staff accounts."""
    release, report = exception.release, exception.release.deviation_report
    return {
        "dataset": release.dataset.slug,
        "version": release.version,
        "snapshot_at": utc_text(release.snapshot_at),
        "report_sha256": report.sha256,
        "over": report.content["gate"]["over"],
        "reason": exception.reason,
        "owner": exception.owner,
        "written_by": exception.written_by_id,
        "written_at": utc_text(exception.written_at),
        "signed_by": signer.pk,
        "signed_at": signed_at,
    }
