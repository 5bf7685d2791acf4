"""Somebody lays deviation reports side by side, to work out what one person's photographs were rated.

`told` is that somebody: they subtract what one table says of a group from what the other says.
"""

import pytest

from consent import demographics
from consent.withdrawals import withdraw
from exports.deviation_tables import tables
from exports.deviation_words import part
from exports.gate_exceptions import sign_exception, write_exception
from exports.models import DeviationReport
from exports.services import build_release, publish_release
from exports.steady_tables import Shown, kept_back, tells
from tests.annotation.factories import make_annotator
from tests.consent.factories import make_consent
from tests.exports.factories import (
    annotate,
    make_built,
    make_campaign,
    make_dataset,
    make_image,
    make_manager,
    make_published,
    make_rated_dataset,
    result,
)


def table(report, *columns):
    return next(one for one in report.content["tables"] if one["columns"] == list(columns or ["skin_tone"]))


def told(one, other):
    """By group in both tables: how many photographs their difference is about, and the sum of those scores."""
    sums = []
    for shown in (one, other):
        lines = {line["group"]: (line["n"], line["scores"]["quality"]) for line in shown["lines"]}
        sums.append({group: (n, float(score["mean"]) * score["n"]) for group, (n, score) in lines.items()})
    (now, then) = sums
    found = {
        group: (now[group][0] - then[group][0], round(now[group][1] - then[group][1], 2))
        for group in now
        if group in then
    }
    return {group: difference for group, difference in found.items() if any(difference)}


def somebody(tone):
    """The consent of somebody who says that their skin has this tone."""
    person = demographics.Demographics.objects.filter(skin_tone=tone).order_by("pk").first()
    return person.contributor.consents.get()


def add(dataset, consent=None, stars=5, purposes=("research",), **said):
    """A rated photograph, of somebody new unless the consent is given."""
    if consent is None:
        consent = make_consent(purposes=list(purposes))
        demographics.save_answers(contributor=consent.contributor, **{"skin_tone": "2", **said})
    annotate(make_image(consent), dataset.campaign, make_annotator(), result(stars))
    return consent


# --- The attacks ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_another_photograph_of_the_same_person_is_not_told():
    dataset = make_rated_dataset({"2": 5, "9": 5}, people=6)
    first = make_published(dataset).deviation_report
    add(dataset, somebody("2"), stars=2)  # 0.25
    second = make_published(dataset).deviation_report
    assert told(table(second), table(first)) == {}
    assert (table(second)["as_of"], second.content["rows"]) == ("1.0.0", 37)


@pytest.mark.django_db
def test_one_who_came_for_one_who_went_is_not_told():
    dataset = make_rated_dataset({"2": 5, "9": 5}, people=6)
    first = make_published(dataset).deviation_report
    withdraw(consent=somebody("2"))
    comer = add(dataset, stars=2)
    for stars in (2, 3):
        add(dataset, comer, stars=stars)
    second = make_published(dataset).deviation_report
    assert told(table(second), table(first)) == {}


@pytest.mark.django_db
def test_a_second_dataset_does_not_tell_of_who_is_in_one_alone():
    dataset = make_dataset(campaign=make_campaign())
    for _ in range(6):
        add(dataset, purposes=("research", "product"))
    add(dataset, stars=2)  # agreed to research only
    for _ in range(6):
        add(dataset, purposes=("research", "product"), skin_tone="9")
    both = [make_published(one).deviation_report for one in (dataset, make_dataset("product", dataset.campaign))]
    assert [report.content["people"] for report in both] == [13, 12]
    assert told(*map(table, both)) == {}
    assert table(both[1])["kept_back"]
    assert table(both[1])["lines"] == []
    assert [line["people"] for line in table(both[0])["lines"]] == [7, 6]


@pytest.mark.django_db
def test_a_table_shown_two_reports_ago_still_counts():
    """Six come and the table is new; five of them go again: one is the difference to the first."""
    dataset = make_rated_dataset({"2": 5, "9": 5}, people=6)
    first = make_published(dataset).deviation_report
    comers = [add(dataset, stars=2) for _ in range(6)]
    second = make_published(dataset).deviation_report
    assert table(second)["as_of"] == "1.1.0"
    for consent in comers[1:]:
        withdraw(consent=consent)
    third = make_published(dataset).deviation_report
    assert table(third) == table(second)
    assert told(table(third), table(first)) == {"2": (6, 1.5)}  # of six people, as before


@pytest.mark.django_db
def test_what_changed_for_five_people_is_shown():
    dataset = make_rated_dataset({"2": 5, "9": 5}, people=6)
    make_published(dataset)
    for person in demographics.Demographics.objects.filter(skin_tone="2")[:5]:
        add(dataset, person.contributor.consents.get(), stars=3)
    report = make_published(dataset).deviation_report
    assert table(report)["as_of"] == "1.1.0"
    assert [line["n"] for line in table(report)["lines"]] == [23, 18]


@pytest.mark.django_db
def test_the_gate_names_no_gap_of_a_table_that_is_not_new():
    """Its newest figure beside the older table would tell what the table does not."""
    dataset = make_rated_dataset({"2": 5, "9": 4}, people=7)
    built = make_built(dataset)
    exception = write_exception(release=built, user=make_manager(), reason="R", owner="O")
    draft = sign_exception(exception=exception, user=make_manager())
    build_release(release_id=draft.pk)
    draft.refresh_from_db()
    publish_release(release=draft, user=make_manager())
    add(dataset, somebody("2"), stars=1)
    [finding] = [
        one for one in make_built(dataset).deviation_report.content["gate"]["over"] if one["columns"] == ["skin_tone"]
    ]
    assert (finding["higher"], finding["gap"]) == ("", "")
    assert DeviationReport.objects.count() == 3


# --- The rule, on plain rows ---------------------------------------------------------------------


def people(tone, names, each=2, stars=4, **more):
    score = (stars - 1) / 4
    said = {"skin_tone": tone, "quality": score, "stars": {"quality": {"ann": stars}}, **more}
    return [{"subject": name, **said} for name in names for _ in range(each)]


def shown(rows):
    [made] = tables(rows, ["quality"], ["skin_tone"], "stars")
    return Shown(made, rows, (len(rows), len({row["subject"] for row in rows})))


TWO, NINE = people("2", "abcdefgh"), people("9", "nopqrstu")


@pytest.mark.parametrize(
    ("now", "is_told"),
    [
        (TWO + NINE, False),
        (TWO + people("2", "i") + NINE, True),
        (TWO + people("2", "a", each=1) + NINE, True),
        (people("2", "abcdefg") + people("2", "i", stars=5) + NINE, True),
        (people("2", "abcdefgi") + NINE, False),  # nothing that is shown is another number
        (people("2", "abcdefg") + people("2", "h", stars=5) + NINE, True),
        (TWO + NINE + people("7", "x"), True),  # in a group that is not shown: the total tells of them
        (TWO + people("2", "ijklm") + NINE, False),
        (people("2", "abcde", stars=5) + people("2", "fgh") + NINE, False),
        (people("2", "ABCDEFGH") + people("9", "NOPQRSTU"), False),  # other people altogether
        (people("2", "abcd") + people("2", "ABCDE") + NINE, False),
    ],
)
def test_which_changes_are_told(now, is_told):
    assert tells(shown(now), shown(TWO + NINE), "stars") is is_told


def test_who_may_have_answered_otherwise_then_is_nobody_who_is_known_to_have_changed():
    now = people("2", "abcde", stars=5) + people("2", "fgh") + NINE
    then = Shown(shown(TWO + NINE).table, [{**row, "unsure": row["subject"] == "a"} for row in TWO + NINE], (32, 16))
    assert tells(shown(now), then, "stars")


def test_a_table_that_is_kept_back_says_so_and_draws_nothing():
    back = {**kept_back(shown(TWO + NINE).table), "as_of": "1.0.0"}
    gate = {"verdict": "passes", "over": [], "largest": None}
    section = {"title": "P", "version": "1.0.0", "gate": gate, "tables": [back], "rows": 32, "people": 16}
    [topic] = part(section).topics
    assert topic.plots == ()
    assert "beside the table of another dataset" in topic.notes[0]
