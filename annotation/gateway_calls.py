"""The gateway's side to Label Studio: calls in an annotator's name, and files in nobody's."""

import atexit
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
from django.conf import settings

from annotation import gateway
from annotation.access import hand_out, note_answer, project_open_to, task_held_by, to_finish_first
from annotation.gateway import Allow, Whose
from annotation.labelstudio import NOT_SET_UP, Account, LabelStudioError, task_ref
from annotation.models import Annotator, LabelTask
from consent.refusals import Refused

TIMEOUT = httpx.Timeout(20.0, connect=3.0)  # seconds
PASSED_BACK = ("content-type", "content-length", "content-encoding", "last-modified", "etag", "cache-control")
PASSED_ON = ("accept-encoding", "if-modified-since", "if-none-match")

NOT_YOUR_CAMPAIGN = "This campaign is not open to you now."
NOT_YOUR_TASK = "This photograph was not given to you to label, or it may not be used any more."
NOT_YOUR_ANSWER = "This is not an answer of yours."
NOT_JUST_NOW = "The next photograph cannot be shown just now. Please try again in a minute."


class AccountGone(LabelStudioError):
    """Label Studio does not know the annotator's account any more."""


@dataclass(frozen=True)
class Answer:
    """What the annotator gets: a status, and the JSON of it (None: no body)."""

    status: int
    json: Any


# --- In an annotator's name ----------------------------------------------------------------------


def check_ids(*, annotator: Annotator, ids: Mapping[str, int]) -> None:
    """Refused unless the project is open to them (or, for what they hold, to be finished) and the task is theirs."""
    begins = not ids.keys() & {"task", "annotation", "draft"}
    if "project" in ids and project_open_to(annotator, external_id=ids["project"], begins=begins) is None:
        raise Refused(NOT_YOUR_CAMPAIGN)
    if "task" in ids and task_held_by(annotator, external_id=ids["task"]) is None:
        raise Refused(NOT_YOUR_TASK)


def ask(*, annotator: Annotator, account: Account, allowed: Allow, path: str, body: Any) -> Answer:
    """Do what the table allows, once `check_ids` let it pass; Refused if it is about somebody else's answer."""
    rule, whose = allowed.rule, Whose(account.user, account.email)
    _check_answers(annotator, account, allowed, whose)
    if rule.hands_out and (held := to_finish_first(annotator)):
        return _give_again(account, held, allowed.ids["project"], whose)
    method, address = rule.to or (rule.method, path)
    answer = _send(
        account,
        method,
        address.format(**allowed.ids),
        params=None if rule.to else dict(allowed.query),
        json=gateway.passed_on(rule, body) if rule.body else None,
    )
    told = _json(answer) if answer.content else None
    if not answer.is_success:
        return Answer(answer.status_code, {"detail": told.get("detail", "") if isinstance(told, dict) else ""})
    if rule.hands_out and not _is_handed_out(annotator, told):
        return Answer(404, {"detail": NOT_JUST_NOW})
    if rule.answers:
        note_answer(annotator, external_id=allowed.ids["task"])
    return Answer(answer.status_code, rule.show(told, whose))


def _give_again(account: Account, held: Sequence[LabelTask], project: int, whose: Whose) -> Answer:
    """In place of a next task, what they have held longest in this project: they get no more before they answer it."""
    for task in held:
        if task.project is None or task.project.external_id != project:
            continue
        answer = _send(account, "GET", f"/api/tasks/{task.external_id}/")
        if answer.is_success:
            return Answer(answer.status_code, gateway.own_task(_json(answer), whose))
    raise Refused(
        f"You hold {len(held)} photographs that you have not answered. Answer or skip those of "
        f"“{held[0].campaign}” first."
    )


def _check_answers(annotator: Annotator, account: Account, allowed: Allow, whose: Whose) -> None:
    """Whose an annotation or a draft is, only Label Studio knows."""
    ids = allowed.ids
    if "annotation" in ids:
        found = _look_up(account, f"/api/annotations/{ids['annotation']}/")
        skipped = found.get("was_cancelled") or not allowed.rule.only_skipped
        if not (gateway.is_annotation_of(found, whose) and _is_of_held_task(annotator, ids, found) and skipped):
            raise Refused(NOT_YOUR_ANSWER)
    if "draft" in ids:
        found = _look_up(account, f"/api/drafts/{ids['draft']}/")
        if not (gateway.is_draft_of(found, whose) and _is_of_held_task(annotator, ids, found)):
            raise Refused(NOT_YOUR_ANSWER)


def _is_of_held_task(annotator: Annotator, ids: Mapping[str, int], found: Mapping[str, Any]) -> bool:
    task = found.get("task")
    if not isinstance(task, int) or ids.get("task", task) != task:
        return False
    return task_held_by(annotator, external_id=task) is not None


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


def _is_handed_out(annotator: Annotator, told: Any) -> bool:
    ref = task_ref(told)
    if ref is None:
        return False
    task = LabelTask.objects.filter(pk=ref.asset_id, external_id=ref.external_id).select_related("campaign").first()
    return task is not None and hand_out(annotator, task=task)


def _send(account: Account, method: str, path: str, **request: Any) -> httpx.Response:
    headers = {"Authorization": f"Token {account.token}", "Accept": "application/json", "Accept-Encoding": "identity"}
    answer = _exchange(httpx.Request(method, _address(path), headers=headers, **request))
    try:
        answer.read()
    except httpx.HTTPError as error:
        raise _away(method, path, error) from error
    finally:
        answer.close()
    if answer.status_code == 401:
        raise AccountGone(f"Label Studio answered 401 to {method} {path}: it does not know this account.", retry=False)
    if answer.status_code >= 500:
        raise LabelStudioError(f"Label Studio answered {answer.status_code} to {method} {path}.", retry=True)
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
    return Stream(_exchange(httpx.Request("GET", _address(f"{path}?{query}" if query else path), headers=sent)))


def _address(path: str) -> str:
    if not settings.LABEL_STUDIO_URL:
        raise LabelStudioError(NOT_SET_UP, retry=False)
    return f"{settings.LABEL_STUDIO_URL}{path}"


@cache
def _transport() -> httpx.HTTPTransport:
    """The connections of this process. No httpx.Client: it would keep one annotator's cookies for the next."""
    transport = httpx.HTTPTransport(limits=httpx.Limits(max_connections=64, max_keepalive_connections=16))
    atexit.register(transport.close)
    return transport


def _exchange(request: httpx.Request) -> httpx.Response:
    request.extensions["timeout"] = TIMEOUT.as_dict()
    try:
        answer = _transport().handle_request(request)
    except httpx.HTTPError as error:
        raise _away(request.method, request.url.path, error) from error
    answer.request = request
    return answer


def _away(method: str, path: str, error: httpx.HTTPError) -> LabelStudioError:
    return LabelStudioError(f"Label Studio did not answer {method} {path}: {error!r}", retry=True)
