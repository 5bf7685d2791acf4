"""What people are asked: versions, the notice that is hashed, purposes, questions, starters, and the paper."""

import hashlib
import json
import re
import threading

import pytest
from django.db import connection, transaction

from consent import append_only, audit, services, texts
from consent.models import Consent, ErasureNote, FormText, LedgerEntry, PurposeEnd
from consent.questions import Question, questions_of
from consent.refusals import Refused
from consent.words import LANGUAGES, words
from exports import replay
from tests.consent.factories import make_consent, make_contributor, make_purpose, make_text, text_fields

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script>"
OWN = [
    {"question": f"Question {n}?", "answers": ["Yes", "No"], "right": 1, "why": "Because it is so."} for n in range(3)
]


def publish(**changes):
    """Publish the form "faces", by default as version 1.0.0 for research."""
    make_purpose("research")
    said = {"slug": "faces", "version": "1.0.0", "purposes": ["research"], "body": "Words."}
    return texts.publish_text(**text_fields(**{**said, **changes}))


# --- Versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "1.0.0-rc1", "01.0.0", "0.1.0", "1.0.0.0", "1.1٠.0", ""])
def test_a_version_is_three_numbers(version):
    with pytest.raises(Refused, match=r"such as 1\.0\.0"):
        publish(version=version)
    assert not FormText.objects.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipients": ["Somebody else"]}, "changes who receives the data.*call it 2.0.0"),
        ({"retention_days": 2000}, "changes how long the photographs are kept.*call it 2.0.0"),
        ({"purposes": ["research", "training"]}, "changes what the photographs may be used for.*call it 2.0.0"),
        ({"purposes": ["training"], "retention_days": 9}, "used for, and how long"),
    ],
)
def test_r07_material_change_needs_a_new_first_number(changes, words):
    make_purpose("training")
    publish()
    with pytest.raises(Refused, match=words):
        publish(version="1.1.0", **changes)
    assert FormText.objects.count() == 1
    assert publish(version="2.0.0", **changes).major == 2


def test_r07_other_words_keep_the_first_number_and_nobody_is_asked_again():
    publish(recipients=["One", "Two"])
    make_consent(text=FormText.objects.get())
    newer = publish(version="1.0.1", recipients=["Two", "One"], summary="Clearer.", body="Other words.")
    assert newer.major == 1
    assert texts.asked_again(slug="faces", version="1.2.0") == 0
    assert Consent.objects.under_current_terms().exists()


def test_r07_material_change_asks_signers_again():
    consent = make_consent(text=publish())
    make_consent(consent.contributor, text=consent.text)
    assert texts.asked_again(slug="faces", version="2.0.0") == 1  # people, not signatures
    publish(version="2.0.0", retention_days=30)
    assert FormText.objects.outdated().get() == consent.text
    assert not Consent.objects.live().under_current_terms().exists()


@pytest.mark.parametrize(
    ("version", "language", "words"),
    [
        ("2.0.0", "en", "already published"),
        ("1.9.9", "en", "2.0.0 .en. is published already"),
        ("1.0.0", "de", "already sign version 2"),
    ],
)
def test_an_older_version_is_refused(version, language, words):
    texts.add_wording(purpose=make_purpose(), language="de", name="Forschung", description="Für Studien.")
    publish(version="2.0.0")
    with pytest.raises(Refused, match=words):
        publish(version=version, language=language)


@pytest.mark.parametrize(
    ("field", "other", "words"),
    [
        ("retention_days", 9, "how long it is kept"),
        ("storage_locations", ["DE"], "where it is stored"),
        ("data_categories", ["pd:Name"], "categories of data"),
        ("jurisdiction", "DE", "jurisdiction"),
        ("controller_name", "Others", "controller"),
        ("controller_address", "Elsewhere", "controller's address"),
        ("contact", "other@example.org", "contact"),
        ("purposes", ["training"], "purposes"),
    ],
)
def test_the_languages_of_a_version_agree(field, other, words):
    for code in ("research", "training"):
        texts.add_wording(purpose=make_purpose(code), language="de", name=code, description=code)
    publish()
    with pytest.raises(Refused, match=f"in another language.*{words}"):
        publish(language="de", **{field: other})
    assert publish(language="de", recipients=["Forschungsteams"]).language == "de"


def test_a_translation_cannot_slip_in_another_recipient():
    texts.add_wording(purpose=make_purpose(), language="de", name="Forschung", description="Für Studien.")
    publish(recipients=["Research teams"])
    with pytest.raises(Refused, match="who receives the data"):
        publish(language="de", recipients=["Forschungsteams", "Werbefirmen"])


@pytest.mark.django_db(transaction=True)
def test_two_who_publish_the_same_version_at_once_get_one_text_and_one_refusal():
    publish()
    start, answers = threading.Barrier(4), []

    def press(number):
        start.wait()
        try:
            answers.append(publish(version="1.0.1", summary=f"Words of {number}."))
        except Refused as refused:
            answers.append(str(refused))
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert FormText.objects.filter(version="1.0.1").count() == 1
    refusals = [answer for answer in answers if isinstance(answer, str)]
    assert len(refusals) == 3
    assert all("published" in words for words in refusals)


# --- The notice ----------------------------------------------------------------------------------


def test_r05_the_notice_says_everything_that_article_13_asks_for():
    text = publish(recipients=["Team One", "Team Two"], transfers="Only to Japan.", storage_locations=["IE", "NL"])
    for words_ in (
        text.title, text.summary, text.controller_name, text.controller_address, text.contact, "Team One", "Team Two",
        "Only to Japan.", "Ireland", "Netherlands", "3 years (1095 days)", "photographs of you", text.complaint_body,
        "Your photographs may be used for research.", "Article 9(2)(a)", "withdraw at any time", "corrected or deleted",
        "version 1.0.0", "<p>Words.</p>",
    ):  # fmt: skip
        assert words_ in text.html
    for heading in words("en").headings.values():
        assert f"<h2>{heading}</h2>" in text.html


def test_r06_the_bytes_shown_are_the_bytes_hashed(client):
    text = publish()
    client.force_login(make_contributor().user)
    page = client.get("/sign/faces/").content.decode()
    shown = page[page.index("<article") : page.index("</article>") + len("</article>\n")]
    assert hashlib.sha256(shown.encode()).hexdigest() == text.sha256


@pytest.mark.parametrize("field", ["title", "summary", "transfers", "complaint_body", "controller_name", "recipients"])
def test_r06_every_statement_is_under_the_hash(field):
    changed = ["Other"] if field == "recipients" else "Other"
    assert publish().sha256 != publish(slug="again", **{field: changed}).sha256


@pytest.mark.parametrize(
    "field", ["title", "summary", "body", "controller_name", "controller_address", "transfers", "complaint_body"]
)
def test_script_in_a_text_stays_text(field):
    html = publish(**{field: SCRIPT}).html
    assert SCRIPT not in html
    assert "&lt;script&gt;" in html


def test_script_in_lists_and_purposes_stays_text():
    texts.add_purpose(code="odd", name=SCRIPT, description=SCRIPT)
    html = publish(purposes=["odd"], recipients=[SCRIPT], data_categories=[f"pd:{SCRIPT}"]).html
    assert "<script" not in html


def test_links_that_run_script_and_pictures_from_elsewhere_are_no_part_of_a_notice():
    html = publish(body="[a](javascript:alert(1)) ![a face](https://elsewhere.example/pixel.png)").html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert "a face" in html


def test_headings_of_the_body_come_below_those_of_the_notice_and_leave_no_gap():
    html = publish(body="# A\n\n### B\n\n# C\n\n###### D").html
    assert re.findall(r"<h[3-6]>.</h[3-6]>", html) == ["<h3>A</h3>", "<h4>B</h4>", "<h3>C</h3>", "<h4>D</h4>"]


@pytest.mark.parametrize("language", ["de", "es"])
def test_a_notice_speaks_its_language(language):
    text = make_text(language=language)
    for heading in words(language).headings.values():
        assert f"<h2>{heading}</h2>" in text.html
    assert "research (" + language in text.html
    assert words(language).country("IE") in text.html
    assert "In short" not in text.html


def test_the_words_of_all_languages_have_the_same_keys():
    english = words("en")
    for language in LANGUAGES:
        spoken = words(language)
        for part in ("headings", "phrases", "paper", "categories"):
            assert getattr(spoken, part).keys() == getattr(english, part).keys(), (language, part)
    assert words("fr") is english
    assert words("de-AT") is words("de")
    assert english.category("pd:HairColor") == "hair color"


# --- Purposes ------------------------------------------------------------------------------------


def test_purposes_without_words_in_the_language_are_named():
    make_purpose("training")
    with pytest.raises(Refused, match=r"no words in the language of this text \(de\) yet: research, training"):
        publish(language="de", purposes=["research", "training"])


def test_a_text_keeps_the_words_that_its_purposes_had():
    purpose = make_purpose()
    texts.add_wording(purpose=purpose, language="de", name="Forschung", description="Alt.")
    text = publish(language="de")
    texts.add_wording(purpose=purpose, language="de", name="Neue Forschung", description="Neu.")
    assert texts.wording(purpose, "de").name == "Neue Forschung"
    assert [said.description for _, said in texts.offered_purposes(text)] == ["Alt."]
    assert texts.wording(purpose, "de-AT").name == "Neue Forschung"
    assert texts.wording(purpose, "fr") == (purpose.name, purpose.description)


def test_english_words_never_change():
    with pytest.raises(Refused, match="English words"):
        texts.add_wording(purpose=make_purpose(), language="en-GB", name="x", description="y")


def test_an_ended_purpose_is_over_for_good():
    make_purpose("training")
    text = publish(purposes=["research", "training"])
    consent = make_consent(purposes=["research", "training"], text=text)
    end = texts.end_purpose(code="training", reason=" The project is over. ")
    assert texts.end_purpose(code="training", reason="Again.") == end
    assert not Consent.objects.live("training").exists()
    assert Consent.objects.live("research").get() == consent
    assert [purpose.pk for purpose, _ in texts.offered_purposes(text)] == ["research"]
    assert [state.live for state in consent.purpose_states()] == [True, False]
    with pytest.raises(services.Refused, match="does not ask for: training"):
        make_consent(purposes=["training"], text=text)
    with pytest.raises(Refused, match=r"have ended.*training"):
        publish(version="2.0.0", purposes=["research", "training"])
    # Nobody has to be asked again because a purpose is gone for everybody.
    assert publish(version="1.0.1").major == 1


def test_the_end_of_a_purpose_is_in_the_ledger_and_guarded_by_the_audit():
    make_purpose("training")
    texts.end_purpose(code="training", reason="The project is over.")
    assert LedgerEntry.objects.filter(payload__contains='"purpose.ended"').count() == 1
    assert list(audit.problems()) == []
    PurposeEnd.objects.create(purpose=make_purpose("other"), reason="Past the services.")
    assert any("end of other" in problem for problem in audit.problems())


def test_r20_a_restored_backup_ends_the_purpose_again():
    make_purpose("training")
    backup = transaction.savepoint()
    end = texts.end_purpose(code="training", reason="The project is over.")
    noted = json.loads(ErasureNote.objects.get().payload)
    transaction.savepoint_rollback(backup)
    assert not PurposeEnd.objects.exists()
    for _ in range(2):
        replay.APPLY[noted["kind"]](noted)
    assert PurposeEnd.objects.get().ended_at == end.ended_at
    assert list(audit.problems()) == []


def test_a_purpose_ends_for_a_reason():
    make_purpose()
    with pytest.raises(Refused, match="why this purpose ends"):
        texts.end_purpose(code="research", reason=" ")
    with pytest.raises(Refused, match="at most 300"):
        texts.end_purpose(code="research", reason="x" * 301)
    assert not PurposeEnd.objects.exists()


@pytest.mark.parametrize("change", ["recipients = '[\"Others\"]'", "transfers = 'Everywhere'", "major = 7"])
def test_r06_a_statement_that_was_altered_by_raw_sql_is_found(change):
    text = publish()
    assert list(audit.problems()) == []
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for statement in append_only.drop_sql(connection.vendor, "consent_formtext"):
            cursor.execute(statement)
        cursor.execute(f"UPDATE consent_formtext SET {change} WHERE id = {text.pk}")
        for statement in append_only.create_sql(connection.vendor, "consent_formtext"):
            cursor.execute(statement)
    assert any(str(text) in problem for problem in audit.problems())


# --- Questions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_three_standard_questions_teach(language):
    asked = questions_of(make_text(language=language))
    assert len(asked) == 3
    for question in asked:
        assert isinstance(question, Question)
        assert 0 <= question.right < len(question.answers)
        assert question.why


def test_own_questions_are_asked_instead():
    assert [question.question for question in questions_of(publish(questions=OWN))] == [
        "Question 0?", "Question 1?", "Question 2?",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "questions",
    [
        OWN[:2],
        [*OWN, OWN[0]],
        [*OWN[:2], {**OWN[0], "right": 2}],
        [*OWN[:2], {**OWN[0], "right": True}],
        [*OWN[:2], {**OWN[0], "answers": ["Yes"], "right": 0}],
        [*OWN[:2], {**OWN[0], "answers": list("abcde")}],
        [*OWN[:2], {**OWN[0], "answers": ["Yes", "Yes"]}],
        [*OWN[:2], {**OWN[0], "why": " "}],
        [*OWN[:2], {"question": "?"}],
        ["a", "b", "c"],
    ],
)
def test_bad_questions_are_refused(questions):
    with pytest.raises(Refused, match="exactly three"):
        publish(questions=questions)
