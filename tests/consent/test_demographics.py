"""What people say about themselves: optional, apart, deleted in time, and never shown in small numbers."""

import datetime
import itertools
import re
from collections import defaultdict

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from consent import demographics, tasks
from consent.models import PREFER_NOT_TO_SAY, Clock, Consent, Demographics
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, FAIRNESS_ANALYST, PROTECTION_OFFICER, REVIEWER
from consent.suppression import SMALL, is_given_away, withheld
from consent.withdrawals import withdraw, withdraw_all
from tests.consent.factories import make_consent, make_contributor, make_text, make_user

pytestmark = pytest.mark.django_db
ABOUT = "/me/about-me/"


@pytest.fixture
def contributor(client):
    contributor = make_contributor()
    make_consent(contributor)
    client.force_login(contributor.user)
    return contributor


def tell(contributor, **answers):
    return demographics.save_answers(contributor=contributor, **answers)


def people(number, **answers):
    text = make_text()
    for _ in range(number):
        contributor = make_contributor()
        make_consent(contributor, text=text)
        tell(contributor, **answers)


# --- The page -----------------------------------------------------------------------------------


def test_r33_every_question_is_optional_with_prefer_not_to_say_and_nothing_is_inferred(client, contributor):
    shown = client.get(ABOUT).content.decode()
    assert "checked" not in shown
    assert shown.count("Prefer not to say") == len(demographics.ATTRIBUTES)
    assert shown.count("<rect") == 10
    assert "Dr. Ellis Monk" in shown
    assert re.search(r'<a class="button secondary" href="/me/">Skip</a>', shown)
    assert not re.search(r"<option[^>]+selected[^>]*>(?!Not answered)", shown)
    client.post(ABOUT, {})
    assert not Demographics.objects.exists()
    client.post(ABOUT, {"gender": PREFER_NOT_TO_SAY})
    said = Demographics.objects.get()
    assert [getattr(said, name) for name in demographics.ATTRIBUTES] == ["", "", PREFER_NOT_TO_SAY, "", ""]


def test_answers_can_be_changed_and_deleted_at_any_time(client, contributor):
    answers = {"skin_tone": "7", "age_band": "30-39", "gender": "woman", "ancestry": "africa", "country": "IE"}
    assert client.post(ABOUT, answers).url == "/me/"
    assert {name: getattr(Demographics.objects.get(), name) for name in answers} == answers
    assert "Delete my answers" in client.get(ABOUT).content.decode()
    assert "Change or delete" in client.get("/me/").content.decode()
    client.post(ABOUT, {"skin_tone": "8"})
    assert (Demographics.objects.get().skin_tone, Demographics.objects.get().gender) == ("8", "")
    client.post(reverse("about_me_delete"))
    assert not Demographics.objects.exists()


@pytest.mark.parametrize("answers", [{"age_band": "18-29"}, {"skin_tone": "11"}, {"gender": "x"}, {"country": "XX"}])
def test_only_true_bands_and_known_answers_are_taken(client, contributor, answers):
    """The band comes from the date of birth: nobody can say another."""
    assert client.post(ABOUT, answers).status_code == 200
    assert not Demographics.objects.exists()


def test_the_service_refuses_unknown_answers(contributor):
    with pytest.raises(Refused, match="gender"):
        tell(contributor, gender="x")


def test_whoever_signed_nothing_is_not_asked(client):
    client.force_login(make_contributor().user)
    assert "Please sign first" in client.post(ABOUT, {"gender": "man"}).content.decode()
    assert not Demographics.objects.exists()


def test_the_page_leads_on_to_where_the_person_was_going(client, contributor):
    assert 'href="/calls/"' in client.get(f"{ABOUT}?next=/calls/").content.decode()
    assert client.post(f"{ABOUT}?next=/calls/", {"gender": "man"}).url == "/calls/"
    assert client.post(f"{ABOUT}?next=https://evil.example/", {"gender": "man"}).url == "/me/"


# --- Deletion -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "kept"), [(30, 30), (1095, 1095), (5000, 1095)])
def test_r29_the_deletion_day_is_the_end_of_the_permission_or_three_years(days, kept):
    contributor = make_contributor()
    make_consent(contributor, text=make_text(retention_days=days))
    said = tell(contributor, gender="man")
    assert said.delete_on == (timezone.now() + datetime.timedelta(days=kept)).date()


def test_r29_the_sweep_deletes_on_the_day_and_not_before(contributor):
    said = tell(contributor, gender="man")
    tasks.delete_demographics()
    assert Demographics.objects.exists()
    for days, left in ((-1, 1), (0, 0)):
        day = said.delete_on + datetime.timedelta(days=days)
        clock = datetime.datetime.combine(day, datetime.time(12), datetime.UTC)
        demographics.delete_due(clock=min(clock, Consent.objects.get().expires_at - datetime.timedelta(seconds=1)))
        if days < 0:
            assert Demographics.objects.count() == left
    demographics.delete_due(clock=datetime.datetime.combine(said.delete_on, datetime.time(12), datetime.UTC))
    assert not Demographics.objects.exists()


def test_it_goes_when_nothing_is_permitted_any_more(contributor):
    other = make_consent(contributor)
    tell(contributor, gender="man")
    withdraw(consent=other)
    tasks.delete_demographics()
    assert Demographics.objects.exists()
    withdraw_all(contributor=contributor)
    tasks.delete_demographics()
    assert not Demographics.objects.exists()


def test_a_wrong_clock_deletes_nothing(contributor):
    tell(contributor, gender="man")
    now = timezone.now()
    Clock.objects.create(pk=1, seen_at=now, steady_since=now - datetime.timedelta(days=9))
    with time_machine.travel(now + datetime.timedelta(days=4000)):
        tasks.observe_clock()
        tasks.delete_demographics()
    assert Demographics.objects.exists()


# --- Who sees it --------------------------------------------------------------------------------


def test_r29_only_fairness_analysts_see_counts_and_nobody_sees_answers(client, contributor):
    people(6, gender="woman", skin_tone="3")
    for role, status in ((FAIRNESS_ANALYST, 200), (DATA_MANAGER, 403), (REVIEWER, 403), (PROTECTION_OFFICER, 403)):
        client.force_login(make_user(f"{role.replace(' ', '')}@example.org", role))
        assert client.get("/staff/fairness/").status_code == status
        assert ("/staff/fairness/" in client.get("/staff/").content.decode()) is (status == 200)
    client.force_login(contributor.user)
    assert client.get("/staff/fairness/").status_code == 403
    client.logout()
    assert "/accounts/login/" in client.get("/staff/fairness/").url


def test_r29_no_other_page_of_the_person_reads_the_answers(client, contributor):
    tell(contributor, gender="woman")
    for address in ("/sign/nothing/", "/me/photos/", "/"):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get(address)
        assert not [query for query in queries if "consent_demographics" in query["sql"]]


def test_the_counts_page_says_nothing_about_one_person(client):
    people(9, gender="woman", ancestry="europe")
    people(1, gender="man")
    client.force_login(make_user("", FAIRNESS_ANALYST))
    shown = client.get("/staff/fairness/").content.decode()
    assert "withheld" in shown
    rows = dict(demographics.count_tables()[2].rows)
    assert rows["Man"] is None
    assert None in (rows["Woman"], rows["Prefer not to say"])
    for contributor_id in Demographics.objects.values_list("contributor", flat=True):
        assert str(contributor_id) not in shown


def test_with_four_people_there_is_no_table(client):
    people(SMALL - 1, gender="woman")
    assert demographics.count_tables() == []
    client.force_login(make_user("", FAIRNESS_ANALYST))
    assert "Too few people" in client.get("/staff/fairness/").content.decode()


def test_small_countries_are_one_row():
    people(7, country="IE")
    people(5, country="DE")
    people(2, country="FR")
    people(4, country=PREFER_NOT_TO_SAY)
    people(6, gender="man")
    assert dict(demographics.count_tables()[4].rows) == {
        "Ireland": 7, "Germany": 5, "All other countries": None, "Prefer not to say": None, "Not answered": 6,
    }  # fmt: skip


def test_r36_a_country_is_named_only_with_its_number():
    """A name alone says "at least five": here it would give away that nobody lives anywhere else."""
    unsaid = {"Prefer not to say": 6, "Not answered": 7}
    assert demographics.pooled({"Ireland": 5, "France": 0}, unsaid) == {"All other countries": 5, **unsaid}
    assert demographics.pooled({"Ireland": 5, "France": 6}, unsaid) == {"France": 6, "All other countries": 5, **unsaid}


# --- Small cells --------------------------------------------------------------------------------


@pytest.mark.parametrize(("cells", "total"), [(2, 24), (3, 24), (4, 20), (5, 16)])
def test_r36_no_suppressed_cell_is_derivable_from_totals(cells, total):
    """Whoever knows the total, the shown cells and how we choose still finds several values for each hidden cell."""
    for everybody in range(SMALL, total + 1):
        tables = (
            counts for counts in itertools.product(range(everybody + 1), repeat=cells) if sum(counts) == everybody
        )
        alike = defaultdict(list)
        for counts in tables:
            hidden = withheld(counts)
            assert all(counts[index] >= SMALL for index in range(cells) if index not in hidden)
            alike[tuple(None if index in hidden else count for index, count in enumerate(counts))].append(counts)
        for shown, possible in alike.items():
            for index, count in enumerate(shown):
                if count is None and not is_given_away(possible[0]):
                    assert len({counts[index] for counts in possible}) > 1, (shown, possible)


def test_r36_big_cells_are_shown():
    assert withheld([5, 6, 7]) == frozenset()
    assert withheld([4, 90, 60]) == {0, 2}
    assert withheld([4, 60, 60, 90]) == {0, 1, 2}
    assert withheld([0, 0, 9, 50]) == {0, 1, 2}


def test_r36_when_withholding_does_not_help_nothing_is_shown():
    for gender in (*demographics.GENDERS, PREFER_NOT_TO_SAY):
        people(4, gender=gender)
    people(4, skin_tone="1")
    assert is_given_away([4] * 6)
    assert not is_given_away([4] * 5 + [3])
    assert demographics.count_tables() == []
