"""The pages on which a data manager defines a dataset and looks at a draft, and the landing page of a release."""

import json
import re

import pytest

from consent import demographics
from consent.models import Consent
from consent.withdrawals import withdraw
from exports.models import Definition, Release
from exports.services import build_release
from tests.consent.factories import make_consent, make_licence
from tests.exports.factories import (
    make_built,
    make_dataset,
    make_image,
    make_labelled_dataset,
    make_manager,
    make_published,
)
from tests.exports.test_definitions import change

pytestmark = pytest.mark.django_db

FIELDS = {
    "description": "Portraits for research.", "limits": "Adults only.", "call": "", "basis": "any", "territory": "IE",
    "shorter_side": "", "least_annotators": "2", "least_agreement": "50", "controls": ["quality", "face"],
    "ratings": "median", "choices": "majority", "train_percent": "80", "validation_percent": "10",
    "formats": ["webdataset"], "longest_side": "1024",
}  # fmt: skip
TARGETS = {
    "targets-TOTAL_FORMS": "2", "targets-INITIAL_FORMS": "0", "targets-0-people": "200",
    "targets-1-gender": "woman", "targets-1-people": "100", "targets-1-photographs": "400",
}  # fmt: skip


@pytest.fixture
def manager(client):
    user = make_manager()
    client.force_login(user)
    return user


def test_what_is_typed_is_what_the_next_release_is_made_by(client, manager):
    dataset = make_labelled_dataset(people=5, each=1, slug="portraits")
    assert client.get("/staff/datasets/portraits/definition/").status_code == 200
    page = client.post("/staff/datasets/portraits/definition/", FIELDS | TARGETS, follow=True)
    assert page.redirect_chain == [("/staff/datasets/portraits/next/", 302)]
    made = Definition.objects.get()
    assert made.values("territory", "least_annotators", "controls", "ratings", "train_percent", "longest_side") == {
        "territory": "IE", "least_annotators": 2, "controls": ["quality", "face"], "ratings": "median",
        "train_percent": 80, "longest_side": 1024,
    }  # fmt: skip
    assert made.made_by == manager
    assert made.targets == [{"people": 200}, {"gender": "woman", "people": 100, "photographs": 400}]
    form = client.get("/staff/datasets/portraits/definition/").content.decode()
    assert 'value="1024"' in form
    assert 'value="400"' in form
    client.post("/staff/datasets/portraits/next/", {"action": "draft", "notes": " First of all. "})
    release = Release.objects.get()
    assert (release.definition, release.notes) == (made, "First of all.")
    assert dataset.definitions.count() == 1


def test_a_draft_that_is_refused_loses_no_notes(client, manager):
    make_labelled_dataset(people=1, slug="portraits")
    withdraw(consent=Consent.objects.get())
    page = client.post(
        "/staff/datasets/portraits/next/", {"action": "draft", "notes": "Better light."}
    ).content.decode()
    assert "No image may go into" in page
    assert "Better light.</textarea>" in page


@pytest.mark.parametrize("notes", ["Long " * 5000, "nul \0 byte"])
def test_notes_that_cannot_be_kept_are_said_and_nothing_is_drafted(client, manager, notes):
    make_labelled_dataset(people=1, slug="portraits")
    page = client.post("/staff/datasets/portraits/next/", {"action": "draft", "notes": notes}).content.decode()
    assert "Nothing was drafted" in page
    assert notes[:3] in page
    assert not Release.objects.exists()


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ({"train_percent": "80", "validation_percent": "30"}, "more than 100 per cent"),
        ({"least_annotators": "1"}, "Only two or more can agree"),
        ({"formats": ["coco"]}, "Choose the folder too"),
        ({"controls": ["hair"]}, "Select a valid choice"),
        ({"longest_side": "3"}, "greater than or equal to 64"),
        ({"targets-0-people": "0"}, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_typed_is_lost(client, manager, typed, why):
    make_labelled_dataset(people=1, slug="portraits")
    page = client.post("/staff/datasets/portraits/definition/", FIELDS | TARGETS | typed).content.decode()
    assert why in page
    assert "Adults only." in page
    assert not Definition.objects.exists()


def test_whoever_publishes_reads_the_notes_first(client, manager):
    make_labelled_dataset(people=5, each=1, slug="portraits")
    client.post("/staff/datasets/portraits/next/", {"action": "draft", "notes": "Better light.\r\nMore people."})
    page = client.get("/staff/datasets/portraits/").content.decode()
    assert "<p>Better light.<br>More people.</p>" in page
    build_release(release_id=Release.objects.get().pk)
    client.force_login(make_manager())
    page = client.get("/staff/datasets/portraits/").content.decode()
    card = page.split('aria-label="The card of 1.0.0">')[1].split("</div>")[0]
    assert "5 photographs of 5 persons" in card
    assert "<h4>Composition</h4>" in card
    assert "<table>" in card
    assert "<h1" not in card
    assert "pretty_name" not in card  # that is for machines
    assert "would be in it now" not in page  # the forecast is of the next one, and has a page of its own
    client.post(f"/staff/releases/{Release.objects.get().pk}/publish/")
    page = client.get("/staff/datasets/portraits/").content.decode()
    assert '<a href="/datasets/portraits/1.0.0/">1.0.0</a>' in page
    assert "The card of" not in page


def test_more_rows_of_targets_are_had_without_a_script(client, manager):
    make_labelled_dataset(people=1, slug="portraits")
    page = client.post("/staff/datasets/portraits/definition/", FIELDS | TARGETS | {"more_rows": "1"}).content.decode()
    assert "targets-4-people" in page
    assert "Adults only." in page
    assert not Definition.objects.exists()


def test_a_dataset_without_labels_is_not_asked_about_them(client, manager):
    make_dataset(slug="portraits")
    page = client.get("/staff/datasets/portraits/definition/").content.decode()
    assert "Which labels" not in page
    fields = {name: value for name, value in FIELDS.items() if name not in ("controls", "least_agreement")}
    assert client.post("/staff/datasets/portraits/definition/", fields).status_code == 302


def test_the_draft_says_what_is_in_it_what_is_not_and_how_far_it_comes(client, manager):
    dataset = make_dataset(slug="portraits")
    for _ in range(6):
        consent = make_consent()
        demographics.save_answers(contributor=consent.contributor, gender="woman")
        make_image(consent)
    make_image(licence=make_licence(terms="CC-BY-4.0"))
    make_image(status="duplicate")
    change(dataset, targets=[{"gender": "woman", "people": 10}])
    page = client.get("/staff/datasets/portraits/next/").content.decode()
    assert "<strong>7</strong> photographs may go into it now, of 7 people." in page
    assert "It would be <strong>1.0.0</strong>" in page
    assert "Of 8 photographs that were ever sent or imported, 7 would be in it" in page
    assert '<td>duplicate</td><td class="number">1</td>' in page
    assert "CC-BY-4.0, good for" in page
    assert "<strong>50 %</strong>" in page
    assert "at least 5 people, 5 photographs" in page
    assert (
        sum(int(n) for n in re.findall(r'<th scope="row">(?:train|validation|test)</th><td class="number">(\d+)', page))
        == 7
    )
    assert not Definition.objects.exclude(number=1).exists()


# --- The landing page ----------------------------------------------------------------------------


@pytest.fixture
def two(db):
    dataset = make_labelled_dataset(people=3, each=1, slug="portraits", title='Portraits </script> "A"')
    first = make_published(dataset)
    change(dataset, limits="Adults only.")
    return first, make_published(dataset)


def test_a_release_can_be_cited_and_says_what_came_after_it(client, two):
    old, new = (client.get(f"/datasets/portraits/{release.version}/").content.decode() for release in two)
    assert "Superseded: version" in old
    assert "Superseded" not in new
    assert "Adults only." in new
    assert "Adults only." not in old
    assert "Example Ltd" in new or "citation_author" in new
    tags = dict(re.findall(r'<meta name="([\w.]+)" content="([^"]*)">', new))
    assert tags["citation_version"] == "1.0.1"
    assert tags["citation_author"] == two[1].items.first().image.consent.text.controller_name
    assert tags["citation_title"].endswith("(version 1.0.1)")
    assert tags["citation_public_url"].endswith("/datasets/portraits/1.0.1/")
    [script] = re.findall(r'<script type="application/ld\+json">(.*?)</script>', new, re.DOTALL)
    schema = json.loads(script)
    assert (schema["@type"], schema["version"], schema["name"]) == ("Dataset", "1.0.1", 'Portraits </script> "A"')
    assert schema["isBasedOn"].endswith("/datasets/portraits/1.0.0/")
    assert "0 removed, 0 with other labels, 3 kept" in new


def test_datacite_gets_all_that_it_requires(client, two):
    found = client.get("/datasets/portraits/1.0.0/datacite.json").json()["data"]["attributes"]
    required = ("url", "creators", "titles", "publisher", "publicationYear", "types")
    assert all(found[name] for name in required)
    assert found["types"]["resourceTypeGeneral"] == "Dataset"
    assert [one["relationType"] for one in found["relatedIdentifiers"]] == ["IsPreviousVersionOf"]


def test_what_is_not_published_has_no_landing_page(client, two):
    draft = make_built(two[1].dataset)
    assert draft.version == "1.0.2"
    assert client.get("/datasets/portraits/1.0.2/").status_code == 404
    assert client.get("/datasets/portraits/1.0.2/datacite.json").status_code == 404
