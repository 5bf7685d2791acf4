"""The texts to start from: complete but for the controller, in every language, and publishable."""

import pytest

from consent import drafts, starters, texts
from consent.models import ConsentForm, FormDraft, Purpose
from tests.consent.factories import make_user

pytestmark = pytest.mark.django_db
CONTROLLER = {
    "controller_name": "Example Foundation", "controller_address": "1 Example Street, Dublin",
    "contact": "privacy@example.org", "complaint_body": "Data Protection Commission", "storage_locations": ["IE"],
    "jurisdiction": "IE",
}  # fmt: skip


def test_there_are_two_starters_in_three_languages():
    assert [one.key for one in starters.starters()] == [
        f"{form}.{language}" for form in ("commercial", "research") for language in ("de", "en", "es")
    ]


def test_starters_lack_only_what_the_controller_knows_and_can_be_published_in_every_language():
    user = make_user()
    for one in starters.starters():
        draft = drafts.start_from_starter(key=one.key, user=user)
        lacking = drafts.still_missing(draft)
        assert {words for field, words in texts.NEEDED.items() if words in lacking} == {
            texts.NEEDED[field] for field in CONTROLLER
        }
        FormDraft.objects.filter(pk=draft.pk).update(**CONTROLLER)
        text = drafts.publish_draft(draft=FormDraft.objects.get(pk=draft.pk))
        assert 400 <= len(text.body.split()) <= 700
    assert ConsentForm.objects.count() == 2
    assert [text.language for text in ConsentForm.objects.get(slug="research-portraits").current_texts()] == [
        "de", "en", "es",
    ]  # fmt: skip


def test_r12_starters_name_what_is_collected_the_specific_purpose_and_the_term():
    for one in starters.starters():
        if one.language == "en":
            body = " ".join(one.says["body"].split())
            for words_ in (
                "collect and store measurements of your face",
                "The specific purpose is",
                "three years after",
            ):
                assert words_ in body
            assert "pd:Biometric" in one.says["data_categories"]


def test_a_starter_leaves_purposes_that_exist_as_they_are():
    texts.add_purpose(code="face-studies", name="Ours", description="Our own words.")
    drafts.start_from_starter(key="research.en", user=make_user())
    drafts.start_from_starter(key="research.de", user=make_user())
    ours = Purpose.objects.get(code="face-studies")
    assert (ours.name, ours.wordings.count()) == ("Ours", 2)
