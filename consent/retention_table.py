"""How long things are kept: one table. Sweeps delete by it and the public page is written from it, so that the two
cannot differ."""

import datetime
from dataclasses import dataclass

from django.conf import settings

from consent.clock import trusted_now

YEAR, MINUTE, HOUR = 365, 60, 3600


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is kept, why, and until when; `{time}` in `until` stands for the days that `setting` names.

    `sweep` is the task that deletes; what has none is kept, and `until` says so. `models` are those whose rows it is
    about (app.model): a test demands that each one with personal data is in some rule.
    """

    what: str
    why: str
    until: str
    setting: str = ""
    sweep: str = ""
    models: tuple[str, ...] = ()

    @property
    def days(self) -> int:
        return int(getattr(settings, self.setting))

    def cutoff(self, clock: datetime.datetime | None = None) -> datetime.datetime:
        """What happened before this moment is over, by `clock` (default: the trusted time)."""
        return (clock or trusted_now()) - datetime.timedelta(days=self.days)

    def until_in_words(self) -> str:
        return self.until.format(time=time_in_words(self.days)) if self.setting else self.until

    def how_often(self) -> str:
        """How often the sweep looks, from the live schedule; empty for what is kept."""
        if not self.sweep:
            return ""
        planned = settings.CELERY_BEAT_SCHEDULE.get(self.sweep)
        return seconds_in_words(float(planned["schedule"])) if planned else "never: it is not in the schedule"


def time_in_words(days: int) -> str:
    """`3 years`, `30 days`."""
    return _counted(days / YEAR, "year") if days % YEAR == 0 else _counted(days, "day")


def seconds_in_words(seconds: float) -> str:
    """`every hour`, `every 5 seconds`."""
    size, unit = (HOUR, "hour") if seconds >= HOUR else (MINUTE, "minute") if seconds >= MINUTE else (1, "second")
    return f"every {unit}" if seconds == size else f"every {_counted(seconds / size, unit)}"


def _counted(number: float, unit: str) -> str:
    return f"{number:g} {unit}" if number == 1 else f"{number:g} {unit}s"


CONTACT = Rule(
    what="Permissions",
    why="You gave them.",
    until="You take them back, their term or their purpose ends, or {time} pass without a word from you, whichever is "
    "first. We write to you 30 days before; signing in is enough to stay.",
    setting="RETENTION_CONTACT_DAYS",
    sweep="consent.tasks.end_lapsed",
    models=("consent.consent",),
)
EVIDENCE = Rule(
    what="Evidence of a signature (name, address, IP address, browser) and the receipt",
    why="Either side may have to show in court what was agreed; claims lapse after that time.",
    until="{time} after the permission ended, or when you delete your account. A hash of it stays.",
    setting="EVIDENCE_DAYS",
    sweep="consent.tasks.delete_old_records",
    models=(
        "consent.signatureevidence",
        "consent.receipt",
    ),
)
REQUESTS = Rule(
    what="Requests about data: name, address, words and answer",
    why="To answer, and to show that we answered in time.",
    until="{time} after the answer, or when you delete your account. Kind and dates stay, without a name.",
    setting="REQUEST_DAYS",
    sweep="consent.tasks.delete_old_records",
    models=("consent.rightsrequest",),
)
UNCONFIRMED = Rule(
    what="Accounts whose e-mail address was never confirmed",
    why="The mail to confirm it may be on its way.",
    until="{time} after they were made.",
    setting="UNCONFIRMED_DAYS",
    sweep="consent.tasks.delete_old_records",
)
ON_THEIR_WAY = Rule(
    what="Photographs that are still on their way, and the names of their files",
    why="So that an upload can go on after the connection broke off.",
    until="They have arrived, you take your permission back, or {time} pass.",
    setting="UPLOAD_DAYS",
    sweep="collection.tasks.settle_uploads",
    models=("collection.upload",),
)
IMPORT_REPORTS = Rule(
    what="Reports of library imports: the rows that were refused",
    why="So that the licensor can mend them.",
    until="{time} after the import, or when the photograph is erased.",
    setting="IMPORT_REPORT_DAYS",
    sweep="collection.tasks.remove_leftovers",
    models=(
        "collection.libraryimport",
        "collection.refusedrow",
    ),
)
REMOVED_DIGESTS = Rule(
    what="Keyed digests of photographs that were erased because somebody took them back, or because somebody in them "
    "did not agree or may be a minor",
    why="So that the very same photograph does not come in again, or only from who took it back. They cannot be turned "
    "back into a picture, and say nothing without a key that is kept elsewhere.",
    until="{time} after the photograph was erased.",
    setting="REMOVED_DIGEST_DAYS",
    sweep="collection.tasks.forget_digests",
    models=("collection.removeddigest", "collection.takenback"),
)
PAID_ACCOUNTS = Rule(
    what="The account and address that a payment for labelling went to",
    why="Accounts must be kept, and a bank may ask.",
    until="{time} after the payment was prepared. The amount stays, under a number.",
    setting="PAYMENT_DETAILS_DAYS",
    sweep="annotation.tasks.forget_bank_details",
    models=("annotation.paymentdetails",),
)
RULES = (
    ON_THEIR_WAY,
    Rule(
        what="Photographs and their previews",
        why="For the purposes that their permission or licence names.",
        until="The permission or licence ends, or the photograph is removed. Whoever asks us to keep theirs for them "
        "alone keeps them until the term ends.",
        sweep="collection.tasks.purge_withdrawn",
        models=(
            "collection.image",
            "collection.subjectkey",
        ),
    ),
    Rule(
        what="Photographs that the law asks us to keep for a time",
        why="Some photographs may have to be shown to an authority. They are locked, and nobody uses them.",
        until="The question about them is closed. If their permission has ended by then, they are erased.",
        sweep="collection.tasks.purge_withdrawn",
    ),
    Rule(
        what="Picture hashes and features that find copies of a photograph, also edited ones",
        why="So that no photograph is paid for or counted twice.",
        until="As long as anybody may use the photograph.",
        sweep="collection.tasks.purge_withdrawn",
        models=(
            "collection.fingerprint",
            "collection.word",
            "collection.distinct",
        ),
    ),
    Rule(
        what="What checks measured of a photograph: size, light, sharpness, where faces are, which of them to cover",
        why="To tell people at once what to do better, and to keep out or cover people who did not agree.",
        until="As long as anybody may use the photograph.",
        sweep="collection.tasks.purge_withdrawn",
        models=("collection.screening", "collection.facemark"),
    ),
    Rule(
        what="That an outside service was asked about a photograph, what it cost, and whether a person had to look",
        why="To keep to a monthly limit and to account for it. What the service saw in it is kept nowhere.",
        until="Which photograph it was is forgotten when the photograph is erased. The cost is kept for good.",
        sweep="collection.tasks.purge_withdrawn",
        models=("collection.vendorcall",),
    ),
    Rule(
        what="Words that reviewers note about a photograph, and who looks at it now",
        why="So that a second person understands what the first one saw.",
        until="The photograph is erased; who looks at it, once it is decided.",
        sweep="collection.tasks.apply_reviews",
        models=("collection.reviewnote", "collection.reviewcase"),
    ),
    Rule(
        what="What reviewers decided, when, and how long they took",
        why="To show why a photograph was taken or not, and that two people looked where two must.",
        until="Kept for good, under the number of the staff account.",
        models=("collection.reviewdecision",),
    ),
    Rule(
        what="What was reported to an authority about a photograph that a list of known harm matches",
        why="The law may ask for such a report, and it must be possible to prove it.",
        until="Kept for good: hashes, times and a number, never the photograph.",
        models=("collection.harmreport",),
    ),
    Rule(
        what="Tasks in the labelling tool",
        why="People describe the photographs there.",
        until="As long as the photograph may be used for the campaign.",
        sweep="annotation.tasks.retract_withdrawn",
        models=("annotation.labeltask",),
    ),
    Rule(
        what="Files of published datasets",
        why="Research and engineering teams train and test with them.",
        until="As long as every photograph in them may be used; teams that pulled a file get a signed notice.",
        sweep="exports.tasks.revoke_items",
        models=("exports.releasefile",),
    ),
    CONTACT,
    EVIDENCE,
    Rule(
        what="What people say about themselves (skin tone, age band, gender, ancestry, country)",
        why="To check that datasets are fair, to ask for photographs of people who are missing, and for nothing else.",
        until="You delete it, your permissions end, or the date that stands beside it.",
        sweep="consent.tasks.delete_demographics",
        models=("consent.demographics",),
    ),
    Rule(
        what="What people in licensed photographs said about themselves, where the licence covers it",
        why="To check that datasets are fair, and for nothing else.",
        until="The licence ends, the last photograph of that person is erased, or three years have passed.",
        sweep="collection.tasks.remove_leftovers",
        models=("collection.licensedattributes",),
    ),
    IMPORT_REPORTS,
    Rule(
        what="Accounts: e-mail address, password (hashed), date of birth, country",
        why="To sign in, to write to you, and because only adults may take part.",
        until="You delete your account.",
        models=(
            "consent.user",
            "consent.contributor",
        ),
    ),
    UNCONFIRMED,
    Rule(
        what="Sign-in sessions",
        why="So that you need not sign in on every page.",
        until="You sign out, or they end after two weeks.",
        sweep="consent.tasks.delete_old_records",
    ),
    REQUESTS,
    REMOVED_DIGESTS,
    Rule(
        what="Permissions, withdrawals and the ledger, without identity",
        why="They prove that every use was allowed when it happened, and that it ended.",
        until="Kept for good, under numbers that lead to nobody once the account is deleted.",
        models=(
            "consent.ledgerentry",
            "collection.transition",
            "exports.certificate",
        ),
    ),
    Rule(
        what="Which photograph was in which dataset and why, without identity",
        why="So that every use can be justified afterwards, and teams can be told what to drop.",
        until="Kept for good, under numbers that lead to nobody once the photograph is erased.",
        models=("exports.item", "exports.attestation", "exports.notice"),
    ),
    Rule(
        what="Licences, signed model releases that came with them",
        why="To show by whose permission a library is used.",
        until="A model release goes with its photograph, and a hash of it stays. Licences are kept for good.",
        sweep="collection.tasks.purge_withdrawn",
        models=("consent.licence", "collection.modelrelease"),
    ),
    Rule(
        what="Forms, campaigns and datasets, and who of our staff or of other teams is answerable for them",
        why="To know whom to ask, whom to tell, and who approved what.",
        until="Kept for good.",
        models=(
            "consent.formtext",
            "consent.formdraft",
            "annotation.campaign",
            "annotation.topup",
            "annotation.workterms",
            "exports.dataset",
            "exports.definition",
            "exports.release",
            "exports.gateexception",
            "exports.deviationaction",
            "exports.deviationactiondone",
            "exports.recipient",
            "exports.accesstoken",
        ),
    ),
    Rule(
        what="Invitations to label for pay: the e-mail address",
        why="To know who was invited, and by whom.",
        until="Kept for good.",
        models=("annotation.invitation",),
    ),
    Rule(
        what="Who was given, saw or pulled a photograph, without identity",
        why="So that people can be told, and recipients be asked to delete.",
        until="Kept for good, under numbers that lead to nobody once the account is deleted.",
        models=("annotation.handout", "annotation.imageview"),
    ),
    Rule(
        what="The list of what was erased, without identity",
        why="So that a restored backup forgets it again.",
        until="Kept for good.",
        models=("consent.erasurenote",),
    ),
    Rule(
        what="Bank account and postal address of people who label for pay",
        why="To pay them.",
        until="You delete it, or your account.",
        sweep="annotation.tasks.forget_bank_details",
        models=("annotation.payee",),
    ),
    PAID_ACCOUNTS,
    Rule(
        what="Labels that were paid for, and the pay",
        why="Accounts must be kept. A label of an erased photograph is in no dataset any more.",
        until="Kept for good, under numbers that lead to nobody once the account is deleted.",
        models=(
            "annotation.annotation",
            "annotation.annotator",
            "annotation.formeraccount",
            "annotation.workagreement",
            "annotation.earning",
            "annotation.adjustment",
            "annotation.proposal",
            "annotation.proposaldecision",
            "annotation.payoutrun",
            "annotation.payment",
            "annotation.paymentchange",
            "annotation.leftout",
        ),
    ),
    Rule(
        what="How labels were judged: answers of reviewers, rejections, disputes, training, who was paused and why",
        why="To say how far the labels of a release can be trusted, and to answer whoever disagrees with a judgement.",
        until="Kept for good, under numbers that lead to nobody once the account is deleted.",
        models=(
            "annotation.goldanswer",
            "annotation.rejection",
            "annotation.pause",
            "annotation.dispute",
            "annotation.disputedecision",
            "annotation.trainingresult",
        ),
    ),
    Rule(
        what="What somebody wrote who disagreed with how their labels were judged",
        why="So that a second reviewer understands it.",
        until="Their account is deleted.",
        sweep="annotation.tasks.forget_former",
        models=("annotation.disputewords",),
    ),
    Rule(
        what="What people who label say about themselves (region, age, gender), and the languages they know",
        why="Region, age and gender only to see whether groups label alike; languages to find work for them.",
        until="They delete it, or their account is deleted.",
        sweep="annotation.tasks.forget_former",
        models=("annotation.annotatorabout", "annotation.annotatorlanguage"),
    ),
)
