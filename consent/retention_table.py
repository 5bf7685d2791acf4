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

    `sweep` is the task that deletes; what has none is kept, and `until` says so.
    """

    what: str
    why: str
    until: str
    setting: str = ""
    sweep: str = ""

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
)
EVIDENCE = Rule(
    what="Evidence of a signature (name, address, IP address, browser) and the receipt",
    why="Either side may have to show in court what was agreed; claims lapse after that time.",
    until="{time} after the permission ended, or when you delete your account. A hash of it stays.",
    setting="EVIDENCE_DAYS",
    sweep="consent.tasks.delete_old_records",
)
REQUESTS = Rule(
    what="Requests about data: name, address, words and answer",
    why="To answer, and to show that we answered in time.",
    until="{time} after the answer, or when you delete your account. Kind and dates stay, without a name.",
    setting="REQUEST_DAYS",
    sweep="consent.tasks.delete_old_records",
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
)
IMPORT_REPORTS = Rule(
    what="Reports of library imports: the rows that were refused",
    why="So that the licensor can mend them.",
    until="{time} after the import, or when the photograph is erased.",
    setting="IMPORT_REPORT_DAYS",
    sweep="collection.tasks.remove_leftovers",
)
REMOVED_DIGESTS = Rule(
    what="Keyed digests of photographs that were erased because somebody in them did not agree or may be a minor",
    why="So that the very same photograph does not come in again. They cannot be turned back into a picture, and say "
    "nothing without a key that is kept elsewhere.",
    until="{time} after the photograph was erased.",
    setting="REMOVED_DIGEST_DAYS",
    sweep="collection.tasks.forget_digests",
)
RULES = (
    ON_THEIR_WAY,
    Rule(
        what="Photographs and their previews",
        why="For the purposes that their permission or licence names.",
        until="The permission or licence ends, or the photograph is removed. Whoever asks us to keep theirs for them "
        "alone keeps them until the term ends.",
        sweep="collection.tasks.purge_withdrawn",
    ),
    Rule(
        what="Picture hashes and features that find copies of a photograph, also edited ones",
        why="So that no photograph is paid for or counted twice.",
        until="As long as anybody may use the photograph.",
        sweep="collection.tasks.purge_withdrawn",
    ),
    Rule(
        what="Tasks in the labelling tool",
        why="People describe the photographs there.",
        until="As long as the photograph may be used for the campaign.",
        sweep="annotation.tasks.retract_withdrawn",
    ),
    Rule(
        what="Files of published datasets",
        why="Research and engineering teams train and test with them.",
        until="As long as every photograph in them may be used; teams that pulled a file get a signed notice.",
        sweep="exports.tasks.revoke_items",
    ),
    CONTACT,
    EVIDENCE,
    Rule(
        what="What people say about themselves (skin tone, age band, gender, ancestry, country)",
        why="To check that datasets are fair, to ask for photographs of people who are missing, and for nothing else.",
        until="You delete it, your permissions end, or the date that stands beside it.",
        sweep="consent.tasks.delete_demographics",
    ),
    Rule(
        what="What people in licensed photographs said about themselves, where the licence covers it",
        why="To check that datasets are fair, and for nothing else.",
        until="The licence ends, the last photograph of that person is erased, or three years have passed.",
        sweep="collection.tasks.remove_leftovers",
    ),
    IMPORT_REPORTS,
    Rule(
        what="Accounts: e-mail address, password (hashed), date of birth, country",
        why="To sign in, to write to you, and because only adults may take part.",
        until="You delete your account.",
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
    ),
    Rule(
        what="Who saw or pulled a photograph, without identity",
        why="So that people can be told, and recipients be asked to delete.",
        until="Kept for good, under numbers that lead to nobody once the account is deleted.",
    ),
    Rule(
        what="The list of what was erased, without identity",
        why="So that a restored backup forgets it again.",
        until="Kept for good.",
    ),
    Rule(
        what="Labels that were paid for, and the pay",
        why="Accounts must be kept. A label of an erased photograph is in no dataset any more.",
        until="Kept for good, under numbers that lead to nobody once the account is deleted.",
    ),
)
