"""The gateway's side to Label Studio: calls in an annotator's name, and files in nobody's."""

import atexit
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from threading import BoundedSemaphore, Lock
from typing import Any

import httpx
from django.conf import settings

from annotation import gateway
from annotation.access import Held, may_begin_in, may_finish_in, task_held_by
from annotation.config import check_result, parse_config
from annotation.gateway import Allow, Whose
from annotation.handouts import (
    hand_out,
    hand_out_another,
    hand_out_offered,
    keep_place,
    let_go,
    note_answer,
    to_finish_first,
)
from annotation.labelstudio import NOT_SET_UP, Account, LabelStudioError, task_ref
from annotation.models import Annotator, LabelTask
from consent.connections import give_back
from consent.refusals import Refused

TIMEOUT = httpx.Timeout(20.0, connect=3.0, pool=30.0)  # seconds; `pool`: until our turn has come
PASSED_BACK = ("content-type", "content-length", "content-encoding", "last-modified", "etag", "cache-control")
PASSED_ON = ("accept-encoding", "if-modified-since", "if-none-match")

FILES_AT_ONCE = 32
MOST_WAITING = 64  # calls, under way or waiting for their turn: half of the threads that README names for a process
_making = Lock()
_room = BoundedSemaphore(MOST_WAITING)
LONGEST_SECONDS = 1e9
LARGEST_ID = 2**63
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

NOT_YOUR_CAMPAIGN = "This campaign is not open to you now."
NOT_YOUR_TASK = "This photograph was not given to you to label, or it may not be used any more."
NOT_YOUR_ANSWER = "This is not an answer of yours."
NOT_JUST_NOW = "There is no photograph for you just now: others have those that are left. Please look again later."
ALL_GIVEN = (
    "You held this photograph for long, and others have given all annotations of it that are paid. "
    "Nothing was sent: skip it, and go on with the next one."
)


class AccountGone(LabelStudioError):
    """Label Studio does not know the annotator's account any more."""


@dataclass(frozen=True)
class Answer:
    """What the annotator gets: a status, and the JSON of it (None: no body)."""

    status: int
    json: Any


# --- In an annotator's name ----------------------------------------------------------------------


def check_ids(*, annotator: Annotator, ids: Mapping[str, int]) -> Held | None:
    """Refused unless the project is open to them (or, for what they hold, to be finished) and the task is theirs; the
    task, if one is named."""
    held = task_held_by(annotator, external_id=ids["task"]) if "task" in ids else None
    begins = not ids.keys() & {"task", "annotation", "draft"}
    if "project" in ids and not (held and held.project == ids["project"]):
        project = ids["project"]
        if not (may_begin_in(annotator, project=project) if begins else may_finish_in(project=project)):
            raise Refused(NOT_YOUR_CAMPAIGN)
    if "task" in ids and held is None:
        raise Refused(NOT_YOUR_TASK)
    return held


def ask(*, annotator: Annotator, account: Account, allowed: Allow, held: Held | None, path: str, body: Any) -> Answer:
    """Do what the table allows, once `check_ids` let it pass and found the task that they hold; Refused if it is about
    somebody else's answer."""
    rule, whose = allowed.rule, Whose(account.user, account.email)
    if rule.hands_out:
        return _next_task(annotator, account, allowed, path)
    there, held = _there(annotator, account, allowed, whose, held)
    sent = gateway.passed_on(rule, body) if rule.body else None
    _check_fields(sent or {})
    skipped = (sent or {}).get("was_cancelled", False)
    answered = held if rule.answers else None
    if "annotation" in allowed.ids and sent is not None and not {"result", "was_cancelled"} & set(sent):
        answered = None  # how long it took, and the like: no answer, which would have a place kept
    if answered is not None and not skipped:
        _check_answer(annotator, answered, (there | (sent or {})).get("result"))
    answer = _pass_on(account, allowed, path, sent)
    told = _json(answer) if answer.content else None
    if not answer.is_success:
        return _no(answer.status_code, told)
    if answered is not None:
        note_answer(annotator, task=answered.task, skipped=skipped)
    return Answer(answer.status_code, rule.show(told, whose))


def _check_fields(sent: Mapping[str, Any]) -> None:
    """Refused for what Label Studio would read in a way of its own, or fail at: it keeps "Infinity" as a time, and from
    then on shows that task to nobody."""
    seconds, draft, unique = sent.get("lead_time"), sent.get("draft_id"), sent.get("unique_id")
    if not isinstance(sent.get("was_cancelled", False), bool):
        raise Refused("Whether a photograph was skipped is true or false.")
    if seconds is not None and not (type(seconds) in (int, float) and abs(seconds) < LONGEST_SECONDS):
        raise Refused("How long it took is a number of seconds.")
    if draft is not None and not (type(draft) is int and 0 <= draft < LARGEST_ID):
        raise Refused("A draft is named by its number.")
    if unique is not None and not (isinstance(unique, str) and UUID.fullmatch(unique)):
        raise Refused("An answer is named by a UUID.")


def _check_answer(annotator: Annotator, held: Held, result: Any) -> None:
    """Refused unless intake will accept this answer to a task that they hold, and a place is kept for it from now on:
    Label Studio would say that it is saved. What is refused for its content keeps no place."""
    if refusal := check_result(parse_config(held.config), result):
        raise Refused(f"{refusal} Nothing was sent: complete or correct it, then send it again.")
    if not held.is_kept and not keep_place(annotator, task=held.task):
        raise Refused(ALL_GIVEN)


def _pass_on(account: Account, allowed: Allow, path: str, sent: Any) -> httpx.Response:
    method, address = allowed.rule.to or (allowed.rule.method, path)
    params = None if allowed.rule.to else dict(allowed.query)
    return _send(account, method, address.format(**allowed.ids), params=params, json=sent)


def _no(status: int, told: Any) -> Answer:
    return Answer(status, {"detail": told.get("detail", "") if isinstance(told, dict) else ""})


# --- The next task -------------------------------------------------------------------------------


def _next_task(annotator: Annotator, account: Account, allowed: Allow, path: str) -> Answer:
    """What Label Studio gives them, if it has a place for them; or else another one that has."""
    project, whose = allowed.ids["project"], Whose(account.user, account.email)
    if held := to_finish_first(annotator):
        return _give_again(annotator, account, held, project, whose)
    answer = _pass_on(account, allowed, path, None)
    told = _json(answer)
    if answer.is_success and _is_handed_out(annotator, told):
        return Answer(answer.status_code, gateway.own_task(told, whose))
    if not answer.is_success and answer.status_code != HTTPStatus.NOT_FOUND:
        return _no(answer.status_code, told)
    if another := hand_out_another(annotator, project=project):
        if given := _give(account, another, whose):
            return given
        let_go(annotator, task=another)
    return Answer(404, {"detail": NOT_JUST_NOW}) if answer.is_success else _no(answer.status_code, told)


def _give_again(
    annotator: Annotator, account: Account, held: Sequence[LabelTask], project: int, whose: Whose
) -> Answer:
    """In place of a next task, what they have held longest in this project: they get no more before they answer it."""
    for task in held:
        if task.project is None or task.project.external_id != project or not hand_out(annotator, task=task):
            continue
        if given := _give(account, task, whose):
            return given
    raise Refused(
        f"You hold {len(held)} photographs that you have not answered. Answer or skip those of "
        f"“{held[0].campaign}” first."
    )


def _give(account: Account, task: LabelTask, whose: Whose) -> Answer | None:
    answer = _send(account, "GET", f"/api/tasks/{task.external_id}/")
    return Answer(answer.status_code, gateway.own_task(_json(answer), whose)) if answer.is_success else None


def _is_handed_out(annotator: Annotator, told: Any) -> bool:
    ref = task_ref(told)
    if ref is None:
        return False
    _as_id(ref.external_id)
    return hand_out_offered(annotator, ref=ref)


def _as_id(number: int) -> int:
    """A task's number in an answer of Label Studio's, of the kind that its own ids are: no others can be looked up."""
    if not 0 <= number < LARGEST_ID:
        raise LabelStudioError("Label Studio gave a task a number that is no id.", retry=False)
    return number


# --- Whose it is ---------------------------------------------------------------------------------


def _there(
    annotator: Annotator, account: Account, allowed: Allow, whose: Whose, held: Held | None
) -> tuple[dict[str, Any], Held | None]:
    """The annotation or draft that a call names, as Label Studio has it, and its task; {} if it names none. Refused if
    it is somebody else's: whose one is, only Label Studio knows."""
    ids = allowed.ids
    found: dict[str, Any] = {}
    if "annotation" in ids:
        found = _look_up(account, f"/api/annotations/{ids['annotation']}/")
        held = _held_task_of(annotator, ids, found) if gateway.is_annotation_of(found, whose) else None
        if held is None or (allowed.rule.only_skipped and not found.get("was_cancelled")):
            raise Refused(NOT_YOUR_ANSWER)
    if "draft" in ids:
        found = _look_up(account, f"/api/drafts/{ids['draft']}/")
        held = _held_task_of(annotator, ids, found) if gateway.is_draft_of(found, whose) else None
        if held is None:
            raise Refused(NOT_YOUR_ANSWER)
    return found, held


def _held_task_of(annotator: Annotator, ids: Mapping[str, int], found: Mapping[str, Any]) -> Held | None:
    """The task of what was found there, if it is the one that the call names, if any, and theirs."""
    task = found.get("task")
    if not isinstance(task, int) or ids.get("task", task) != task:
        return None
    return task_held_by(annotator, external_id=_as_id(task))


def _look_up(account: Account, path: str) -> dict[str, Any]:
    """{} for what is not there."""
    answer = _send(account, "GET", path)
    return _json(answer) if answer.is_success else {}


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:  # what it has no view for it answers with a page
        path = answer.request.url.path
        raise LabelStudioError(f"Label Studio answered {path} with something else than JSON.", retry=False) from None


def _send(account: Account, method: str, path: str, **request: Any) -> httpx.Response:
    """Its answer, of any status below 500 but 401. Where it fails at a question, it is asked once more: on SQLite it
    fails now and then ("database is locked"), and to ask changes nothing."""
    answer = _send_once(account, method, path, **request)
    if answer.status_code >= 500 and method == "GET":
        answer = _send_once(account, method, path, **request)
    if answer.status_code == 401:
        raise AccountGone(f"Label Studio answered 401 to {method} {path}: it does not know this account.", retry=False)
    if answer.status_code >= 500:
        raise LabelStudioError(f"Label Studio answered {answer.status_code} to {method} {path}.", retry=True)
    return answer


def _send_once(account: Account, method: str, path: str, **request: Any) -> httpx.Response:
    headers = {"Authorization": f"Token {account.token}", "Accept": "application/json", "Accept-Encoding": "identity"}
    asked = httpx.Request(method, _address(path), headers=headers, **request)
    if not _room.acquire(blocking=False):  # it hangs, or nearly: the rest of the site needs threads as well
        raise LabelStudioError(f"{MOST_WAITING} calls wait for Label Studio: {method} {path} is not sent.", retry=True)
    try:
        answer = _exchange(asked, _transport("calls", settings.LABEL_STUDIO_CALLS))
        try:
            answer.read()
        except httpx.HTTPError as error:
            raise _away(method, path, error) from error
        finally:
            answer.close()
    finally:
        _room.release()
    return answer


# --- In nobody's name ----------------------------------------------------------------------------


class Stream:
    """A file on its way from Label Studio, piece by piece; closing it gives the connection back."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self.headers = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_raw()

    def close(self) -> None:
        self._answer.close()


def fetch_file(*, path: str, query: str, headers: Mapping[str, str]) -> Stream:
    """A file as Label Studio gives it to anybody; `headers` are the browser's."""
    sent = {name: headers[name] for name in PASSED_ON if name in headers}
    asked = httpx.Request("GET", _address(f"{path}?{query}" if query else path), headers=sent)
    return Stream(_exchange(asked, _transport("files", FILES_AT_ONCE)))


def _address(path: str) -> str:
    if not settings.LABEL_STUDIO_URL:
        raise LabelStudioError(NOT_SET_UP, retry=False)
    return f"{settings.LABEL_STUDIO_URL}{path}"


def _transport(what: str, at_once: int) -> httpx.HTTPTransport:
    """The connections of this process for one kind of call, so many at once; who comes later waits for their turn, in
    order."""
    with _making:  # `cache` alone lets two threads that come first make one each
        return _new_transport(what, at_once)


@cache
def _new_transport(what: str, at_once: int) -> httpx.HTTPTransport:
    """No httpx.Client: it would keep one annotator's cookies for the next."""
    transport = httpx.HTTPTransport(limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once))
    atexit.register(transport.close)
    return transport


def _exchange(request: httpx.Request, transport: httpx.HTTPTransport) -> httpx.Response:
    request.extensions["timeout"] = TIMEOUT.as_dict()
    give_back()  # Label Studio may take long to answer, and so may our turn to ask it
    try:
        answer = transport.handle_request(request)
    except httpx.HTTPError as error:
        raise _away(request.method, request.url.path, error) from error
    answer.request = request
    return answer


def _away(method: str, path: str, error: httpx.HTTPError) -> LabelStudioError:
    return LabelStudioError(f"Label Studio did not answer {method} {path}: {error!r}", retry=True)
