"""The main job from end to end, in seven stages, through the doors that people use. Each notes what the checks need."""

import datetime
import itertools
import shutil
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo import cast, datasets, images, label, people, photographs, withdrawal
from demo.browser import Browser, Surprise
from demo.cast import Person
from demo.images import Desk, Upload
from demo.label import Annotator, Owner
from demo.mailbox import Mailbox
from demo.people import Place
from demo.progress import Counter, Progress
from demo.records import Records
from demo.stack import VAR, Stack, start

REST = "SELECT count(*) FROM collection_image WHERE status IN ('received', 'sanitized', 'screened')"
IMPORTING = "SELECT count(*) FROM collection_libraryimport WHERE finished_at IS NULL"
UNDOABLE = "SELECT count(*) FROM collection_reviewcase WHERE pending_id IS NOT NULL"
STATUSES = "SELECT status, count(*) FROM collection_image GROUP BY status"
PUSHED = "SELECT count(*) FROM annotation_labeltask WHERE state = 'pushed'"
# Images that the campaign may use: accepted, under a consent or a licence that names its purpose.
USABLE = """
    SELECT count(*) FROM collection_image i WHERE status = 'accepted' AND (
      EXISTS (SELECT 1 FROM consent_consentpurpose p WHERE p.consent_id = i.consent_id AND p.purpose_id = 'research')
      OR EXISTS
      (SELECT 1 FROM consent_licencepurpose p WHERE p.licence_id = i.licence_id AND p.purpose_id = 'research'))
"""
MOVES = "SELECT count(*) FROM collection_transition"
KILL_AT = (0.2, 1.2)  # status changes per photograph; there are two or three of each in all
PAID = "SELECT count(*) FROM annotation_earning"


@dataclass
class Walk:
    """What the stages hand on to one another and to the checks."""

    stack: Stack
    progress: Progress
    own: list[Path]
    small: bool = False  # `make run`: the same people with one photograph each
    uploads: dict[int, list[Upload]] = field(default_factory=dict)  # by contributor
    contributors: list[Person] = field(default_factory=cast.contributors)
    browsers: list[Browser] = field(default_factory=list)
    annotators: list[Annotator] = field(default_factory=list)
    releases: list[datasets.Release] = field(default_factory=list)
    first_rows: list[dict[str, Any]] = field(default_factory=list)  # of release 1, before the withdrawal
    minor_refused: str = ""
    undecided_refused: str = ""
    expired_refused: str = ""
    kills: int = 0
    dropped: int = 0
    desk: Desk | None = None
    campaign: str = ""
    project: int = 0
    outcome: withdrawal.Outcome = field(default_factory=withdrawal.Outcome)
    verified: list[str] = field(default_factory=list)
    noted: dict[str, Any] = field(default_factory=dict)  # what single checks compare

    @property
    def place(self) -> Place:
        return Place(self.stack.web, Mailbox(self.stack.mail))

    @property
    def records(self) -> Records:
        return Records(self.stack.database)

    @property
    def owner(self) -> Owner:
        return Owner(self.stack.label_studio, self.stack.label_studio_token)

    @property
    def drawn(self) -> Path:
        return VAR / "cache" / "portraits" / photographs.VERSION

    def views_of(self, target: withdrawal.Target) -> list[str]:
        """The addresses at which Label Studio's page fetches these images."""
        keys = self.records.rows("SELECT view_key, image_id FROM annotation_labeltask")
        return [f"{self.stack.labelling}/images/{key}/" for key, image in keys if image in target.images]

    def staff(self, person: Person) -> Browser:
        """The one browser of a member of staff."""
        if person.email not in self.noted:
            self.noted[person.email] = people.sign_in_staff(self.place, person)
        browser: Browser = self.noted[person.email]
        return browser

    @property
    def manager(self) -> Browser:
        return self.staff(cast.MANAGER)

    @property
    def reviewer(self) -> Browser:
        return self.staff(cast.REVIEWER)


def at_once(work: Callable[..., Any], *arguments: Iterable[Any], threads: int = 4) -> list[Any]:
    """`map` on several threads; the first error is raised."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, *arguments))


# --- 0. The stack -------------------------------------------------------------------------------


def begin(walk: Walk) -> None:
    """Start everything; meanwhile, draw what was not drawn before."""
    parts = ["draw-0", "draw-1"]
    for part, name in enumerate(parts):
        walk.stack.held.start(
            name, [sys.executable, "-m", "demo.photographs", walk.drawn, str(part), "2"], walk.stack.bare_env()
        )
    start(walk.stack, walk.progress)
    walk.progress.watch = walk.stack.check
    ended = [walk.stack.held.has_ended(name) for name in parts]
    walk.progress.wait(
        lambda: all(one() for one in ended),
        "drawing the photographs (once; later runs find them in var/cache)",
        600,
        lambda: f"{len(list(walk.drawn.glob('*.*')))} files",
    )
    for name in parts:
        walk.stack.held.wait(name)
    walk.progress.say(f"  Likeness at {walk.stack.web}, Label Studio at {walk.stack.label_studio}")


# --- 1. People ----------------------------------------------------------------------------------


def sign(walk: Walk) -> None:
    people.add_staff(walk.stack)
    people.publish_form(walk.manager)
    people.open_call(walk.manager, len(walk.own))
    walk.progress.say("  the form is published, the call is open")
    numbered = list(enumerate(walk.contributors))
    walk.browsers = at_once(lambda one: people.join_and_sign(walk.place, *one), numbered)
    walk.progress.say(
        f"  {len(numbered)} contributors confirmed their e-mail and signed, each for purposes of their own"
    )
    if walk.small:
        return
    walk.minor_refused = people.refuse_minor(walk.place)
    walk.progress.say(f"  a seventeen-year-old was refused: “{walk.minor_refused}”")
    walk.undecided_refused = images.refuse_unsigned(walk.place)
    walk.progress.say(f"  somebody who did not sign cannot upload: “{walk.undecided_refused}”")


# --- 2. Photographs -----------------------------------------------------------------------------


def upload(walk: Walk) -> None:
    """Everybody uploads; meanwhile the worker is killed with -9 and started again."""
    photos = photographs.contributions(walk.drawn, walk.own)
    if walk.small:
        photos = [photo for photo in photos if photo.kind == "original" and photo.path.stem.endswith("-0")]
    by_person = [[photo for photo in photos if photo.person == person] for person in range(len(walk.browsers))]
    sent = Counter()

    def send(person: int) -> None:
        walk.uploads[person] = images.upload(walk.browsers[person], by_person[person], sent)

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(send, person) for person in range(len(walk.browsers))]
        if not walk.small:
            for share in KILL_AT:
                _kill_worker_at(walk, round(share * len(photos)))
        walk.progress.wait(lambda: all(one.done() for one in running), "uploading", 600, lambda: f"{sent.value} sent")
        for upload in running:
            upload.result()
    refused = [one for one in itertools.chain(*walk.uploads.values()) if not one.image_id]
    walk.progress.say(f"  {sent.value} files sent, {len(refused)} refused at the door")
    for one in refused:
        walk.progress.say(f"    {one.photo.name} ({one.photo.kind}): “{one.message}”")


def _kill_worker_at(walk: Walk, moves: int) -> None:
    """kill -9 the worker in the middle of its work, once that many status changes were made; start another."""
    made: Callable[[], int] = lambda: walk.records.one(MOVES)  # noqa: E731
    walk.progress.wait(lambda: made() >= moves, "taking in", 600, lambda: f"{made()} moves")
    walk.stack.kill_worker()
    walk.kills += 1
    walk.progress.say(f"  the worker was killed with -9 after {made()} status changes; another one starts")
    walk.stack.start_worker()


# --- 3. The library -----------------------------------------------------------------------------


def library(walk: Walk) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    archive = walk.stack.var / "library.zip"
    photos = photographs.library_photos(walk.drawn)
    photographs.write_library(photos, archive)
    images.add_licence(walk.manager, "Studio portraits", today + datetime.timedelta(days=365))
    images.add_licence(walk.manager, "Expired portraits", today - datetime.timedelta(days=1))
    walk.expired_refused = images.refuse_expired(walk.manager, "Expired portraits", archive)
    walk.progress.say(f"  the expired licence was refused: “{walk.expired_refused}”")
    images.import_library(walk.manager, "Studio portraits", archive)
    imports: Callable[[], int] = lambda: walk.records.one(IMPORTING)  # noqa: E731
    walk.progress.wait(lambda: imports() == 0, "importing", 120, lambda: f"{imports()} import under way")
    imported = walk.records.one("SELECT count(*) FROM collection_image WHERE licence_id IS NOT NULL")
    if imported != len(photos):
        raise Surprise(f"{imported} of {len(photos)} library images were imported")
    walk.progress.say(f"  {imported} images imported under a licence")


# --- 4. The pipeline and the desk ---------------------------------------------------------------


def settle(walk: Walk) -> None:
    _until_at_rest(walk)
    walk.noted["before the desk"] = walk.records.counts(STATUSES)
    walk.progress.say(f"  the pipeline is done: {_told(walk)}")
    for person, uploads in walk.uploads.items():
        for one in uploads:
            if one.image_id and one.photo.kind in images.TURNED_DOWN:
                said = images.reason_told(walk.browsers[person], one.photo)
                walk.progress.say(f"    {one.photo.name} ({one.photo.kind}): “{said}”")
    walk.desk = images.settle_all(walk.reviewer)
    walk.progress.wait(lambda: walk.records.one(UNDOABLE) == 0, "decisions can still be undone", 60)
    _until_at_rest(walk)
    walk.progress.say(f"  the reviewer settled {walk.desk.looked_at}: {_told(walk)}")


def _until_at_rest(walk: Walk) -> None:
    walk.progress.wait(lambda: walk.records.one(REST) == 0, "the pipeline is at work", 600, lambda: _told(walk))


def _told(walk: Walk) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(walk.records.counts(STATUSES).items()))


# --- 5. Labels ----------------------------------------------------------------------------------


def annotate(walk: Walk) -> None:
    for person in cast.ANNOTATORS:
        label.invite(walk.manager, person)
        walk.annotators.append(label.join(walk.place, walk.stack.labelling, person))
    walk.campaign = label.start_campaign(walk.manager)
    wanted = walk.records.one(USABLE)
    pushed: Callable[[], int] = lambda: walk.records.one(PUSHED)  # noqa: E731
    walk.progress.wait(lambda: pushed() == wanted, "pushing tasks", 120, lambda: f"{pushed()} of {wanted}")
    walk.project = walk.owner.project()
    walk.progress.say(f"  {wanted} tasks are in Label Studio, {len(walk.annotators)} annotators joined")
    if walk.small:
        return
    _label(walk, wanted * len(walk.annotators))


def _label(walk: Walk, wanted: int) -> None:
    """All annotators at once. In the middle Label Studio drops its webhooks: the sweep has to find those labels."""
    made = Counter()
    with ThreadPoolExecutor(len(walk.annotators)) as pool:
        running = [pool.submit(label.label_everything, one, walk.project, made) for one in walk.annotators]

        def reached(count: int) -> Callable[[], bool]:
            return lambda: made.value >= count or all(one.done() for one in running)

        told: Callable[[], str] = lambda: f"{made.value} of {wanted}"  # noqa: E731
        walk.progress.wait(reached(wanted // 3), "labelling", 600, told)
        walk.owner.switch_webhook(walk.project, on=False)
        before = made.value
        walk.progress.wait(reached(wanted // 2), "labelling without webhooks", 600, told)
        walk.dropped = made.value - before
        walk.owner.switch_webhook(walk.project, on=True)
        walk.progress.wait(lambda: all(one.done() for one in running), "labelling", 600, told)
        for one in running:
            one.result()
    paid: Callable[[], int] = lambda: walk.records.one(PAID)  # noqa: E731
    walk.progress.wait(lambda: paid() >= made.value, "labels come back", 60, lambda: f"{paid()} of {made.value} paid")
    total = sum(label.balance(one) for one in walk.annotators)
    walk.progress.say(
        f"  {made.value} annotations made, {walk.dropped} of them while webhooks were dropped; "
        f"{paid()} paid, {total:.2f} {cast.CAMPAIGN['currency']} on the pay pages"
    )


# --- 6. Release 1 -------------------------------------------------------------------------------


def publish(walk: Walk) -> None:
    key = walk.noted["key"] = datasets.fetch_key(walk.stack)
    research, product = (cast.PURPOSES[code][0] for code in ("research", "product"))
    main = datasets.add_dataset(walk.manager, cast.ENGINEER, cast.DATASET, research, cast.CAMPAIGN["name"])
    other = datasets.add_dataset(walk.manager, cast.ENGINEER, cast.SECOND_DATASET, product, "")
    walk.noted |= {"main": main, "other": other}
    for dataset in (main, other):
        datasets.draft(walk.manager, dataset)
    for dataset in (main, other):
        datasets.publish(walk.progress, walk.manager, walk.staff(cast.SECOND_MANAGER), dataset)
    folder = walk.stack.var / "pull"
    release = datasets.pull(walk.stack, main, folder, key)
    _verify(walk, release)
    walk.releases.append(release)
    walk.first_rows = release.rows()
    walk.noted["sums of release 1"] = release.sums()
    again = datasets.pull(walk.stack, main, walk.stack.var / "pull-again", key)
    walk.noted["sums of release 1, again"] = again.sums()
    shutil.rmtree(walk.stack.var / "pull-again")
    walk.noted["files of release 1"] = dict(release.texts())
    walk.noted["other release"] = datasets.pull(walk.stack, other, folder, key)
    walk.progress.say(f"  {release.dataset} {release.version}: {len(walk.first_rows)} rows pulled and verified")


def _verify(walk: Walk, release: datasets.Release) -> None:
    content, said = datasets.verify(walk.stack, release.folder, walk.noted["key"])
    if not content:
        raise Surprise(f"verify is not content with {release.folder}: {said[-1500:]}")
    walk.verified.append(said.splitlines()[-1])


# --- 7. Withdrawal ------------------------------------------------------------------------------


def withdraw(walk: Walk) -> None:
    person = cast.WITHDRAWS
    browser, taken = walk.browsers[person], [one for one in walk.uploads[person] if one.image_id]
    ids = [one.image_id for one in taken]
    target = withdrawal.note_target(walk.records, walk.owner, walk.project, ids)
    watched = withdrawal.open_doors(
        withdrawal.page_doors(browser, [f"/me/photos/{one}/thumb" for one in ids])
        | withdrawal.page_doors(walk.reviewer, [f"/staff/images/{one}/preview" for one in ids])
        | withdrawal.page_doors(walk.annotators[0].here, walk.views_of(target))
        | withdrawal.file_doors(walk.stack, walk.noted["main"], walk.releases[0], target.hashes)
    )
    walk.progress.say(
        f"  {walk.contributors[person].name} withdraws {len(ids)} photographs: {len(watched)} ways to read them"
    )
    pressed, certificate = withdrawal.withdraw(browser)
    outcome = walk.outcome = withdrawal.Outcome(images=len(ids), doors=len(watched))
    outcome.seconds_to_refused = round(withdrawal.refused_after(pressed, watched, walk.progress), 2)
    walk.progress.say(f"  every read refused after {outcome.seconds_to_refused} s")
    left: Callable[[], list[str]] = lambda: withdrawal.traces(  # noqa: E731
        walk.stack, walk.records, walk.owner, walk.project, target
    )
    try:
        outcome.seconds_to_gone = round(withdrawal.gone_after(pressed, left, walk.progress), 2)
    finally:
        outcome.traces = left()
        outcome.files_left = sum(trace.startswith("file ") for trace in outcome.traces)
        outcome.label_tasks_left = len(withdrawal.label_tasks_left(walk.owner, walk.project, target))
    walk.progress.say(f"  bytes, hashes and label tasks gone after {outcome.seconds_to_gone} s")
    walk.noted["target"] = target
    _pull_after(walk)
    after = withdrawal.certified_after(pressed, certificate, walk.stack, walk.progress)
    outcome.seconds_to_certificate = round(after, 2)
    walk.progress.say(f"  the erasure certificate was signed after {outcome.seconds_to_certificate} s at the latest")


def _pull_after(walk: Walk) -> None:
    """The next pull removes the rows; release 2 does not have them."""
    main, key, folder = walk.noted["main"], walk.noted["key"], walk.stack.var / "pull"
    marked: Callable[[], bool] = lambda: datasets.api(walk.stack, main, "notices/").json()["notices"] != []  # noqa: E731
    walk.progress.wait(marked, "the notice is signed", 60)
    first = walk.releases[0]
    walk.noted["pull after withdrawal"] = datasets.pull_version(walk.stack, main, first.version, folder, key)
    walk.outcome.pulled_rows_removed = len(walk.first_rows) - len(first.rows())
    _verify(walk, first)
    datasets.draft(walk.manager, main)
    datasets.publish(walk.progress, walk.manager, walk.staff(cast.SECOND_MANAGER), main)
    second = datasets.pull(walk.stack, main, folder, key)
    _verify(walk, second)
    walk.releases.append(second)
    walk.progress.say(
        f"  the next pull took {walk.outcome.pulled_rows_removed} rows out of {first.version}; "
        f"{second.version} has {len(second.rows())} rows and none of them"
    )
