"""Label Studio over HTTP: plain functions, one error type.

Plain HTTP instead of the SDK's client: that one retries imports (which are not idempotent), ignores `ids` in exports
and leaves its connections open. Label Studio reuses task ids on SQLite, so every answer is read by our `asset_id`.
"""

import datetime
import json
import secrets
import ssl
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from django.conf import settings
from django.utils.dateparse import parse_datetime

from consent import connections

MAX_IMPORT = 500  # tasks per import, and ids per look-up: the ids travel in the address
MAX_FETCH = 200
MAX_PROJECT = 20_000  # tasks: beyond it Label Studio's lists and exports become slow
PAGE = 1000
TIMEOUT = 20.0  # seconds; a push's lease and its second look at doubtful tasks are longer than this
WEBHOOK_ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED")  # the ones that name their task
SECRET_HEADER = "X-Likeness-Secret"  # noqa: S105  # a header's name
RETRY_STATUS = {408, 425, 429}
# Columns of its lists that it would work out for every task, and that nothing here reads.
UNSHOWN = [
    f"tasks:{name}"
    for name in (
        "annotations_ids", "annotations_results", "avg_lead_time", "completed_at", "draft_exists", "file_upload",
        "predictions_model_versions", "predictions_results", "predictions_score", "reviewed", "storage_filename",
        "total_predictions", "updated_by",
    )
]  # fmt: skip
NOT_SET_UP = "Label Studio is not set up: set LABEL_STUDIO_URL and LABEL_STUDIO_TOKEN."


class LabelStudioError(Exception):
    """Label Studio could not be reached or refused. `retry`: the same request may work later, or may have worked."""

    def __init__(self, message: str, *, retry: bool) -> None:
        super().__init__(message)
        self.retry = retry


@dataclass(frozen=True)
class TaskRef:
    """A task there: its id of the moment and our own identity of it."""

    external_id: int
    asset_id: uuid.UUID


@dataclass(frozen=True)
class RemoteAnnotation:
    """One annotation as Label Studio tells it."""

    unique_id: uuid.UUID
    user: int | None
    result: Any
    skipped: bool
    made_at: datetime.datetime
    lead_seconds: float | None


@dataclass(frozen=True)
class RemoteTask:
    ref: TaskRef
    annotations: tuple[RemoteAnnotation, ...]


@dataclass(frozen=True)
class ListedTask:
    """A task in the list of a whole project; `ref` is None for one that somebody else made."""

    external_id: int
    ref: TaskRef | None
    annotations: int  # skipped ones too
    users: frozenset[int]  # who made them


# --- Projects ------------------------------------------------------------------------------------


def ensure_project(*, title: str, mark: str, config: str, overlap: int) -> int:
    """The id of the project whose description is `mark`, made when absent, with its webhook."""
    found = [row["id"] for row in _pages("/api/projects/", "results", include="id,description") if _is(row, mark)]
    project = found[0] if found else _create_project(title, mark, config, overlap)
    _ensure_webhook(project)
    return project


def find_mark(*, project: int) -> str | None:
    """The description of the project that has this id now; None if there is none."""
    try:
        return str(_row("GET", f"/api/projects/{project}/").get("description") or "")
    except LabelStudioError as error:
        if _status(error) == HTTPStatus.NOT_FOUND:
            return None
        raise


def mark_project(*, project: int, mark: str) -> None:
    """Give a project the webhook of where we are now, and its mark again: last, so that what failed is made up for."""
    _ensure_webhook(project)
    _call("PATCH", f"/api/projects/{project}/", json={"description": mark})


def _is(project: Mapping[str, Any], mark: str) -> bool:
    return bool(project.get("description") == mark)


def _create_project(title: str, mark: str, config: str, overlap: int) -> int:
    body = {
        "title": title[:50].ljust(3, "."),  # 3 to 50 characters
        "description": mark,
        "label_config": config,
        "maximum_annotations": overlap,
    }
    return int(_call("POST", "/api/projects/", json=body).json()["id"])


def _ensure_webhook(project: int) -> None:
    url = f"{settings.BASE_URL}/hooks/label-studio/"
    hooks = _call("GET", "/api/webhooks/", params={"project": project}).json()
    if any(hook["url"] == url and hook["project"] == project for hook in hooks):
        return
    body = {
        "url": url,
        "project": project,
        "send_payload": True,
        "send_for_all_actions": False,
        "actions": WEBHOOK_ACTIONS,
        "headers": {SECRET_HEADER: settings.LABEL_STUDIO_WEBHOOK_SECRET},
    }
    _call("POST", "/api/webhooks/", json=body)


# --- Tasks ---------------------------------------------------------------------------------------


def import_batch(*, project: int, data: Sequence[Mapping[str, str]]) -> list[int]:
    """Make one task per item of `data` (at most 500) and return their ids in the same order.

    All or nothing, and not idempotent: after an error with `retry` the tasks may or may not be there.
    """
    if len(data) > MAX_IMPORT:
        raise ValueError(f"at most {MAX_IMPORT} tasks per import, not {len(data)}")
    path = f"/api/projects/{project}/import"
    answer = _call("POST", path, params={"return_task_ids": "true"}, json=[{"data": item} for item in data])
    made = answer.json().get("task_ids") or []
    if len(made) != len(data):
        raise LabelStudioError(f"Label Studio answered with {len(made)} ids for {len(data)} tasks.", retry=True)
    return [int(task) for task in made]


def find_tasks(*, project: int, asset_ids: Sequence[uuid.UUID]) -> list[TaskRef]:
    """What is there for these identities (at most 500), several per identity if it was imported twice."""
    if len(asset_ids) > MAX_IMPORT:
        raise ValueError(f"at most {MAX_IMPORT} identities per look-up, not {len(asset_ids)}")
    if not asset_ids:
        return []
    found = _list(project, "data.asset_id", "in_list", "String", [str(asset_id) for asset_id in asset_ids])
    wanted = set(asset_ids)
    return [ref for ref in found if ref.asset_id in wanted]


def list_tasks(*, project: int) -> list[ListedTask]:
    """Everything that the project has, by Label Studio's ids. What is deleted meanwhile may hide another."""
    include = "id,data,total_annotations,cancelled_annotations,annotators"
    # It works out who annotated a task only where a list shows that column, and the others would cost more.
    query = json.dumps({"hiddenColumns": {"explore": UNSHOWN, "labeling": UNSHOWN}})
    rows = _pages("/api/tasks/", "tasks", project=project, query=query, fields="task_only", include=include)
    try:
        return sorted((_listed(row) for row in rows), key=lambda listed: listed.external_id)
    except (KeyError, TypeError, ValueError) as error:
        raise LabelStudioError(f"Label Studio listed a task that is none: {error!r}", retry=True) from error


def _listed(row: Mapping[str, Any]) -> ListedTask:
    annotations = int(row["total_annotations"]) + int(row["cancelled_annotations"])
    users = frozenset(int(user) for user in row["annotators"])
    return ListedTask(external_id=int(row["id"]), ref=task_ref(row), annotations=annotations, users=users)


def updated_since(*, project: int, since: datetime.datetime) -> tuple[list[TaskRef], datetime.datetime]:
    """Tasks changed after `since` (UTC), and Label Studio's own time before it was asked. Deleted tasks do not show."""
    asked_at = _server_time()
    return list(_list(project, "updated_at", "greater", "Datetime", f"{since:%Y-%m-%dT%H:%M:%S.%fZ}")), asked_at


def fetch_tasks(*, project: int, task_ids: Sequence[int]) -> list[RemoteTask]:
    """Tasks with their annotations. By the export endpoint: no other one tells an annotation's unique_id."""
    if not task_ids:  # without ids it would export everything
        return []
    if len(task_ids) > MAX_FETCH:
        raise ValueError(f"at most {MAX_FETCH} tasks per fetch, not {len(task_ids)}")
    params = {"exportType": "JSON", "download_all_tasks": "true", "ids[]": list(task_ids)}
    rows = _call("GET", f"/api/projects/{project}/export", params=params).json()
    return [RemoteTask(ref, tuple(_annotations(row))) for row in rows if (ref := task_ref(row))]


def give_back(*, task: int, answer: RemoteAnnotation) -> None:
    """Make an annotation that the task had before; nothing happens if it is there. Without a user it is in our name.

    One by one: an import of tasks with their annotations gives them new unique ids.
    """
    body = {"unique_id": str(answer.unique_id), "result": answer.result, "lead_time": answer.lead_seconds}
    if answer.user is not None:
        body["completed_by"] = answer.user
    try:
        _call("POST", f"/api/tasks/{task}/annotations/", json=body)
    except LabelStudioError as error:
        if _status(error) != HTTPStatus.CONFLICT:
            raise


def delete_tasks(*, project: int, task_ids: Sequence[int]) -> None:
    """Delete tasks with their annotations; ids that are gone already do no harm."""
    if task_ids:
        body = {"selectedItems": {"all": False, "included": list(task_ids)}}
        _call("POST", "/api/dm/actions/", params={"id": "delete_tasks", "project": project}, json=body)


def task_exists(*, ref: TaskRef) -> bool:
    """Whether that very task still answers; another one may have inherited its id."""
    try:
        row = _call("GET", f"/api/tasks/{ref.external_id}/").json()
    except LabelStudioError as error:
        if _status(error) == HTTPStatus.NOT_FOUND:
            return False
        raise
    return task_ref(row) == ref


def _status(error: LabelStudioError) -> int | None:
    """What Label Studio answered; None if nothing."""
    return error.__cause__.response.status_code if isinstance(error.__cause__, httpx.HTTPStatusError) else None


def purge_exports(*, project: int) -> int:
    """Delete the copies that Label Studio keeps of its answers to `fetch_tasks`; how many files.

    No call of its API does it, so this needs its data folder (LABEL_STUDIO_DATA_DIR) on this machine.
    """
    if not settings.LABEL_STUDIO_DATA_DIR:
        return 0
    files = list((Path(settings.LABEL_STUDIO_DATA_DIR) / "export").glob(f"project-{project}-at-*.json"))
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)


# --- People --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Account:
    """Somebody's account there, with all that is needed to act as them."""

    user: int
    email: str
    password: str
    token: str


def make_account(*, email: str, password: str) -> Account:
    """Make an account by Label Studio's own invitation: what its API makes has no password and no organization."""
    invitation = _call("GET", "/api/invite").json()["token"]
    with _as_person() as client:
        _post_form(client, f"/user/signup/?token={invitation}", email, password)
        user = _person_call(client, "GET", "/api/current-user/whoami").json()["id"]
        token = _person_call(client, "GET", "/api/current-user/token").json()["token"]
    return Account(user=int(user), email=email, password=password, token=token)


def addresses_of_users() -> dict[int, str]:
    """Who has an account there: user id and address."""
    return {int(row["id"]): str(row["email"]) for row in _call("GET", "/api/users/").json()}


def fetch_page(*, account: Account, path: str) -> str:
    """The HTML of one of its pages. Pages ask for a session, which is made for this page alone: no token opens one."""
    with _as_person() as client:
        return _post_form(client, f"/user/login/?{urlencode({'next': path})}", account.email, account.password).text


def _as_person() -> httpx.Client:
    if not settings.LABEL_STUDIO_URL:
        raise LabelStudioError(NOT_SET_UP, retry=False)
    connections.give_back()  # it may take long to answer
    return httpx.Client(base_url=settings.LABEL_STUDIO_URL, timeout=TIMEOUT, follow_redirects=True, verify=_tls())


def _post_form(client: httpx.Client, path: str, email: str, password: str) -> httpx.Response:
    """Where a form of Label Studio leads when it was filled in rightly. Cookie and field only have to match."""
    csrf = secrets.token_hex(16)
    client.cookies.set("csrftoken", csrf)
    form = {"csrfmiddlewaretoken": csrf, "email": email, "password": password}
    answer = _person_call(client, "POST", path, data=form)
    if not answer.history:  # it shows the form again
        raise LabelStudioError(f"Label Studio did not take its form at {path.split('?')[0]}.", retry=False)
    return answer


def _person_call(client: httpx.Client, method: str, path: str, **request: Any) -> httpx.Response:
    return _checked(method, path.split("?")[0], lambda: client.request(method, path, **request))


# --- HTTP ----------------------------------------------------------------------------------------


def _call(method: str, path: str, **request: Any) -> httpx.Response:
    """One request as the administrator, never repeated by itself."""
    if not settings.LABEL_STUDIO_URL:
        raise LabelStudioError(NOT_SET_UP, retry=False)
    headers = {"Authorization": f"Token {settings.LABEL_STUDIO_TOKEN}"}
    with httpx.Client(base_url=settings.LABEL_STUDIO_URL, headers=headers, timeout=TIMEOUT, verify=_tls()) as client:
        return _checked(method, path, lambda: client.request(method, path, **request))


def _row(method: str, path: str, **request: Any) -> dict[str, Any]:
    """The JSON object that it answers with; a proxy or a page to sign in says 200 too, and is no answer."""
    try:
        found = _call(method, path, **request).json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise LabelStudioError(f"Label Studio answered {method} {path} with something else than JSON.", retry=True)
    return found


@cache
def _tls() -> ssl.SSLContext:
    """The certificates that are trusted, read once: to read them for every call takes longer than most calls."""
    return httpx.create_ssl_context()


def _checked(method: str, path: str, send: Callable[[], httpx.Response]) -> httpx.Response:
    """What `send` brings; LabelStudioError for no answer and for one that says no."""
    try:
        return send().raise_for_status()
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise LabelStudioError(
            f"Label Studio answered {status} to {method} {path}: {error.response.text[:300]}",
            retry=status >= 500 or status in RETRY_STATUS,
        ) from error
    except httpx.HTTPError as error:
        raise LabelStudioError(f"Label Studio did not answer {method} {path}: {error!r}", retry=True) from error


def _pages(path: str, key: str, **params: Any) -> Iterator[dict[str, Any]]:
    """All rows of a paged list: Label Studio answers 404 beyond its last page, so we count."""
    page, seen = 1, 0
    while True:
        answer = _row("GET", path, params={**params, "page": page, "page_size": PAGE})
        rows, total = answer.get(key), answer.get("total", answer.get("count"))
        if not isinstance(rows, list) or not isinstance(total, int):
            raise LabelStudioError(f"Label Studio answered GET {path} with no list.", retry=True)
        yield from rows
        seen += len(rows)
        if not rows or seen >= total:
            return
        page += 1


def _list(project: int, field: str, operator: str, kind: str, value: Any) -> Iterator[TaskRef]:
    item = {"filter": f"filter:tasks:{field}", "operator": operator, "type": kind, "value": value}
    query = json.dumps({"filters": {"conjunction": "and", "items": [item]}})
    rows = _pages("/api/tasks/", "tasks", project=project, query=query, fields="task_only", include="id,data")
    return (ref for row in rows if (ref := task_ref(row)))


def _server_time() -> datetime.datetime:
    return parsedate_to_datetime(_call("GET", "/health").headers["date"])


def task_ref(row: Mapping[str, Any]) -> TaskRef | None:
    """None for a task that somebody else made."""
    try:
        return TaskRef(int(row["id"]), uuid.UUID(str(row["data"]["asset_id"])))
    except (KeyError, TypeError, ValueError):
        return None


def _annotations(row: Mapping[str, Any]) -> Iterator[RemoteAnnotation]:
    for found in row.get("annotations", ()):
        made_at = parse_datetime(found["updated_at"])
        if made_at and found.get("unique_id"):
            user = found["completed_by"]
            yield RemoteAnnotation(
                unique_id=uuid.UUID(found["unique_id"]),
                user=user["id"] if isinstance(user, dict) else user,
                result=found["result"],
                skipped=bool(found["was_cancelled"]),
                made_at=made_at,
                lead_seconds=found.get("lead_time"),
            )
