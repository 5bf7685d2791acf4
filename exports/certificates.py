"""Erasure certificates: when an act of taking back is done everywhere in our reach, we sign what was done and when.

The certificate is a DSSE envelope (CERTIFICATE_TYPE) around canonical JSON without identity. To check one:
`consent.signing.open_dsse(text, CERTIFICATE_TYPE, load_public_key(pem))` with the published key gives the payload back,
or raises BadSignature; the ledger entry `certificate.issued` holds the SHA-256 of the envelope. docs/certificates.md
lists the fields.
"""

import datetime
import logging
import uuid
from collections.abc import Iterator
from typing import Any

from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.template.loader import render_to_string
from django.utils import timezone

from collection import keys, storage
from collection.models import Image, ImageStatus, Removal
from consent import ledger
from consent.keys import signing_key
from consent.mailing import absolute, send_claimed, write_mail
from consent.models import Contributor, LedgerEntry, Withdrawal
from consent.signing import canonical_json, sha256_hex, sign_dsse, utc_text
from exports.acts import Act, Place, Progress, RecipientState, ReleaseState, find_act, progress_of
from exports.models import Certificate, CertificateMail

log = logging.getLogger(__name__)
CERTIFICATE_TYPE = "application/vnd.likeness.erasure-certificate+json"
AT_ONCE = 50  # acts looked at in one sweep

# What stays, and why: on the page and in the certificate.
STAYS = (
    "The proof that you agreed and that you took it back, without your name, so that past use can be justified.",
    "What was earned for labelling, because it was earned.",
    "An empty entry per photograph: that it was there, and when it went.",
)
BY_LAW = "Locked photographs, for a time, because the law asks us to: nobody uses them, and they are erased after that."
CACHES = "None: pages and files with photographs are sent so that nobody stores them on the way."


# --- Issuing -------------------------------------------------------------------------------------


def issue_due() -> int:
    """Issue the certificate of every act that is done, and mail those that are due; returns how many were issued.

    Acts are looked at in random order, so that those which wait for something do not hold up the others.
    """
    issued = sum(_try_to_issue(act_id) for act_id in _open_acts())
    for mail in CertificateMail.objects.filter(mailed_at__isnull=True, due_at__lte=timezone.now()):
        mail_certificate(mail=mail)
    return issued


def _open_acts() -> list[uuid.UUID]:
    certified = Exists(Certificate.objects.filter(act=OuterRef("act")))
    withdrawn = Withdrawal.objects.filter(~certified).order_by("?").values_list("act", flat=True)
    # Nobody is there to have a certificate of licensed photographs, and of known harm nobody is told.
    removed = Removal.objects.filter(~certified, image__consent__isnull=False).exclude(cause=Removal.Cause.HARM)
    removed = removed.order_by("?")
    return list({*withdrawn[:AT_ONCE], *removed.values_list("act", flat=True)[:AT_ONCE]})


def _try_to_issue(act_id: uuid.UUID) -> bool:
    try:
        return issue_certificate(act_id=act_id) is not None
    except Exception:  # one act's trouble must not keep back the others
        log.exception("the certificate of act %s failed", act_id)
        return False


def issue_certificate(*, act_id: uuid.UUID) -> Certificate | None:
    """Sign what was done, once everything is; None while something is left, or if it is nobody's act."""
    act = find_act(act_id)
    contributor = act.contributor() if act else None
    if act is None or contributor is None:
        return None
    progress = progress_of(act)
    if not progress.complete or _bytes_left(act):
        return None
    envelope = sign_dsse(canonical_json(certificate_facts(progress)).encode(), CERTIFICATE_TYPE, signing_key())
    try:
        return _issue(act, contributor, envelope)
    except IntegrityError:  # another worker was faster
        return Certificate.objects.get(act=act.id)


@transaction.atomic
def _issue(act: Act, contributor: Contributor, envelope: str) -> Certificate:
    certificate = Certificate.objects.create(act=act.id, contributor=contributor, envelope=envelope)
    record_certificate(certificate)
    if contributor.user is not None:
        CertificateMail.objects.create(certificate=certificate)
    return certificate


def record_certificate(certificate: Certificate) -> LedgerEntry:
    """A certificate was issued."""
    return ledger.append(
        "certificate.issued",
        at=certificate.issued_at,
        act=certificate.act,
        envelope_sha256=sha256_hex(certificate.envelope.encode()),
    )


def _bytes_left(act: Act) -> bool:
    """Looks into the storages once more: a worker that was cut off may have written after the purge."""
    purged = act.images().filter(status=ImageStatus.PURGED)
    left = [image for image in purged.iterator() if any(_keys(image))]
    for image in left:
        storage.delete_all(image)
    return bool(left)


def _keys(image: Image) -> Iterator[str]:
    for bucket in (keys.bucket(), storage.originals(), storage.derivatives()):
        yield from storage.keys_of(bucket, image.pk)


# --- What it says --------------------------------------------------------------------------------


def certificate_facts(progress: Progress) -> dict[str, Any]:
    """The payload: pseudonymous ids, counts and times. Names are those of campaigns, datasets and recipients."""
    act = progress.act
    return {
        "act": str(act.id),
        "issued_at": utc_text(timezone.now()),
        "refused_since": utc_text(act.at),
        "taken_back": [_withdrawn(withdrawal) for withdrawal in act.withdrawals]
        + [_removed(removal) for removal in act.removals],
        "photographs": {
            "concerned": progress.photographs,
            "erased": progress.erased,
            "kept_for_the_contributor": progress.kept,
            "kept_because_the_law_asks_us_to": progress.by_law,
            "still_permitted": progress.permitted,
        },
        "stores": [_place(place) for place in progress.stores],
        "campaigns": [_place(place) for place in progress.campaigns],
        "releases": [_release(release) for release in progress.releases],
        "caches": CACHES,
        "stays": [*STAYS, *([BY_LAW] if progress.by_law else [])],
    }


def _withdrawn(withdrawal: Withdrawal) -> dict[str, Any]:
    return {
        "what": "consent",
        "id": str(withdrawal.pk),
        "consent": str(withdrawal.consent_id),
        "purpose": withdrawal.purpose_id,
        "cause": withdrawal.cause,
        "aftermath": withdrawal.aftermath,
        "at": utc_text(withdrawal.made_at),
    }


def _removed(removal: Removal) -> dict[str, Any]:
    return {
        "what": "photograph",
        "id": str(removal.pk),
        "photograph": str(removal.image_id),
        "cause": removal.cause,
        "aftermath": removal.aftermath,
        "at": utc_text(removal.made_at),
    }


def _place(place: Place) -> dict[str, Any]:
    return {"store": place.name, "what": place.what, "count": place.total, "gone_at": _time(place.last_at)}


def _release(release: ReleaseState) -> dict[str, Any]:
    return {
        "dataset": release.dataset,
        "version": release.version,
        "rows": release.rows.total,
        "rows_refused_at": _time(release.rows.last_at),
        "files_deleted": release.files.total,
        "files_deleted_at": _time(release.files.last_at),
        "notice_signed_at": _time(release.noticed_at),
        "recipients": [_recipient(recipient) for recipient in release.recipients],
    }


def _recipient(recipient: RecipientState) -> dict[str, Any]:
    return {
        "recipient": recipient.name,
        "first_pulled_at": _time(recipient.pull.first if recipient.pull else None),
        "last_pulled_at": _time(recipient.pull.last if recipient.pull else None),
        "notice_mailed_at": _time(recipient.mailed_at),
        "acknowledged_at": _time(recipient.acknowledged_at),
    }


def _time(moment: datetime.datetime | None) -> str | None:
    return utc_text(moment) if moment else None


# --- Mailing -------------------------------------------------------------------------------------


def mail_certificate(*, mail: CertificateMail) -> bool:
    """Mail one certificate to its contributor, once. False as mailing.send_claimed says, or if nobody is there."""
    user = mail.certificate.contributor.user
    if user is None:  # the account was deleted in the meantime
        CertificateMail.objects.filter(pk=mail.pk).delete()
        return False
    owed = CertificateMail.objects.filter(pk=mail.pk, mailed_at__isnull=True)
    address = user.email
    what = f"the certificate of act {mail.pk}"
    if not send_claimed(owed, lambda: _message(mail.certificate, address).send(), what=what, due="due_at"):
        return False
    CertificateMail.objects.filter(pk=mail.pk).update(mailed_at=timezone.now())
    return True


def _message(certificate: Certificate, address: str) -> EmailMessage:
    body = render_to_string("exports/mail/certificate.txt", {"page": absolute("certificate", certificate.act)})
    message = write_mail("Your erasure certificate", body, [address])
    message.attach(f"certificate-{certificate.act}.json", certificate.envelope, "application/json")
    return message
