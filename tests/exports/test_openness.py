"""The public page and the record of processing say what is so, and nothing small."""

import datetime
import json
import re

import pytest
from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.utils import timezone

from collection.models import Call, ImageStatus
from consent import ledger
from consent.models import Aftermath, PurposeEnd, RightsRequest, Withdrawal
from consent.retention_table import RULES
from consent.roles import DATA_MANAGER, PROTECTION_OFFICER, REVIEWER
from exports import openness, traces
from exports.openness import shown
from tests.collection.factories import make_call
from tests.consent.factories import make_consent, make_licence, make_text, make_user
from tests.exports.factories import make_campaign, make_dataset, make_image, make_published, make_token

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


@pytest.fixture(autouse=True)
def fresh_figures():
    cache.delete("openness-figures")
    yield
    cache.delete("openness-figures")


def said(found):
    return {figure.label: figure.shown for figure in found}


def ask(kind="access", answered_after=10, extended=False):
    received = timezone.now() - 100 * DAY
    return RightsRequest.objects.create(
        kind=kind,
        received_at=received,
        due_at=received + (90 if extended else 30) * DAY,
        extended_at=received + 20 * DAY if extended else None,
        extension_reason="There are many." if extended else "",
        answered_at=received + answered_after * DAY,
        outcome="done",
    )


def test_r13_the_public_page_says_each_clock_as_it_is_set(client, settings):
    settings.RETENTION_CONTACT_DAYS = 77
    page = client.get("/openness/")
    assert page.status_code == 200
    text = page.content.decode()
    for rule in RULES:
        assert rule.what in text
    assert "77 days pass without a word" in text
    assert "Carried out by a job that looks every hour." in text
    assert "Carried out by a job that looks every 5 seconds." in text


def test_every_table_with_personal_data_is_in_the_retention_table():
    listed = {name for rule in RULES for name in rule.models}
    ours = [model for app in traces.OURS for model in apps.get_app_config(app).get_models()]
    personal = {model._meta.label_lower for model in ours if getattr(model, "PERSONAL_DATA", None)}
    assert sorted(personal - listed) == []
    assert sorted(listed - {model._meta.label_lower for model in ours}) == []  # no table that is gone


def test_what_a_rule_says_is_deleted_is_in_the_schedule():
    assert [rule.what for rule in RULES if rule.sweep and rule.sweep not in settings.CELERY_BEAT_SCHEDULE] == []


def test_the_page_names_forms_controller_and_releases(client):
    text = make_text(slug="faces", name="Faces", controller_name="<b>Foundation</b>")
    for _ in range(5):
        make_image(make_consent())
    release = make_published(make_dataset())
    page = client.get("/openness/").content.decode()
    assert "&lt;b&gt;Foundation&lt;/b&gt;" in page
    assert "mailto:privacy@example.org" in page
    assert f"{text.version} · en" in page
    assert 'href="/sign/faces/"' in page
    assert f'href="/datasets/{release.dataset.slug}/"' in page
    assert f'href="{client.get("/").wsgi_request.path}keys/signing.pem"' in page


def test_every_page_leads_there(client):
    assert 'href="/openness/"' in client.get("/calls/").content.decode()


def test_r36_nothing_under_five_is_shown():
    assert [shown(n) for n in (0, 1, 4, 5, 1234)] == ["fewer than 5"] * 3 + ["5", "1,234"]
    for status in (ImageStatus.ACCEPTED, ImageStatus.REJECTED):
        for _ in range(5 if status == ImageStatus.ACCEPTED else 2):
            make_image(make_consent(), status=status)
    found = said(openness.photographs())
    assert found["in use"] == "5"
    assert {found[label] for label in found if label != "in use"} == {"fewer than 5"}
    assert said(openness.rights())["people whose permission is in force"] == "7"
    assert said(openness.rights())["withdrawals, of a purpose or of everything"] == "fewer than 5"


def test_r36_no_small_number_follows_from_two_others(client):
    """No totals: what is shown of photographs must not add up with anything on the page."""
    consents = [make_consent() for _ in range(9)]
    for number, consent in enumerate(consents):
        make_image(consent, status=ImageStatus.ACCEPTED if number < 6 else ImageStatus.REJECTED)
    page = client.get("/openness/").content.decode()
    cells = re.findall(r'<td class="number">([^<]*)</td>', page)
    numbers = {int(cell) for cell in cells if cell.isdigit()}
    assert 6 in numbers
    assert not {a - b for a in numbers for b in numbers} & {1, 2, 4}
    assert 3 not in numbers


def test_held_back_and_kept_photographs_are_not_counted_as_in_use():
    for _ in range(6):
        image = make_image(make_consent())
        Withdrawal.objects.create(consent=image.consent, aftermath=Aftermath.KEEP)
    found = said(openness.photographs())
    assert (found["in use"], found["kept for their owners alone"]) == ("fewer than 5", "6")


def test_r16_requests_are_told_by_kind_with_the_median_and_the_share_in_time():
    for days in (1, 2, 3, 40, 41, 42, 43, 44):
        ask(answered_after=days)
    ask(answered_after=35, extended=True)
    for _ in range(4):
        ask("objection")
    for _ in range(6):
        ask("erasure")
    RightsRequest.objects.create(kind="access", due_at=timezone.now() + DAY)  # not answered
    by_kind = {row.kind: row for row in openness.answers()}
    access = by_kind["access to my data (Art. 15)"]
    assert (access.answered, access.days, access.in_time) == ("9", "40", "fewer than 5")
    objection = by_kind["objection (Art. 21)"]
    assert (objection.answered, objection.days, objection.in_time) == ("fewer than 5", "", "")
    assert by_kind["erasure (Art. 17)"].in_time == "all but fewer than 5"
    ask("erasure", answered_after=50)  # no share: one late of seven would follow from it
    by_kind = {row.kind: row for row in openness.answers()}
    assert by_kind["erasure (Art. 17)"].in_time == "all but fewer than 5"
    for days in (1, 2):
        ask(answered_after=days)
    access = next(row for row in openness.answers() if row.kind == access.kind)
    assert (access.answered, access.in_time) == ("11", "45 %")


def test_the_page_is_counted_at_most_every_ten_minutes(client, django_assert_max_num_queries):
    client.get("/openness/")
    with django_assert_max_num_queries(8):
        client.get("/openness/")


# --- The record of processing --------------------------------------------------------------------


@pytest.fixture
def officer(client):
    client.force_login(make_user("", PROTECTION_OFFICER))
    return client


def test_r25_the_record_comes_from_what_is_there(officer, settings):
    settings.HTTPS = False
    text = make_text(("research", "product"), slug="faces", name="Faces", recipients=["A team in Oslo"])
    PurposeEnd.objects.create(purpose_id="product", reason="Over.")
    make_call(form=text.form, title="Faces by daylight", dpia_reference="DPIA-77")
    make_licence()
    make_campaign(name="Quality of light")
    make_token(make_dataset(title="Portraits"))
    ledger.append("test", note="so that there is something to seal")
    ledger.seal()
    record = json.loads(officer.get("/staff/records.json").content)
    faces = next(one for one in record["activities"] if "Faces, version" in one["activity"])
    assert faces["recipients"] == ["A team in Oslo"]
    assert faces["time_limit"].startswith("3 years after signing")
    assert faces["data"] == ["pd:Picture"]
    assert (faces["transfers"], faces["storage_places"]) == ("None outside the EU.", ["IE"])
    assert [one["reference"] for one in faces["impact_assessments"]] == ["DPIA-77"]
    assert any("(ended " in purpose for purpose in faces["purposes"])
    assert any("Faces of the coast" in one["activity"] for one in record["activities"])
    assert any("Quality of light" in one["activity"] for one in record["activities"])
    assert record["recipients"] == [{"name": "ML team", "datasets": ["Portraits"], "first_pull": "", "last_pull": ""}]
    assert len(record["time_limits"]) == len(RULES)
    measures = {one["measure"]: one for one in record["security_measures"]}
    assert not measures["Encryption on the way"]["on"]
    assert measures["Signed ledger"]["detail"].startswith(f"{ledger.latest_checkpoint().tree_size} entries")
    assert int(measures["Proof cannot be changed"]["detail"].split()[0]) > 20
    assert {one["role"]: one["people"] for one in record["roles"]}["data-protection officer"] == 1
    settings.HTTPS = True
    page = officer.get("/staff/records/").content.decode()
    assert "DPIA-77" in page
    assert "HSTS for" in page


def test_r25_the_record_holds_no_address_of_a_person(officer):
    consent = make_consent()
    make_token(make_dataset())
    record = officer.get("/staff/records.json").content.decode()
    assert consent.contributor.user.email not in record
    assert "ml@example.org" not in record
    assert str(consent.contributor_id) not in record


@pytest.mark.parametrize("address", ["/staff/records/", "/staff/records.json"])
def test_the_record_is_for_officers_and_managers(client, address):
    assert client.get(address).status_code == 302
    client.force_login(make_user("", REVIEWER))
    assert client.get(address).status_code == 403
    for role in (DATA_MANAGER, PROTECTION_OFFICER):
        client.force_login(make_user("", role))
        assert client.get(address).status_code == 200


def test_the_staff_page_leads_to_the_record(officer):
    assert 'href="/staff/records/"' in officer.get("/staff/").content.decode()


def test_r40_a_call_does_not_open_without_a_dpia_reference(client):
    form = make_text(slug="faces").form
    with pytest.raises(IntegrityError), transaction.atomic():
        make_call(form=form, dpia_reference="")
    client.force_login(make_user("", DATA_MANAGER))
    fields = {
        "slug": "faces",
        "title": "Faces",
        "description": "One person.",
        "form": form.pk,
        "opens_at": "2026-01-01T00:00",
        "closes_at": "2036-01-01T00:00",
        "max_per_person": "10",
    }
    for reference in ("", "   "):
        page = client.post("/staff/calls/new/", fields | {"dpia_reference": reference})
        assert "This field is required." in page.content.decode()
    assert not Call.objects.exists()
    client.post("/staff/calls/new/", fields | {"dpia_reference": "DPIA-2026-1"})
    assert Call.objects.get().is_open()
