"""Deviation reports as they are kept, and their pages."""

import datetime
import json
import re
from itertools import product

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation import about_annotators
from annotation.about_annotators import save_answers
from consent import demographics
from consent.models import LedgerEntry
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, FAIRNESS_ANALYST, PROTECTION_OFFICER, REVIEWER
from consent.signing import sha256_hex
from consent.withdrawals import withdraw
from exports import tasks
from exports.deviation_actions import actions_of, add_action, finish_action
from exports.deviation_reports import last_quarter, make_report, report_quarter, withdrawal_effect
from exports.models import DeviationAction, DeviationReport, GateException, Release
from exports.pictures import Pictures
from exports.plans import Plan
from exports.selection import images_among
from exports.services import build_release, draft_release, plan_release
from tests.consent.factories import make_consent, make_user
from tests.exports.factories import (
    annotate,
    make_annotator,
    make_built,
    make_dataset,
    make_image,
    make_manager,
    make_published,
    make_rated_dataset,
    result,
)

pytestmark = pytest.mark.django_db
ALIKE, FAR = {"2": 5, "9": 5}, {"2": 5, "9": 4}
TOMORROW = timezone.now().date() + datetime.timedelta(days=1)


def add_person(dataset, **said):
    consent = make_consent()
    demographics.save_answers(contributor=consent.contributor, **said)
    annotate(make_image(consent), dataset.campaign, make_annotator(), result(5))
    return consent


def table(report, *columns):
    return next(one for one in report.content["tables"] if one["columns"] == list(columns))


def page_of(client, report, role=DATA_MANAGER):
    client.force_login(make_user("", role))
    return client.get(f"/staff/reports/{report.pk}/")


# --- Kept ----------------------------------------------------------------------------------------


def test_a_report_is_kept_with_its_hash_in_the_ledger():
    release = make_built(make_rated_dataset(ALIKE, people=5, gender="woman"))
    report = release.deviation_report
    assert report.sha256 == sha256_hex(report.document.encode())
    entry = json.loads(LedgerEntry.objects.get(payload__contains="deviation.reported").payload)
    assert (entry["sha256"], entry["version"], entry["verdict"]) == (report.sha256, "1.0.0", "too few to tell")
    tone = table(report, "skin_tone")
    assert [(line["label"], line["n"], line["people"]) for line in tone["lines"]] == [
        ("Tone 2", 15, 5),
        ("Tone 9", 15, 5),
    ]
    kept = DeviationReport.objects.filter(pk=report.pk)
    for change in (lambda: kept.update(document="{}"), kept.delete):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()


def test_a_report_names_nobody():
    release = make_built(make_rated_dataset(ALIKE, people=5))
    document = release.deviation_report.document
    for item in release.items.select_related("image__consent"):
        for secret in (item.row_id, item.image_id, item.image.subject, item.image.consent_id, item.image.sha256):
            assert str(secret) not in document
    annotators = set(release.dataset.campaign.tasks.values_list("earnings__annotator", flat=True))
    assert annotators
    assert not [annotator for annotator in annotators if str(annotator) in document]


def test_whether_annotators_agree_more_with_their_own_region_is_one_word(client, monkeypatch):
    """Not a number: whoever knows who labelled what could work out from it who lives where."""
    monkeypatch.setattr(about_annotators, "FEWEST", 40)
    dataset = make_rated_dataset(ALIKE, people=1, each=1)
    images = [task.image for task in dataset.campaign.tasks.all()]
    for number in range(10):
        annotator = make_annotator()
        save_answers(annotator=annotator, region="asia" if number < 5 else "europe")
        for image in images:
            annotate(image, dataset.campaign, annotator, result(1 if number < 5 else 5))
    report = make_built(dataset).deviation_report
    assert report.content["annotator_regions"] == "apart"
    assert not {"asia", "europe"} & set(re.findall(r"\w+", report.document.lower()))
    assert "depends on where its annotators live" in page_of(client, report).content.decode()
    assert "cannot be told" in page_of(client, make_built(make_rated_dataset(ALIKE)).deviation_report).content.decode()
    unlabelled = make_dataset()
    make_image(make_consent())
    assert "annotator_regions" not in make_built(unlabelled).deviation_report.content


def test_a_build_that_starts_again_keeps_its_report(tmp_path):
    """Somebody changes an answer between two attempts: the documents of the release stay the same."""
    dataset = make_rated_dataset(ALIKE, people=5)
    release = draft_release(dataset=dataset, user=make_manager())
    plan = Plan.begin(tmp_path / "plan.sqlite")
    plan_release(release, plan, Pictures(None, tmp_path))
    first = make_report(release=release, images=images_among(dataset, release.snapshot_at, plan.images()))
    person = dataset.campaign.tasks.first().image.consent.contributor
    demographics.save_answers(contributor=person, skin_tone="5")
    build_release(release_id=release.pk)
    assert Release.objects.get(pk=release.pk).deviation_report.document == first.document


def test_what_is_lost_while_a_release_is_built_takes_nobody_else_out_of_its_report():
    dataset, consents = make_dataset(), [make_consent() for _ in range(4)]
    images = sorted((make_image(consent).pk.hex, consent) for consent in consents)
    withdraw(consent=images[1][1])
    found = images_among(dataset, timezone.now(), (image for image, _ in images))
    assert [image.pk.hex for image in found] == [images[place][0] for place in (0, 2, 3)]


def test_one_person_more_or_less_is_not_to_be_seen_in_the_next_report():
    dataset = make_rated_dataset(ALIKE, people=5, gender="woman")
    first = make_published(dataset).deviation_report
    consent = add_person(dataset, skin_tone="2", gender="woman")
    second = make_published(dataset)
    assert second.version == "1.1.0"
    assert table(second.deviation_report, "skin_tone") == table(first, "skin_tone")
    assert table(second.deviation_report, "skin_tone")["as_of"] == "1.0.0"
    assert [found["lines"] for found in withdrawal_effect(second) if "tone" in found["title"]] == [None]
    withdraw(consent=consent)
    for _ in range(5):
        add_person(dataset, skin_tone="2", gender="woman")
    third = make_published(dataset).deviation_report
    assert table(third, "skin_tone")["as_of"] == "2.0.0"
    assert table(third, "skin_tone")["lines"][0]["people"] == 10


def test_a_table_that_was_gone_for_a_while_is_held_against_what_it_showed_last():
    """Two attributes are not shown while one combination is small; the person who came meanwhile stays unseen."""
    dataset, both = make_rated_dataset({}), ("skin_tone", "gender")
    for tone, gender in product("29", ("woman", "man")):
        consents = [add_person(dataset, skin_tone=tone, gender=gender) for _ in range(5)]
    first = make_published(dataset).deviation_report
    withdraw(consent=consents[0])
    second = make_published(dataset).deviation_report
    assert list(both) not in [one["columns"] for one in second.content["tables"]]
    add_person(dataset, skin_tone="9", gender="man")
    add_person(dataset, skin_tone="2", gender="woman")
    third = make_published(dataset).deviation_report
    assert table(third, *both) == table(first, *both)


def test_answers_whose_day_has_come_do_not_count():
    dataset = make_rated_dataset(ALIKE, people=5)
    demographics.Demographics.objects.update(delete_on=timezone.now().date())
    tone = table(make_built(dataset).deviation_report, "skin_tone")
    assert [line["label"] for line in tone["lines"]] == ["Not said"]


# --- Quarters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "quarter"),
    [("2026-01-01", "2025-Q4"), ("2026-03-31", "2025-Q4"), ("2026-04-01", "2026-Q1"), ("2026-12-31", "2026-Q3")],
)
def test_the_last_quarter(day, quarter):
    assert last_quarter(datetime.date.fromisoformat(day)) == quarter


def test_a_quarter_has_one_report_over_the_newest_published_releases():
    assert report_quarter() is None
    one = make_published(make_rated_dataset(ALIKE, people=5))
    make_published(one.dataset)
    other = make_built(make_rated_dataset(ALIKE, people=5))
    tasks.report_quarter()
    assert not DeviationReport.objects.filter(release=None).exists()  # both came after the last quarter
    with time_machine.travel(timezone.now() + datetime.timedelta(days=100)):
        tasks.report_quarter()
        tasks.report_quarter()
    report = DeviationReport.objects.get(release=None)
    assert [(part["dataset"], part["version"]) for part in report.content["datasets"]] == [(one.dataset.slug, "1.0.1")]
    assert other.dataset.slug not in report.document
    assert f'"quarter":"{report.quarter}"' in LedgerEntry.objects.get(payload__contains=report.sha256).payload
    later = report_quarter(today=timezone.now().date() + datetime.timedelta(days=200))
    assert later.quarter > report.quarter


# --- Pages ---------------------------------------------------------------------------------------


def test_the_page_shows_plots_tables_and_the_gate(client):
    release = make_published(make_rated_dataset(ALIKE, gender="woman"))
    page = page_of(client, release.deviation_report).content.decode()
    assert "no two groups lie more than 0.05 apart" in page
    assert '<rect class="have" width="0.5000" height="1"/>' in page
    assert "Skin tone (Monk scale), Tone 2: 50 %, 21 photographs of 7 people" in page
    assert '<path class="mean" d="M1.0000 0V1"/>' in page
    assert release.deviation_report.sha256 in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("role", "status"), [(DATA_MANAGER, 200), (FAIRNESS_ANALYST, 200), (REVIEWER, 403), (PROTECTION_OFFICER, 403)]
)
def test_who_may_read_reports_and_who_may_act(client, role, status):
    release = make_built(make_rated_dataset(FAR))
    exception = GateException.objects.create(release=release, reason="R", owner="O", written_by=make_manager())
    pk = release.deviation_report.pk
    client.force_login(make_user("", role))
    for address in (
        f"/staff/reports/{pk}/",
        f"/staff/reports/{pk}.json",
        f"/staff/reports/{pk}.pdf",
        "/staff/reports/",
    ):
        assert client.get(address).status_code == status
    acts = 302 if role == DATA_MANAGER else 403
    assert client.post(f"/staff/exceptions/{exception.pk}/sign/").status_code == acts
    assert client.post(f"/staff/exceptions/{exception.pk}/drop/").status_code == acts
    assert client.get(f"/staff/releases/{release.pk}/exception/").status_code == (200 if acts == 302 else 403)
    assert client.get(f"/staff/reports/{pk}/actions/new/").status_code == (200 if acts == 302 else 403)
    client.logout()
    assert client.get(f"/staff/reports/{pk}/").url.startswith("/accounts/login/")


def test_the_downloads_are_the_document_and_a_tagged_pdf(client):
    report = make_built(make_rated_dataset(FAR, gender="woman")).deviation_report
    page_of(client, report)
    answer = client.get(f"/staff/reports/{report.pk}.json")
    assert sha256_hex(answer.content) == report.sha256
    assert answer["Content-Disposition"] == f'attachment; filename="deviation-{report.release.dataset.slug}-1.0.0.json"'
    pdf = client.get(f"/staff/reports/{report.pk}.pdf")
    assert pdf["Content-Type"] == "application/pdf"
    assert b"pdfuaid" in pdf.content


def test_an_exception_from_the_gate_to_publication_on_the_pages(client):
    release = make_built(make_rated_dataset(FAR))
    report, (writer, signer, publisher) = release.deviation_report, [make_manager() for _ in range(3)]
    client.force_login(writer)
    page = client.post(f"/staff/releases/{release.pk}/publish/", follow=True).content.decode()
    assert "quality by Skin tone (Monk scale): Tone 2 0.250 above Tone 9" in page
    assert "Write an exception" in client.get(f"/staff/reports/{report.pk}/").content.decode()
    fields = {"reason": "It was dark.", "owner": "Data lead"}
    page = client.post(f"/staff/releases/{release.pk}/exception/", fields, follow=True).content.decode()
    assert "It was dark." in page
    assert "Sign the exception" not in page
    client.force_login(signer)
    assert "Sign the exception" in client.get(f"/staff/reports/{report.pk}/").content.decode()
    page = client.post(f"/staff/exceptions/{release.gate_exception.pk}/sign/", follow=True).content.decode()
    assert "A third person publishes it" in page
    tasks.build_due()
    draft = Release.objects.get(state="built")
    client.force_login(publisher)
    assert "It was dark." in client.get(f"/staff/reports/{draft.deviation_report.pk}/").content.decode()
    page = client.post(f"/staff/releases/{draft.pk}/publish/", follow=True).content.decode()
    assert "is published" in page
    client.logout()
    public = client.get(f"/datasets/{release.dataset.slug}/1.0.0/balance/").content.decode()
    assert "published under a signed exception" in public
    assert "It was dark. Owner: Data lead." in public


def test_everybody_sees_whole_per_cent_of_published_releases_and_no_numbers_of_people(client):
    release = make_built(make_rated_dataset(ALIKE, people=7))
    address = f"/datasets/{release.dataset.slug}/1.0.0/balance/"
    assert client.get(address).status_code == 404
    make_published(release.dataset)
    page = client.get(address).content.decode()
    assert "50 %" in page
    assert (
        "people"
        not in page.replace("Small groups", "").replace("that people say", "").split("<main")[1].split("</main>")[0]
    )
    assert address in client.get(f"/datasets/{release.dataset.slug}/").content.decode()


def test_actions_have_an_owner_and_a_day_and_stay_until_they_are_done(client):
    dataset = make_rated_dataset(ALIKE, people=5)
    report = make_published(dataset).deviation_report
    page_of(client, report)
    fields = {"what": "Open a call", "owner": "Collection", "due_on": "2020-01-01"}
    assert "That day is past" in client.post(f"/staff/reports/{report.pk}/actions/new/", fields).content.decode()
    page = client.post(f"/staff/reports/{report.pk}/actions/new/", {**fields, "due_on": TOMORROW}, follow=True)
    assert "Open a call" in page.content.decode()
    action = DeviationAction.objects.get()
    later = make_published(dataset).deviation_report
    assert actions_of(later) == [action]
    assert "(from 1.0.0)" in client.get(f"/staff/reports/{later.pk}/").content.decode()
    page = client.post(f"/staff/actions/{action.pk}/done/", {"outcome": "It is open."}, follow=True).content.decode()
    assert "It is open." in page
    assert (actions_of(later), actions_of(report)) == ([], [action])
    with pytest.raises(Refused, match="done already"):
        finish_action(action=action, user=make_manager(), outcome="Again.")


def test_actions_never_change():
    report = make_built(make_rated_dataset(ALIKE, people=5)).deviation_report
    action = add_action(report=report, user=make_manager(), what="Ask", owner="Lead", due_on=TOMORROW)
    done = finish_action(action=action, user=make_manager(), outcome="Asked")
    for change in (lambda: DeviationAction.objects.update(owner="Nobody"), done.delete):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()


def test_the_page_says_what_changed(client):
    dataset = make_rated_dataset({"2": 5, "9": 5}, people=6)
    make_published(dataset)
    consents = [add_person(dataset, skin_tone="9") for _ in range(6)]
    second = make_published(dataset)
    page = page_of(client, second.deviation_report).content.decode()
    assert "Change since 1.0.0" in page
    assert '<td class="number">50 %</td><td class="number">57 %</td>' in page
    for consent in consents:
        withdraw(consent=consent)
    page = page_of(client, second.deviation_report).content.decode()
    assert "What withdrawals changed" in page
    assert '<td class="number">57 %</td><td class="number">50 %</td>' in page
