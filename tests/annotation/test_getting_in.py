"""Terms that are agreed to, languages, and what annotators say of themselves."""

import json
from itertools import count

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation import about_annotators, terms
from annotation.about_annotators import group_agreement, regions_in_a_word, save_answers
from annotation.access import is_handed_to
from annotation.agreement import Pairs
from annotation.handouts import hand_out
from annotation.intake import record_annotation
from annotation.joining_models import AnnotatorAbout, AnnotatorLanguage, CampaignLanguage, WorkAgreement, WorkTerms
from annotation.languages import set_languages
from annotation.models import Annotator, Campaign
from annotation.selection import accepted_annotations
from consent.models import ErasureNote, LedgerEntry
from consent.refusals import Refused
from tests.annotation.factories import (
    good_result,
    make_annotator,
    make_campaign,
    make_pushed_task,
    make_user,
    open_to,
    rating,
    remote,
)

pytestmark = pytest.mark.django_db
_users = count(7000)


# --- Terms ---------------------------------------------------------------------------------------


def test_the_terms_that_come_along_are_the_first_version_and_never_change():
    first = terms.newest_terms()
    assert (first.version, first.published_by) == (1, None)
    assert terms.newest_terms() == first
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        WorkTerms.objects.update(body="You work for nothing.")


def test_an_agreement_is_kept_once_with_hash_and_time_and_in_the_ledger():
    annotator, newest = make_annotator(agreed=False), terms.newest_terms()
    for _ in range(2):
        terms.agree(annotator=annotator, sha256=newest.sha256)
    assert WorkAgreement.objects.get().terms == newest
    [told] = [json.loads(one.payload) for one in LedgerEntry.objects.filter(payload__contains="work_terms.agreed")]
    assert (told["annotator"], told["terms_sha256"]) == (str(annotator.pk), newest.sha256)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        WorkAgreement.objects.all().delete()


def test_nobody_gets_photographs_before_they_agreed_to_the_terms_in_force():
    campaign, annotator = make_campaign(), make_annotator(agreed=False)
    assert open_to(annotator) == set()
    terms.agree(annotator=annotator, sha256=terms.newest_terms().sha256)
    assert open_to(annotator) == {campaign}
    newer = terms.publish_terms(body="Other terms.", user=make_user())
    assert open_to(annotator) == set()
    with pytest.raises(Refused, match="changed a moment ago"):
        terms.agree(annotator=annotator, sha256=WorkTerms.objects.get(version=1).sha256)
    terms.agree(annotator=annotator, sha256=newer.sha256)
    assert open_to(annotator) == {campaign}


def test_new_terms_take_nothing_off_anybodys_screen():
    task, annotator = make_pushed_task(), make_annotator()
    hand_out(annotator, task=task)
    terms.publish_terms(body="Other terms.", user=make_user())
    assert is_handed_to(annotator, task=task)


def test_the_same_terms_are_not_published_twice():
    body = terms.newest_terms().body
    for words, says in ((body, "in force already"), ("  ", "Write the terms")):
        with pytest.raises(Refused, match=says):
            terms.publish_terms(body=words, user=make_user())


def test_a_data_manager_publishes_terms_and_annotators_are_asked(client):
    annotator = make_annotator()
    client.force_login(make_user("manager@example.org", "data manager"))
    page = client.post("/staff/work-terms/", {"body": "## Work\n\nYou <b>look</b>."}, follow=True).content.decode()
    assert "Version 2 is in force" in page
    assert "manager@example.org" in page
    client.force_login(annotator.user)
    assert "There are new work terms" in client.get("/work/").content.decode()
    page = client.get("/work/terms/").content.decode()
    assert "<h2>Work</h2>" in page
    assert "&lt;b&gt;" in page
    newest = terms.newest_terms()
    page = client.post("/work/terms/", {"agree": "on", "terms": newest.sha256}, follow=True).content.decode()
    assert "You can go on labelling" in page
    assert "There are new work terms" not in page


def test_whoever_read_earlier_terms_is_shown_the_new_ones(client):
    annotator = make_annotator()
    client.force_login(annotator.user)
    earlier = terms.newest_terms().sha256
    newer = terms.publish_terms(body="Other terms.", user=make_user())
    page = client.post("/work/terms/", {"agree": "on", "terms": earlier}).content.decode()
    assert "changed a moment ago" in page
    assert "Other terms." in page
    assert f'value="{newer.sha256}"' in page
    assert not WorkAgreement.objects.filter(terms=newer).exists()


# --- Languages -----------------------------------------------------------------------------------


def test_only_who_knows_one_of_the_languages_gets_the_campaign():
    asks, open_to_all = make_campaign(), make_campaign()
    CampaignLanguage.objects.bulk_create(CampaignLanguage(campaign=asks, language=code) for code in ("ga", "de"))
    annotator = make_annotator()
    for known, seen in ((["en"], {open_to_all}), (["de", "en"], {asks, open_to_all}), ([], {open_to_all})):
        set_languages(annotator=annotator, codes=known)
        assert open_to(annotator) == seen
    with pytest.raises(Refused, match="not one of the languages"):
        set_languages(annotator=annotator, codes=["tlh"])


def test_an_annotator_says_which_languages_they_know(client):
    annotator = make_annotator()
    client.force_login(annotator.user)
    assert "Irish (Gaeilge)" in client.get("/work/languages/").content.decode()
    assert client.post("/work/languages/", {"codes": ["ga", "en"]})["Location"] == "/work/about-me/"
    assert "English, Irish" in client.get("/work/").content.decode()
    assert "Select a valid choice" in client.post("/work/languages/", {"codes": ["tlh"]}).content.decode()
    client.post("/work/languages/", {})
    assert not AnnotatorLanguage.objects.exists()


# --- What people say of themselves ---------------------------------------------------------------


def test_what_is_said_is_kept_and_deleted_for_good_when_asked(client):
    annotator = make_annotator()
    client.force_login(annotator.user)
    assert "checked" not in client.get("/work/about-me/").content.decode()
    client.post("/work/about-me/", {"region": "europe", "gender": "prefer_not"})
    said = AnnotatorAbout.objects.get()
    assert (said.region, said.age_band, said.gender) == ("europe", "", "prefer_not")
    assert "Delete my answers" in client.get("/work/about-me/").content.decode()
    client.post("/work/about-me/delete/")
    assert not AnnotatorAbout.objects.exists()
    assert "annotator_about" in ErasureNote.objects.get().payload
    assert not about_annotators.delete_answers(annotator=annotator)


def test_nothing_said_is_nothing_kept():
    annotator = make_annotator()
    with pytest.raises(Refused, match="Choose one of the answers"):
        save_answers(annotator=annotator, region="atlantis")
    save_answers(annotator=annotator, region="asia")
    assert save_answers(annotator=annotator, region="", age_band="", gender="") is None
    assert not AnnotatorAbout.objects.exists()


def test_it_goes_with_the_account():
    annotator = make_annotator()
    save_answers(annotator=annotator, region="asia")
    set_languages(annotator=annotator, codes=["en"])
    assert about_annotators.forget_former() == 0
    Annotator.objects.update(user=None)
    assert about_annotators.forget_former() == 2


def make_groups(**people):
    """A campaign labelled by so many people of each region; those of Asia see it differently."""
    campaign = make_campaign(images=1, overlap=sum(people.values()), sample_size=1)
    task = make_pushed_task(campaign)
    for region, number in people.items():
        for _ in range(number):
            person = make_annotator(next(_users))
            save_answers(annotator=person, region=region)
            said = [rating(1), *good_result()[1:]] if region == "asia" else good_result(5)
            record_annotation(task=task, remote=remote(person.label_studio_user, result=said))
    return campaign


def groups_of(campaign):
    return dict(group_agreement(accepted_annotations(campaign, timezone.now())))


def test_groups_are_compared_by_means_of_five_and_more():
    [europe, asia] = sorted(groups_of(make_groups(europe=6, asia=5))["Where do you live?"], key=lambda one: -one.same)
    assert (europe.name, europe.people, asia.name, asia.people) == ("Europe", 6, "Asia", 5)
    assert asia.same < europe.same < 1


def test_no_group_can_be_worked_out_that_is_smaller():
    groups = groups_of(make_groups(europe=9, asia=7, africa=2))["Where do you live?"]
    assert [(one.name, one.people) for one in groups] == [("Africa", None), ("Asia", None), ("Europe", 9)]
    assert [one.same is None for one in groups] == [True, True, False]


def test_few_people_are_shown_as_nothing(client):
    campaign = make_groups(europe=2, asia=1)
    assert groups_of(campaign) == {}
    client.force_login(make_user("fair@example.org", "fairness analyst"))
    assert "Too few people" in client.get(f"/staff/campaigns/{campaign.pk}/groups/").content.decode()
    client.force_login(make_user("manager@example.org", "data manager"))
    assert client.get(f"/staff/campaigns/{campaign.pk}/groups/").status_code == 403
    assert Campaign.objects.count() == 1


@pytest.mark.parametrize(
    ("people", "word"),
    [
        ({"europe": 6, "africa": 6}, "alike"),
        ({"europe": 6, "asia": 6}, "apart"),  # those of Asia see it differently
        ({"europe": 9, "asia": 4}, "too few to tell"),
        ({"prefer_not": 7, "asia": 5}, "too few to tell"),
    ],
)
def test_regions_are_compared_in_a_word(people, word, monkeypatch):
    monkeypatch.setattr(about_annotators, "FEWEST", 60)
    pairs = Pairs()
    pairs.add(accepted_annotations(make_groups(**people), timezone.now()))
    assert regions_in_a_word(pairs) == word


def test_a_few_comparisons_tell_nothing_of_regions():
    pairs = Pairs()
    pairs.add(accepted_annotations(make_groups(europe=6, asia=6), timezone.now()))
    assert regions_in_a_word(pairs) == "too few to tell"
