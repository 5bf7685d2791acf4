"""The table alone: what the labelling page asks is allowed, and nothing that only looks like it."""

import pytest

from annotation.gateway import CLOSED, PARAMETERS, TABLE, Allow, Does, Refuse, Whose, decide, own_task, passed_on

# What Label Studio's labelling page asked for when it was recorded in Chromium.
RECORDED = """
GET /projects/7/data?labeling=1
GET /projects/7/data?labeling=1&tab=1
GET /static/fonts/Figtree-Regular.ttf
GET /react-app/main.css?v=82b617
GET /react-app/594.js
GET /static/js/jquery.min.e6c2415c0ace.js
GET /static/images/favicon.8992b8aa4126.ico
GET /api/version
GET /api/projects/7
GET /api/current-user/whoami
GET /api/ml?project=7
GET /api/dm/columns?project=7
GET /api/dm/project?project=7
GET /api/dm/project?interaction=timer&include=task_count%2Ctask_number%2Cannotation_count%2Cqueue_total&project=7
GET /api/users?project=7
GET /api/dm/views?project=7
GET /api/projects/7/label-stream-history?project=7
GET /api/label_links?project=7&expand=label
GET /api/tasks?page=1&page_size=30&view=1&project=7
POST /api/dm/actions?id=next_task&tabID=1&project=7
POST /api/tasks/3/drafts?project=7
POST /api/tasks/3/annotations?project=7
GET /api/tasks/3?interaction=labelstream&project=7
POST /api/tasks/3/annotations/5/drafts?project=7
PATCH /api/annotations/5?taskID=3&project=7
PATCH /api/drafts/9?project=7
DELETE /api/drafts/9?project=7
POST /api/annotations/5/convert-to-draft?project=7
"""


def asked(line):
    method, _, address = line.partition(" ")
    path, _, query = address.partition("?")
    return decide(method=method, path=path, query=query)


@pytest.mark.parametrize("line", RECORDED.split("\n")[1:-1])
def test_what_the_page_asks_is_allowed(line):
    verdict = asked(line)
    assert isinstance(verdict, Allow)
    assert verdict.ids.get("project", 7) == 7
    assert verdict.ids.get("task", 3) == 3


def test_each_rule_is_asked_for():
    used = {asked(line).rule.name for line in RECORDED.split("\n")[1:-1]}
    assert {rule.name for rule in TABLE if rule.does != Does.LEAD_HOME} == used


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("POST /api/dm/actions?id=delete_tasks&project=7", PARAMETERS),
        ("POST /api/dm/actions?project=7", PARAMETERS),
        ("POST /api/dm/actions?id=next_task&tabID=1", PARAMETERS),
        ("GET /api/dm/project?interaction=timer", PARAMETERS),
        ("GET /api/dm/columns", PARAMETERS),
        ("POST /api/dm/actions?id=next_task&id=delete_tasks&project=7", PARAMETERS),
        ("POST /api/dm/actions?id=next_task;id=delete_tasks&project=7", PARAMETERS),
        ("POST /api/dm/actions?" + "&".join(f"a{number}=1" for number in range(30)), PARAMETERS),
        ("GET /api/dm/actions?id=next_task&project=7", CLOSED),
        ("GET /projects/7/data?labeling=0", PARAMETERS),
        ("GET /projects/7/settings", CLOSED),
        ("GET /projects/7/data/export", CLOSED),
        ("GET /api/projects/7/export", CLOSED),
        ("GET /api/projects", CLOSED),
        ("DELETE /api/projects/7", CLOSED),
        ("PATCH /api/projects/7", CLOSED),
        ("DELETE /api/annotations/5", CLOSED),
        ("PUT /api/annotations/5", CLOSED),
        ("GET /api/annotations/5", CLOSED),
        ("GET /api/tasks/3/annotations", CLOSED),
        ("GET /api/tasks/3/drafts", CLOSED),
        ("PATCH /api/tasks/3", CLOSED),
        ("GET /api/tasks/3?resolve_uri=1", PARAMETERS),
        ("POST /api/tasks/3/annotations?was_cancelled=1&project=7", PARAMETERS),
        ("GET /api/current-user/token", CLOSED),
        ("GET /react-app/../api/projects", CLOSED),
        ("GET /react-app/..%2fapi%2fprojects", CLOSED),
        ("GET /react-app/%2e%2e/main.js", CLOSED),
        ("GET /react-app//main.js", CLOSED),
        ("GET /react-app/", CLOSED),
        ("GET //api/version", CLOSED),
        ("GET /api/version/../projects", CLOSED),
        ("GET /API/version", CLOSED),
        ("GET /api/tasks/٣", CLOSED),
        ("GET /api/tasks/3\n", CLOSED),
        ("GET /api/tasks/3333333333333", CLOSED),
        ("HEAD /api/version", CLOSED),
        ("OPTIONS /api/version", CLOSED),
        ("get /api/version", CLOSED),
        ("GET /sw.js", CLOSED),
    ],
)
def test_what_only_looks_like_it_is_refused(line, reason):
    assert asked(line) == Refuse(reason)


def test_nobody_answers_in_anothers_name():
    rule = asked("POST /api/tasks/3/annotations").rule
    sent = {"result": [], "completed_by": 1, "ground_truth": True, "task": 4, "parent_annotation": 8, "unique_id": "a"}
    assert passed_on(rule, sent) == {"result": [], "unique_id": "a"}
    assert passed_on(rule, [sent]) == {}


def test_a_task_tells_nothing_of_others():
    task = {
        "id": 3, "data": {"image": "x"}, "annotators": [1, 2], "annotations_results": "[]", "total_annotations": 2,
        "annotations": [{"completed_by": 2}, {"completed_by": {"id": 5}}, {"completed_by": 5}, {"completed_by": None}],
        "drafts": [{"id": 1, "user": "me"}, {"id": 2, "user": "other"}], "predictions": [{"id": 1}],
    }  # fmt: skip
    assert own_task(task, Whose(5, "me")) == {
        "id": 3, "data": {"image": "x"}, "annotations": task["annotations"][1:3], "drafts": task["drafts"][:1],
        "predictions": [],
    }  # fmt: skip
