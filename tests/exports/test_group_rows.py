"""A release's scores by group: from what people said of themselves and what annotators said of their photographs."""

import json

import pytest
from django.core.management import CommandError, call_command

from consent.withdrawals import withdraw
from exports.group_rows import STARS, reports_of, rows_of
from exports.models import Release
from tests.exports.factories import make_built, make_dataset, make_image, make_published, make_rated_dataset

pytestmark = pytest.mark.django_db


def make_release(stars: dict[str, int], people: int = 7) -> Release:
    return make_built(make_rated_dataset(stars, people, gender="prefer_not"))


def test_scores_are_compared_by_what_people_said():
    release = make_release({"2": 5, "9": 4})
    by_group = {report.group: report for report in reports_of(release)}
    assert set(by_group) == {"skin_tone", "age_band", "gender", "country"}
    tone = by_group["skin_tone"]
    assert [(line.group, line.n, line.people, line.mean) for line in tone.lines] == [
        ("2", 21, 7, 1.0),
        ("9", 21, 7, 0.75),
    ]
    assert (tone.gap, tone.passes) == (0.25, False)
    assert [line.group for line in by_group["gender"].lines] == ["not said"]  # whoever prefers not to say


def test_small_groups_are_withheld_and_whoever_withdrew_is_out():
    release = make_release({"2": 5, "9": 4}, people=5)
    withdraw(consent=release.items.filter(image__consent__isnull=False).first().image.consent)
    tone = next(report for report in reports_of(release) if report.group == "skin_tone")
    assert all(line.withheld for line in tone.lines)  # four people, and the other group would give them away
    assert (tone.n, tone.people) == (27, 9)


def test_the_command_says_it_and_ends_with_one(capsys):
    release = make_release({"2": 5, "9": 4})
    with pytest.raises(CommandError, match="quality by skin_tone") as failed:
        call_command("deviation_report", f"{release.dataset.slug}@{release.version}")
    assert failed.value.returncode == 1
    said = capsys.readouterr().out
    assert "quality by skin_tone: DOES NOT PASS, largest gap 0.250" in said
    with pytest.raises(CommandError):
        call_command("deviation_report", f"{release.dataset.slug}@{release.version}", json=True)
    assert json.loads(capsys.readouterr().out)[0]["gap"] == 0.25
    with pytest.raises(CommandError, match=r"portraits@1\.0\.0") as unknown:
        call_command("deviation_report", "nothing@1.0.0")
    assert unknown.value.returncode == 2


def test_a_release_without_ratings_has_nothing_to_compare(capsys):
    make_image()
    release = make_published(make_dataset())
    call_command("deviation_report", f"{release.dataset.slug}@{release.version}")
    assert "Nothing in this release is rated" in capsys.readouterr().out


def test_what_one_annotator_said_of_many_photographs_is_under_one_text():
    rows = rows_of(make_release({"2": 5, "9": 4}, people=2))
    names = [name for row in rows for name in row[STARS]["quality"]]
    assert len(names) == 12
    assert len(set(map(id, names))) == 1
