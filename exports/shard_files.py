"""Writing shards: each in every form that a release has, from a plan and stored photographs. No database.

So some of them can be written by a second process, which is told nothing but names.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from django.conf import settings

from annotation.answers import Control
from exports import label_files, writers
from exports.models import Format
from exports.pictures import read_picture
from exports.plans import Plan
from exports.shards import PARQUET, PATHS, ROWS
from exports.writers import Add

WAIT = 5.0  # seconds between two signs of life
LONGEST_SILENCE = 600.0  # seconds in which a process writes no shard to its end: a large one takes less than one minute
SHARED_FROM = 500  # photographs: a second process takes a second to start
# It ends at once: to take all modules apart first would cost a third of what starting does.
STARTED = "import django, os; django.setup(); from exports import shard_files; shard_files.serve(); os._exit(0)"


@dataclass(frozen=True)
class Built:
    """One file that was written."""

    path: str
    sha256: str
    size: int
    shard: str = ""  # whose rows it holds, if any


@dataclass(frozen=True)
class Layout:
    """What is to be written and where: `sized` is the folder of photographs that were made smaller for the release."""

    plan: str
    folder: str
    sized: str
    forms: list[str]
    controls: list[tuple[str, str]]
    frames: dict[str, tuple[str, str, str, str]]  # `label_files.Frame` by label, for Label Studio's JSON


# Forms with photographs in them, which are read once for all.
OPEN: dict[str, Callable[[Path, Sequence[Control]], AbstractContextManager[Add]]] = {
    PARQUET: writers.open_parquet,
    Format.WEBDATASET: writers.open_tar,
    Format.FOLDER: label_files.open_folder,
}


def make_folders(layout: Layout) -> None:
    for form in layout.forms:
        Path(layout.folder, PATHS[form]).parent.mkdir(parents=True)


def write_shards(layout: Layout, plan: Plan, second: "Second | None" = None) -> list[Built]:
    """All shards of a plan that `second`, if there is one and it has begun, does not write."""
    built = list(_write_some(layout, plan, plan.shards))
    if second:
        built += second.finish(plan.beat)
    return sorted(built, key=lambda one: (one.shard, one.path))


def _write_some(layout: Layout, plan: Plan, names: Sequence[str]) -> Iterator[Built]:
    """Those that the other process has not begun."""
    for shard in names:
        if _is_mine(layout, shard):
            yield from _write_shard(layout, plan, shard)


def _is_mine(layout: Layout, shard: str) -> bool:
    try:
        Path(layout.folder).with_name(f"{shard}.begun").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _write_shard(layout: Layout, plan: Plan, shard: str) -> Iterator[Built]:
    folder, rows = Path(layout.folder), plan.rows_of(shard)
    controls = [Control(name, kind) for name, kind in layout.controls]
    records: list[dict[str, Any]] = [json.loads(line) for line, *_ in rows]
    named = {form: PATHS[form].format(shard) for form in layout.forms}
    paths = {form: folder / path for form, path in named.items()}
    read = partial(read_picture, Path(layout.sized))
    with ExitStack() as opened:
        adders = [opened.enter_context(OPEN[form](path, controls)) for form, path in paths.items() if form in OPEN]
        for (_, image, clean_key), record in zip(rows, records, strict=True):
            plan.beat()
            content = read(image, clean_key, record["image_sha256"])
            for add in adders:
                add(record, content)
    paths[ROWS].write_bytes(b"".join(line + b"\n" for line, *_ in rows))
    if Format.COCO in paths:
        label_files.write_coco(paths[Format.COCO], records, controls)
    if Format.LABEL_STUDIO in paths:
        frames = {name: label_files.Frame(*frame) for name, frame in layout.frames.items()}
        label_files.write_tasks(paths[Format.LABEL_STUDIO], records, frames)
    for name in named.values():
        yield built_file(folder, name, shard=shard)


def built_file(folder: Path, path: str, *, shard: str = "") -> Built:
    """What was written there."""
    with (folder / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Built(path, digest, (folder / path).stat().st_size, shard)


# --- The second process --------------------------------------------------------------------------


class Second:
    """A second process that writes shards of a plan.

    It takes a second to start, so it is started before there is a plan. If we are killed, it ends after the shard that
    it writes, and holds our lock (`collection.workplaces`) until then.
    """

    def __init__(self, folder: Path, *held: int) -> None:
        self._told, self._held = folder / "told.jsonl", held

    def __enter__(self) -> Self:
        with self._told.open("w") as answers:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and code
                [sys.executable, "-c", STARTED],
                cwd=settings.BASE_DIR,
                stdin=subprocess.PIPE,
                stdout=answers,
                text=True,
                pass_fds=self._held,
            )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self, layout: Layout) -> None:
        """Let it write what nobody else has begun; what it says beside its answers goes where ours goes."""
        assert self._process.stdin  # noqa: S101  # asked for
        with suppress(BrokenPipeError), self._process.stdin as asked:  # it is dead already: `finish` says so
            json.dump({"parent": os.getpid(), "layout": asdict(layout)}, asked)
        self._process.stdin = None

    def finish(self, beat: Callable[[], object] = lambda: None) -> list[Built]:
        """What it wrote, once it is done. RuntimeError with what went wrong, if it was never told to begin, or if it
        hangs."""
        if self._process.stdin and self._process.poll() is None:
            raise RuntimeError("the second process that writes shards was not told which")
        told, since = -1, time.monotonic()
        while (status := self._process.poll()) is None:
            beat()
            if (size := self._told.stat().st_size) != told:
                told, since = size, time.monotonic()
            elif time.monotonic() - since > LONGEST_SILENCE:
                raise RuntimeError("the second process that writes shards hangs")
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=WAIT)
        if status:
            raise RuntimeError(f"the second process that writes shards ended with status {status}")
        answers = [json.loads(line) for line in self._told.read_text().splitlines()]
        if wrong := next((answer for answer in answers if isinstance(answer, str)), ""):
            raise RuntimeError(wrong)
        return [Built(**built) for answer in answers for built in answer]


def serve() -> None:
    """Write what our parent, which says on standard input how, has not begun; on standard output what that was."""
    told = json.load(sys.stdin)
    layout = Layout(**told["layout"])
    plan = Plan(Path(layout.plan))
    for shard in plan.shards:
        if os.getppid() != told["parent"]:  # it was killed: nobody waits for this
            return
        try:
            answer: Any = [asdict(built) for built in _write_some(layout, plan, [shard])]
        except Exception as error:  # whatever it is, our parent notes it
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)  # noqa: T201  # our answer
        if isinstance(answer, str):
            return
