"""The pages of calls: opening, changing, closing, targets, and what each visitor is told."""

import datetime

import pytest
from django.core.cache import cache
from django.utils import timezone

from collection.models import Call, Target
from consent import demographics
from tests.collection.factories import make_call, receive
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent, make_contributor, make_text, make_user

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


@pytest.fixture
def call():
    cache.clear()
    return make_call(form=make_text(slug="faces").form, slug="daylight", max_per_person=10)


@pytest.fixture
def manager(client):
    client.force_login(make_user("", "data manager"))
    return client


def fields(call: Call, **changes: object) -> dict[str, object]:
    """What the form of a call sends, its targets left alone."""
    said = {name: getattr(call, name) for name in ("slug", "title", "description", "max_per_person", "dpia_reference")}
    times = {name: f"{getattr(call, name):%Y-%m-%dT%H:%M}" for name in ("opens_at", "closes_at")}
    return {**said, **times, "form": call.form_id, "open_to_unsaid": "on", **changes}


def rows(*wanted: dict[str, object]) -> dict[str, object]:
    """What the rows of targets send."""
    sent: dict[str, object] = {"targets-TOTAL_FORMS": len(wanted), "targets-INITIAL_FORMS": 0}
    return sent | {f"targets-{at}-{name}": value for at, row in enumerate(wanted) for name, value in row.items()}


def edit(manager, call: Call, **sent: object) -> str:
    return manager.post(f"/staff/calls/{call.slug}/edit/", fields(call, **sent), follow=True).content.decode()


def groups() -> set[tuple[str, ...]]:
    return set(Target.objects.values_list("gender", "age_band", "skin_tone", "country", "people", "photographs"))


# --- Opening, changing, closing -----------------------------------------------------------------


def test_a_call_is_opened_with_its_targets(manager, call):
    sent = rows({"gender": "woman", "country": "IE", "people": 10}, {}, {"photographs": 500, "people": 60})
    page = manager.post("/staff/calls/new/", fields(call, slug="winter") | sent, follow=True).content.decode()
    assert "10 people wanted" in page
    assert groups() == {("woman", "", "", "IE", 10, None), ("", "", "", "", 60, 500)}
    assert "Winter" not in page
    assert "/staff/calls/winter/" in manager.get("/staff/calls/").content.decode()


def test_more_rows_come_without_a_script_and_nothing_typed_is_lost(manager, call):
    page = edit(manager, call, more_rows="1", title="Half typed", **rows({"gender": "man", "people": 7}))
    assert 'value="Half typed"' in page
    assert 'name="targets-3-gender"' in page
    assert '<option value="man" selected>' in page
    assert not Target.objects.exists()


def test_rows_change_and_go_and_the_others_keep_their_place(manager, call):
    edit(manager, call, **rows({"gender": "man", "people": 7}, {"gender": "woman", "people": 7}))
    kept = Target.objects.get(gender="woman").pk
    edit(
        manager,
        call,
        **rows(
            {"gender": "man", "people": 7, "DELETE": "on"},
            {"gender": "woman", "people": 9},
            {"skin_tone": "10", "people": 5},
        ),
    )
    assert groups() == {("woman", "", "", "", 9, None), ("", "", "10", "", 5, None)}
    assert Target.objects.get(gender="woman").pk == kept
    edit(manager, call, title="Without rows they stay")
    assert Target.objects.count() == 2


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ([{"gender": "robot", "people": 9}], "robot is not one of the available choices"),
        ([{"gender": "man", "people": 9}, {"gender": "man", "people": 8}], "two targets for “Man”"),
        ([{"gender": "man"}], "how many people or photographs"),
        ([{"gender": "man", "people": 4}], "at least 5 people"),
        ([{"gender": "man", "people": 9, "photographs": 8}], "9 people give at least 9"),
        ([{"gender": "man", "people": 5, "photographs": 51}], "50 photographs at most"),
        (
            [
                {"gender": "man", "people": 9},
                {"gender": "man", "country": "IE", "people": 5},
                {"gender": "man", "country": "FR", "people": 5},
            ],
            "“Man” ends at 9 people, but the groups in it want 10: Man, Ireland, Man, France",
        ),
        ([{"photographs": 9}, {"country": "IE", "photographs": 10}], "“Anyone” ends at 9 photographs"),
    ],
)
def test_targets_that_cannot_be_are_refused_with_a_sentence(manager, call, wanted, says):
    assert says in edit(manager, call, **rows(*wanted))
    assert not Target.objects.exists()


def test_overlapping_groups_may_want_more_together_than_they_are(manager, call):
    edit(manager, call, **rows({"people": 10}, {"gender": "man", "people": 9}, {"country": "IE", "people": 9}))
    assert Target.objects.count() == 3


def test_what_people_were_promised_stays(manager, call):
    other = make_text(slug="other").form
    receive(make_consent(make_contributor(), text=call.form.texts.get()), jpeg(size=(700, 700)), call=call)
    for changes, says in (
        ({"form": other.pk}, "under the form of this call"),
        ({"slug": "night"}, "its short name stays"),
        ({"opens_at": "2020-01-01T00:00"}, "its opening stays"),
        ({"closes_at": f"{call.closes_at - DAY:%Y-%m-%dT%H:%M}"}, "close it early"),
        ({"max_per_person": 9}, "Allow as many, or more"),
    ):
        assert says in edit(manager, call, **changes)
    later = call.closes_at + DAY
    edit(manager, call, closes_at=f"{later:%Y-%m-%dT%H:%M}", max_per_person=11, title="Longer")
    changed = Call.objects.get(pk=call.pk)
    assert (changed.form, changed.title, changed.max_per_person) == (call.form, "Longer", 11)
    assert changed.closes_at == later.replace(second=0, microsecond=0)
    assert changed.opens_at == call.opens_at


def test_the_form_may_change_before_the_first_photograph(manager, call):
    other = make_text(slug="other").form
    edit(manager, call, form=other.pk)
    assert Call.objects.get(pk=call.pk).form == other


def test_a_call_is_closed_early_once_and_for_good(manager, call):
    address = f"/staff/calls/{call.slug}/close/"
    assert manager.get(address).status_code == 405
    assert "The call is closed." in manager.post(address, follow=True).content.decode()
    assert "closed already" in manager.post(address, follow=True).content.decode()
    assert "Open a new one" in edit(manager, call, title="Again")
    assert "closed early" in manager.get("/staff/calls/").content.decode()
    manager.logout()
    assert "This call is closed" in manager.get(f"/calls/{call.slug}/").content.decode()
    assert call.title not in manager.get("/calls/").content.decode()


def test_only_data_managers_reach_these_pages(client, call):
    client.force_login(make_user("", "reviewer"))
    for address in ("", "new/", "daylight/", "daylight/edit/"):
        assert client.get(f"/staff/calls/{address}").status_code == 403
    assert client.post("/staff/calls/daylight/close/").status_code == 403


# --- What each visitor is told ------------------------------------------------------------------


def test_that_a_group_is_full_is_told_to_its_people_alone(client, call):
    Target.objects.create(call=call, gender="woman", age_band="30-39", photographs=1)
    text = call.form.texts.get()
    full, other = (make_consent(make_contributor(), text=text) for _ in range(2))
    demographics.save_answers(contributor=full.contributor, gender="woman", age_band="30-39")
    receive(full, jpeg(size=(700, 700)), call=call)
    says = "We have enough photographs of people of your age and gender at the moment"
    for visitor, told in ((full.contributor.user, True), (other.contributor.user, False), (None, False)):
        client.logout()
        if visitor:
            client.force_login(visitor)
        answer = client.get("/calls/daylight/")
        assert (says in answer.content.decode()) is told
        assert "no-store" in answer["Cache-Control"]
        assert "private" in answer["Cache-Control"]
        if visitor:
            assert (says in client.get("/calls/daylight/upload/").content.decode()) is told


def test_r33_whoever_has_not_said_is_asked_kindly_and_led_back(client, call):
    Target.objects.create(call=call, gender="woman", photographs=10)
    consent = make_consent(make_contributor(), text=call.form.texts.get())
    client.force_login(consent.contributor.user)
    page = client.get("/calls/daylight/").content.decode()
    assert "You need not, and we never guess it" in page
    assert "/me/about-me/?next=%2Fcalls%2Fdaylight%2F" in page
    demographics.save_answers(contributor=consent.contributor, gender="prefer_not")
    assert "tell us something about yourself" not in client.get("/calls/daylight/").content.decode()


def test_the_call_says_its_assessment_and_the_version_of_its_form(client, call):
    Call.objects.update(opens_at=timezone.now() - DAY)
    page = client.get("/calls/daylight/").content.decode()
    assert "DPIA-1" in page
    assert f"version {call.form.texts.get().version}" in page
    assert "newer than this call" not in page, "nobody signed an older one"
    newer = make_text(slug="faces")
    page = client.get("/calls/daylight/").content.decode()
    assert f"version {newer.version}" in page
    assert "newer than this call" in page


def test_the_way_into_a_call_fits_who_asks(client, call):
    """Newcomers make an account first; who has sent something is not told to sign first; a reviewer is announced."""
    page = client.get("/calls/daylight/").content.decode()
    assert "/accounts/signup/?next=%2Fcalls%2Fdaylight%2Fupload%2F" in page
    assert "You read and sign first" in page
    assert "A person looks" not in page
    Call.objects.update(look_at_all=True)
    consent = make_consent(make_contributor(), text=call.form.texts.get())
    receive(consent, jpeg(), call=call)
    client.force_login(consent.contributor.user)
    page = client.get("/calls/daylight/").content.decode()
    assert 'href="/calls/daylight/upload/"' in page
    assert "You read and sign first" not in page
    assert "A person looks at each photograph" in page


def test_the_plot_can_be_read_without_seeing_it(manager, call):
    Target.objects.create(call=call, gender="woman", people=10)
    page = manager.get("/staff/calls/daylight/").content.decode()
    assert "<title id=" in page
    assert "<desc id=" in page
    assert "<caption" in page
    assert " style=" not in page
