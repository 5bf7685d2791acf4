"""What an annotator may ask of Label Studio: one table, which is what its labelling page calls and nothing else.

Community Label Studio has no roles: whoever is signed in may delete projects, export everything and answer in others'
names. So nobody but us signs in; what annotators ask is looked up here, and whatever is not in the table is refused.
This module knows neither HTTP nor the database: `annotation.access` says whether the ids that a call names are theirs,
`annotation.gateway_calls` speaks to Label Studio.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

CLOSED = "This part of Label Studio is not open to annotators."
PARAMETERS = "Label Studio's labelling page does not ask with these parameters."
MOST_PARAMETERS = 10


class Does(Enum):
    """What happens to a call that the table allows."""

    LEAD_HOME = "the annotator is led to their own page"
    CARRY = "it is passed on as it is, in nobody's name: Label Studio gives this to anybody"
    PAGE = "the page is fetched in the annotator's name"
    FIXED = "it is answered here: the page asks, and labelling does not need it"
    ASK = "it is passed on in the annotator's name, and their part of the answer comes back"


@dataclass(frozen=True)
class Whose:
    """An annotator as Label Studio knows them: user id and address."""

    user: int
    email: str


Show = Callable[[Any, Whose], Any]


@dataclass(frozen=True)
class Rule:
    """One kind of call. Groups of `path`, and the parameter `project`, are ids that have to be the annotator's."""

    name: str
    method: str
    path: str
    does: Does
    query: Mapping[str, str] = field(default_factory=dict)  # the parameters it may have → a pattern of their value
    needs: frozenset[str] = frozenset()  # those it must have: without a project Label Studio takes its first one
    body: frozenset[str] = frozenset()  # what is passed on of its body
    to: tuple[str, str] | None = None  # method and address at Label Studio, where they are not those of the call
    show: Show = lambda answer, whose: answer  # what the annotator gets of the answer
    fixed: Callable[[Mapping[str, int]], Any] = lambda ids: None
    hands_out: bool = False  # the answer is a task, which is theirs from then on
    only_skipped: bool = False
    answers: bool = False  # its task is answered, or skipped, from then on


@dataclass(frozen=True)
class Allow:
    """`ids` are Label Studio's, by kind: project, task, annotation, draft."""

    rule: Rule
    ids: Mapping[str, int]
    query: Mapping[str, str]


@dataclass(frozen=True)
class Refuse:
    reason: str


def decide(*, method: str, path: str, query: str) -> Allow | Refuse:
    """What the table says to a call; `path` as it will be passed on, `query` as it came.

    No pattern takes a `%` or `..`, so that Label Studio cannot read the address differently.
    """
    parameters = _parameters(query)
    reason = CLOSED
    for rule in TABLE:
        found = re.fullmatch(rule.path, path, re.ASCII)
        if rule.method != method or found is None:
            continue
        if parameters is None or not _fits(rule, parameters):
            reason = PARAMETERS
            continue
        ids = {kind: int(text) for kind, text in found.groupdict().items()}
        if "project" in parameters:
            ids.setdefault("project", int(parameters["project"]))
        return Allow(rule, ids, parameters)
    return Refuse(reason)


def _parameters(query: str) -> Mapping[str, str] | None:
    """None for what two readers could read differently: a name twice, or far too many."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        return None
    parameters = dict(pairs)
    return parameters if len(parameters) == len(pairs) else None


def _fits(rule: Rule, parameters: Mapping[str, str]) -> bool:
    return (
        all(
            name in rule.query and re.fullmatch(rule.query[name], value, re.ASCII) for name, value in parameters.items()
        )
        and rule.needs <= parameters.keys()
    )


def passed_on(rule: Rule, body: Any) -> dict[str, Any]:
    """What of a body goes to Label Studio. Without `completed_by` it takes whoever asks: nobody answers for others."""
    return {name: value for name, value in body.items() if name in rule.body} if isinstance(body, dict) else {}


# --- What comes back of an answer ----------------------------------------------------------------

TASK = ("id", "inner_id", "project", "data", "created_at", "updated_at", "unique_lock_id", "queue", "allow_skip")
UNTOLD = ("created_by", "task_data_login", "task_data_password", "organization")
ME = ("id", "username", "email", "initials", "avatar", "first_name", "last_name", "custom_hotkeys")
MAY = ("projects.view", "tasks.view", "annotations.create", "annotations.view", "annotations.change")


def own_task(task: Any, whose: Whose) -> Any:
    """A task without what others said about it."""
    return {
        **{name: task[name] for name in TASK if name in task},
        "annotations": [one for one in task.get("annotations", ()) if is_annotation_of(one, whose)],
        "drafts": [one for one in task.get("drafts", ()) if is_draft_of(one, whose)],
        "predictions": [],
    }


def is_annotation_of(annotation: Mapping[str, Any], whose: Whose) -> bool:
    by = annotation.get("completed_by")
    return (by.get("id") if isinstance(by, dict) else by) == whose.user


def is_draft_of(draft: Mapping[str, Any], whose: Whose) -> bool:
    return draft.get("user") in (whose.user, whose.email)


def _project(project: Any, whose: Whose) -> Any:
    """Without who made it, and without counts of what others did."""
    untold = UNTOLD + tuple(name for name in project if name.endswith(("_number", "_count")))
    return {name: value for name, value in project.items() if name not in untold}


def _me(me: Any, whose: Whose) -> Any:
    """Without permissions: Label Studio would list all of them, and show buttons for what is refused here."""
    return {name: me[name] for name in ME if name in me} | {"active_organization": 1, "permissions": list(MAY)}


def _columns(told: Any, whose: Whose) -> Any:
    """What kinds of data a task has, without the choices: they name who labels."""
    return {"columns": [{name: column[name] for name in column if name != "schema"} for column in told["columns"]]}


# What in the page's header leads to refusals is hidden: the menu of all of Label Studio, the account there, and a
# project's settings. “Projects” and the project's name stay: they lead to the annotator's own page. On a phone the bar
# with Skip and Submit takes a second row, or both lie beyond the right edge. By classes: should a new version name them
# otherwise, it looks as Label Studio made it and does no harm.
STYLE = """<style>
[class*="menu-header__trigger"], [class*="menu-header__user"], a[href$="/settings"] { display: none !important; }
@media (max-width: 640px) {
  .lsf-bottombar { flex-wrap: wrap !important; height: auto !important; }
  .lsf-main-content { padding-bottom: 124px !important; }
}
</style>
"""


def tidied(page: str) -> str:
    """The HTML of the page without ways that are closed to annotators, and with all that is open in reach."""
    return page.replace("</head>", f"{STYLE}</head>", 1)


# --- What is answered here -----------------------------------------------------------------------


def _one_view(ids: Mapping[str, int]) -> Any:
    """The page keeps its list of tasks in views. It needs one to begin, and an annotator has no list."""
    data = {
        "title": "Default", "type": "list", "target": "tasks", "ordering": [],
        "filters": {"conjunction": "and", "items": []}, "hiddenColumns": {"explore": [], "labeling": []},
    }  # fmt: skip
    return [{"id": 1, "data": data, "order": 0, "user": 0, "project": ids.get("project", 0)}]


# --- The table -----------------------------------------------------------------------------------

ID = r"[0-9]{1,9}"
FILE = r"(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+"
PROJECT = {"project": ID}
NAMED = frozenset(PROJECT)
ANSWER = frozenset({"result", "lead_time", "started_at", "draft_id"})

TABLE: tuple[Rule, ...] = (
    Rule("home", "GET", rf"/|/projects/?|/projects/{ID}/?|/user/login/?|/logout/?", Does.LEAD_HOME, {"next": r".*"}),
    Rule("program", "GET", rf"/react-app/{FILE}", Does.CARRY, {"v": r"\w*"}),
    Rule("fonts, icons, scripts", "GET", rf"/static/(?:fonts|js|css|icons|images)/{FILE}", Does.CARRY, {"v": r"\w*"}),
    Rule("version", "GET", r"/api/version/?", Does.CARRY),
    Rule("the page", "GET", rf"/projects/(?P<project>{ID})/data/?", Does.PAGE, {"labeling": "1", "tab": ID}),
    # What the page asks when it opens.
    Rule("who am I", "GET", r"/api/current-user/whoami/?", Does.ASK, show=_me),
    Rule("project", "GET", rf"/api/projects/(?P<project>{ID})/?", Does.ASK, show=_project),
    Rule(
        "project's state", "GET", r"/api/dm/project/?", Does.ASK,
        PROJECT | {"interaction": r"\w+", "include": r"[\w,]+"}, NAMED, show=_project,
    ),
    Rule("models", "GET", r"/api/ml/?", Does.FIXED, PROJECT, fixed=lambda ids: []),
    Rule("people", "GET", r"/api/users/?", Does.FIXED, PROJECT, fixed=lambda ids: []),
    Rule("columns", "GET", r"/api/dm/columns/?", Does.ASK, PROJECT, NAMED, show=_columns),
    Rule("views", "GET", r"/api/dm/views/?", Does.FIXED, PROJECT, fixed=_one_view),
    Rule(
        "labels of one's own", "GET", r"/api/label_links/?", Does.FIXED, PROJECT | {"expand": "label"},
        fixed=lambda ids: {"count": 0, "next": None, "previous": None, "results": []},
    ),
    Rule(
        "list of tasks", "GET", r"/api/tasks/?", Does.FIXED, PROJECT | {"page": ID, "page_size": ID, "view": ID},
        fixed=lambda ids: {"tasks": [], "total": 0, "total_annotations": 0, "total_predictions": 0},
    ),
    # The stream. The page asks by an action that may be told to delete tasks, and that does not keep to the overlap.
    Rule(
        "next task", "POST", r"/api/dm/actions/?", Does.ASK, PROJECT | {"id": "next_task", "tabID": ID}, NAMED | {"id"},
        to=("GET", "/api/projects/{project}/next"), show=own_task, hands_out=True,
    ),
    Rule("what I did", "GET", rf"/api/projects/(?P<project>{ID})/label-stream-history/?", Does.ASK, PROJECT),
    Rule(
        "task", "GET", rf"/api/tasks/(?P<task>{ID})/?", Does.ASK, PROJECT | {"interaction": r"\w+"},
        to=("GET", "/api/tasks/{task}/"), show=own_task,
    ),
    # Answers.
    Rule(
        "annotate or skip", "POST", rf"/api/tasks/(?P<task>{ID})/annotations/?", Does.ASK, PROJECT,
        to=("POST", "/api/tasks/{task}/annotations/"), body=ANSWER | {"unique_id", "was_cancelled"}, answers=True,
    ),
    Rule(
        "change my annotation", "PATCH", rf"/api/annotations/(?P<annotation>{ID})/?", Does.ASK,
        PROJECT | {"taskID": ID}, to=("PATCH", "/api/annotations/{annotation}/"), body=ANSWER | {"was_cancelled"},
        answers=True,
    ),
    Rule(
        "take back my skip", "POST", rf"/api/annotations/(?P<annotation>{ID})/convert-to-draft/?", Does.ASK, PROJECT,
        to=("POST", "/api/annotations/{annotation}/convert-to-draft"), only_skipped=True,
    ),
    Rule(
        "draft", "POST", rf"/api/tasks/(?P<task>{ID})/drafts/?", Does.ASK, PROJECT,
        to=("POST", "/api/tasks/{task}/drafts"), body=ANSWER | {"was_postponed"},
    ),
    Rule(
        "draft of a change", "POST", rf"/api/tasks/(?P<task>{ID})/annotations/(?P<annotation>{ID})/drafts/?", Does.ASK,
        PROJECT, to=("POST", "/api/tasks/{task}/annotations/{annotation}/drafts"), body=ANSWER,
    ),
    Rule(
        "change my draft", "PATCH", rf"/api/drafts/(?P<draft>{ID})/?", Does.ASK, PROJECT,
        to=("PATCH", "/api/drafts/{draft}/"), body=ANSWER | {"was_postponed"},
    ),
    Rule(
        "drop my draft", "DELETE", rf"/api/drafts/(?P<draft>{ID})/?", Does.ASK, PROJECT,
        to=("DELETE", "/api/drafts/{draft}/"),
    ),
)  # fmt: skip
