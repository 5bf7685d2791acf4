"""The pages of data managers about forms: lists, drafts, previews, publishing, differences, purposes."""

import re

import pytest

from consent.comparing import compare_paragraphs, differences
from consent.models import FormDraft, FormText, Purpose, PurposeEnd
from tests.collection.factories import make_image
from tests.consent.factories import make_consent, make_purpose, make_text, make_user, text_fields

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def manager(client):
    client.force_login(make_user("manager@example.org", "data manager"))
    return client


def page(response):
    assert response.status_code == 200
    return response.content.decode()


def typed(**changes):
    """A draft's fields as a browser sends them: lists are one value per line, purposes are several values."""
    fields = text_fields(slug="faces", version="1.0.0", body="Words.", **changes)
    return {name: "\n".join(value) if isinstance(value, list) else value for name, value in fields.items()}


def start(client, what="empty", language="en"):
    response = client.post("/staff/forms/drafts/new/", {"start": what, "language": language})
    assert response.status_code == 302, response.content.decode()
    return FormDraft.objects.latest("pk"), response.url


def test_who_may_see_the_pages(client):
    text = make_text()
    draft = FormDraft.objects.create(slug="x", name="X", retention_days=0)
    reading = ("/staff/forms/", f"/staff/forms/texts/{text.pk}/", f"/staff/forms/drafts/{draft.pk}/preview/",
               f"/staff/forms/compare/?old=text-{text.pk}&new=draft-{draft.pk}")  # fmt: skip
    writing = (
        "/staff/forms/drafts/new/",
        f"/staff/forms/drafts/{draft.pk}/",
        f"/staff/forms/drafts/{draft.pk}/publish/",
        "/staff/purposes/research/words/",
        "/staff/purposes/research/end/",
    )
    for role, reads, writes in (
        ("reviewer", 403, 403),
        ("data-protection officer", 200, 403),
        ("data manager", 200, 200),
    ):
        client.force_login(make_user(f"{role[:8].strip()}@example.org", role))
        assert [client.get(address).status_code for address in reading] == [reads] * len(reading)
        assert [client.get(address).status_code for address in writing] == [writes] * len(writing)
    client.logout()
    assert {client.get(address).status_code for address in (*reading, *writing)} == {302}


def test_from_an_empty_page_to_a_published_text(manager):
    make_purpose("research")
    draft, address = start(manager)
    html = page(manager.get(address))
    assert "who the controller is" in html
    assert "at least one purpose" in html
    # Incomplete work is kept.
    assert (
        manager.post(address, {"slug": "faces", "name": "Portraits", "language": "en", "title": "Half"}).url == address
    )
    html = page(manager.get(address))
    assert "Half" in html
    assert "who the controller is" in html
    assert "cannot be published yet" in page(manager.get(f"{address}publish/"))
    assert "It does not say" in page(manager.post(f"{address}publish/"))
    assert not FormText.objects.exists()
    assert manager.post(address, typed() | {"purposes": ["research"]}).url == address
    assert "everything that the law asks for" in page(manager.get(address))
    assert "Nobody who has signed before is asked again" in page(manager.get(f"{address}publish/"))
    assert manager.post(f"{address}publish/").url == "/staff/forms/"
    assert FormText.objects.get().form.slug == "faces"
    assert FormDraft.objects.filter(pk=draft.pk).exists()
    assert "people sign it now" in page(manager.get("/staff/forms/"))
    # A second press of the button.
    assert "already published" in page(manager.post(f"{address}publish/"))
    assert FormText.objects.count() == 1


def test_r05_publishing_is_blocked_and_each_missing_statement_named(manager):
    make_purpose("research")
    _, address = start(manager)
    manager.post(address, typed(contact="", recipients=[], complaint_body="") | {"purposes": ["research"]})
    html = page(manager.post(f"{address}publish/"))
    for words in ("contact e-mail address", "who receives the data", "authority that takes complaints"):
        assert f"<li>{words}" in html or f"<li>a {words}" in html or f"<li>the {words}" in html
    assert not FormText.objects.exists()


def test_the_preview_is_what_is_then_published(manager):
    make_purpose("research")
    _, address = start(manager)
    manager.post(address, typed(title=SCRIPT, summary="Short.") | {"purposes": ["research"]})
    html = page(manager.get(f"{address}preview/"))
    assert "PREVIEW" in html
    assert SCRIPT not in html
    assert "Can you change your mind later?" in html
    assert 'type="checkbox"' in html
    assert "checked" not in html
    assert not re.search(r"<button[^>]*>Sign<", html)
    manager.post(f"{address}publish/")
    text = FormText.objects.get()
    assert text.html in html
    shown = page(manager.get(f"/staff/forms/texts/{text.pk}/"))
    assert text.html in shown
    assert text.sha256 in shown


def test_a_preview_of_almost_nothing(manager):
    _, address = start(manager)
    assert "Without a title" in page(manager.get(f"{address}preview/"))


def test_r07_publishing_says_how_many_are_asked_again(manager):
    old = make_text(slug="faces", version="1.0.0")
    make_consent(text=old)
    make_consent(text=old)
    draft, address = start(manager, f"text-{old.pk}")
    assert (draft.version, draft.slug, draft.language) == ("1.1.0", "faces", "en")
    assert [purpose.pk for purpose in draft.purposes.all()] == ["research"]
    FormDraft.objects.update(retention_days=30)
    assert "call it 2.0.0" in page(manager.post(f"{address}publish/"))
    FormDraft.objects.update(version="2.0.0")
    assert "2 people have signed" in page(manager.get(f"{address}publish/"))
    manager.post(f"{address}publish/")
    html = page(manager.get("/staff/forms/"))
    assert "signers are asked again" in html
    assert "people sign it now" in html


def test_a_translation_has_the_same_version(manager):
    old = make_text(slug="faces", version="1.4.0")
    draft, address = start(manager, f"text-{old.pk}", "de")
    assert (draft.version, draft.language) == ("1.4.0", "de")
    assert "no words in the language" in page(manager.post(f"{address}publish/"))
    words = {"language": "de", "name": "Forschung", "description": "Für Studien."}
    assert manager.post("/staff/purposes/research/words/", words).url == "/staff/purposes/research/words/"
    assert "Für Studien." in page(manager.get("/staff/purposes/research/words/"))
    assert manager.post(f"{address}publish/").url == "/staff/forms/"


def test_from_a_starter(manager):
    draft, address = start(manager, "starter-commercial.es")
    assert (draft.slug, draft.language, draft.jurisdiction) == ("commercial-portraits", "es", "")
    html = page(manager.get(address))
    assert html.count("checked") == 3
    assert "who the controller is" in html
    assert "a title" not in re.search(r'<div class="notice.*?</div>', html, re.DOTALL).group()


@pytest.mark.parametrize("what", ["starter-nothing.en", "text-999", "text-x", "x", ""])
def test_there_is_no_such_beginning(manager, what):
    page(manager.post("/staff/forms/drafts/new/", {"start": what, "language": "en"}))
    assert not FormDraft.objects.exists()


def test_own_questions_are_written_as_plain_text(manager):
    make_purpose("research")
    _, address = start(manager)
    block = "May I ask {n}?\r\n+ Yes\r\n- No\r\n= You may ask."
    data = typed() | {"purposes": ["research"], "questions": "\r\n\r\n".join(block.format(n=n) for n in range(3))}
    manager.post(address, data)
    draft = FormDraft.objects.get()
    assert draft.questions[2] == {
        "question": "May I ask 2?",
        "answers": ["Yes", "No"],
        "right": 0,
        "why": "You may ask.",
    }
    html = page(manager.get(address))
    assert "May I ask 0?\n+ Yes\n- No\n= You may ask.\n\nMay I ask 1?" in html
    assert "May I ask 1?" in page(manager.get(f"{address}preview/"))
    assert "exactly three" in page(manager.post(address, data | {"questions": "One?\n+ a\n- b\n= c"}))
    manager.post(f"{address}publish/")
    assert FormText.objects.get().questions == draft.questions


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"storage_locations": ["Ireland"]}, "two-letter code"),
        ({"jurisdiction": "XX"}, "two-letter code"),
        ({"contact": "nobody"}, "valid email"),
        ({"slug": "a b"}, "valid “slug”"),
        ({"retention_days": "-3"}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_is_named_and_not_saved(manager, changes, words):
    _, address = start(manager)
    assert words in page(
        manager.post(address, {**typed(), **{k: v[0] if isinstance(v, list) else v for k, v in changes.items()}})
    )
    assert FormDraft.objects.get().title == ""


def test_a_language_that_is_none_is_refused(manager):
    make_purpose("research")
    _, address = start(manager)
    manager.post(address, typed(language="../etc") | {"purposes": ["research"]})
    assert "not the short name of a language" in page(manager.post(f"{address}publish/"))


def test_a_draft_cannot_take_over_the_name_of_another_form(manager):
    make_text(slug="faces", version="1.0.0")
    draft, address = start(manager, "starter-research.en")
    FormDraft.objects.filter(pk=draft.pk).update(
        slug="faces", controller_name="A", controller_address="B", contact="c@example.org", complaint_body="D",
        storage_locations=["IE"], jurisdiction="IE", version="2.0.0",
    )  # fmt: skip
    assert "already a form faces" in page(manager.post(f"{address}publish/"))


def test_a_draft_is_thrown_away_by_a_post_only(manager):
    _, address = start(manager)
    assert manager.get(f"{address}discard/").status_code == 405
    assert manager.post(f"{address}discard/").url == "/staff/forms/"
    assert not FormDraft.objects.exists()


# --- Differences ---------------------------------------------------------------------------------


def test_two_versions_side_by_side(manager):
    old = make_text(slug="faces", version="1.0.0", body="One two three.\n\nSame.\n\nGone.", contact="a@example.org")
    new = make_text(
        slug="faces", version="2.0.0", contact="a@example.org",
        body=f"One 2 three.\n\nSame.\n\nGone.\n\nCame {SCRIPT}.",
        recipients=["Research teams under contract", "Insurers"],
    )  # fmt: skip
    html = page(manager.get(f"/staff/forms/compare/?old=text-{old.pk}&new=text-{new.pk}"))
    assert "One <del>two</del> three." in html
    assert "One <ins>2</ins> three." in html
    assert "<ins>Insurers</ins>" in html
    assert "needs a new first number" in html
    assert SCRIPT not in html
    assert "Title, Summary" in html  # the same in both
    chooser = page(manager.get("/staff/forms/compare/"))
    assert f'value="text-{old.pk}"' in chooser
    same = page(manager.get(f"/staff/forms/compare/?old=text-{old.pk}&new=text-{old.pk}"))
    assert "They say the same" in same


def test_a_draft_is_compared_with_what_is_published(manager):
    old = make_text(slug="faces", version="1.0.0")
    draft, address = start(manager, f"text-{old.pk}")
    assert differences(old, draft)[0] == []
    FormDraft.objects.update(summary="Other words.")
    draft.refresh_from_db()
    [difference] = differences(old, draft)[0]
    assert (difference.label, difference.material) == ("Summary", False)
    link = f"/staff/forms/compare/?old=text-{old.pk}&amp;new=draft-{draft.pk}"
    assert link in page(manager.get(address))
    assert "needs a new first number" not in page(manager.get(link.replace("&amp;", "&")))


@pytest.mark.parametrize(
    "query", ["old=", "old=text-1&new=text-99999", "old=x&new=y", "old=text-1e9&new=text-²", "old=draft-1&new=draft-2"]
)
def test_there_is_nothing_to_compare(manager, query):
    assert manager.get(f"/staff/forms/compare/?{query}").status_code == 404


def test_every_word_of_both_sides_is_shown():
    old, new = ["a b c", "gone", "same"], ["a x c", "same", "came"]
    pairs = compare_paragraphs(old, new)
    assert ["".join(piece.words for piece in pair.old) for pair in pairs if pair.old] == old
    assert ["".join(piece.words for piece in pair.new) for pair in pairs if pair.new] == new
    assert [pair.mark for pair in pairs] == ["changed", "removed", "same", "added"]


# --- Purposes ------------------------------------------------------------------------------------


def test_ending_a_purpose_says_what_it_does_first(manager):
    both = make_consent(purposes=["research", "training"])
    make_image(both)
    make_image(make_consent(purposes=["training"]))
    address = "/staff/purposes/training/end/"
    html = page(manager.get(address))
    assert "2 signed permissions and 0 licences" in html
    assert "2 photographs can no longer" in html
    assert "1 of them rests on this purpose alone" in html
    assert "why this purpose ends" in page(manager.post(address, {"reason": ""}))
    assert not PurposeEnd.objects.exists()
    assert manager.post(address, {"reason": "The project is over."}).url == "/staff/purposes/new/"
    assert PurposeEnd.objects.get().reason == "The project is over."
    assert manager.get(address).status_code == 404
    html = page(manager.get("/staff/purposes/new/"))
    assert "ended on" in html
    assert "The project is over." in html
    _, draft = start(manager)
    assert 'value="training"' not in page(manager.get(draft))
    assert 'value="research"' in page(manager.get(draft))


def test_wordings_are_listed_and_english_is_refused(manager):
    make_purpose("research")
    answer = {"language": "en", "name": "x", "description": "y"}
    assert "English words" in page(manager.post("/staff/purposes/research/words/", answer))
    assert manager.get("/staff/purposes/nothing/words/").status_code == 404
    assert Purpose.objects.get().wordings.count() == 0


def test_purposes_of_one_name_are_told_apart(manager):
    for code in ("face-studies", "studies"):
        Purpose.objects.create(code=code, name="Research on faces", description="Your photographs may be used.")
    words = page(manager.get(start(manager)[1]))
    assert "Research on faces (face-studies)" in words
    assert "Research on faces (studies)" in words


def test_a_preview_speaks_the_language_of_the_text(manager):
    _, address = start(manager, "starter-research.de", "de")
    words = page(manager.get(f"{address}preview/"))
    assert "Den ganzen Text lesen" in words
    assert "Read the full text" not in words


def test_a_draft_that_was_published_says_so(manager):
    make_purpose("research")
    _, address = start(manager)
    manager.post(address, typed(purposes=["research"]))
    assert "published, can be thrown away" not in page(manager.get("/staff/forms/"))
    manager.post(f"{address}publish/")
    assert FormText.objects.count() == 1
    assert "published, can be thrown away" in page(manager.get("/staff/forms/"))


def test_texts_of_two_forms_are_no_versions_of_each_other(manager):
    one, two = make_text(slug="one"), make_text(["product"], slug="two")
    words = page(manager.get(f"/staff/forms/compare/?old=text-{one.pk}&new=text-{two.pk}"))
    assert "texts of two forms" in words
    assert "signers are asked again" not in words
