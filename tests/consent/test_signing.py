"""Signing by the page: languages, questions, drawn signatures, evidence, signing again, and what goes wrong."""

import datetime
import html
import json
import re
import threading
import uuid
from pathlib import Path

import jsonschema
import pyshacl
import pytest
import rdflib
import time_machine
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from collection import services as collection_services
from consent import receipts, renewal, services, tasks, texts
from consent.adulthood import adult_age, is_adult
from consent.countries import COUNTRIES
from consent.keys import public_key
from consent.models import Consent, Contributor, Purpose, PurposeEnd, Receipt, SignatureEvidence
from consent.questions import questions_of
from consent.sign_forms import DRAWING_MOST, is_drawing
from consent.signing import sha256_hex
from consent.withdrawals import withdraw
from consent.words import LANGUAGES, words
from tests.collection.factories import make_call
from tests.collection.pictures import jpeg
from tests.consent.factories import (
    PASSWORD,
    make_consent,
    make_contributor,
    make_purpose,
    make_text,
    make_user,
)

pytestmark = pytest.mark.django_db
DATA = Path(__file__).parent / "data"
BROWSER = "Mozilla/5.0 (Linux; Android 15)"


@pytest.fixture
def contributor(client):
    contributor = make_contributor()
    client.force_login(contributor.user)
    return contributor


def page(response):
    assert response.status_code == 200, response
    return html.unescape(response.content.decode())


def hidden(response):
    inputs = re.findall(r'<input type="hidden" name="(\w+)"(?: value="([^"]*)")?', response.content.decode())
    return {name: value for name, value in inputs if name != "csrfmiddlewaretoken"}


def right_answers(text):
    return {f"question_{index}": str(question.right) for index, question in enumerate(questions_of(text))}


def filled(client, text, **changes):
    return {
        **hidden(client.get(address(text))),
        "purpose_research": "on",
        **right_answers(text),
        "signer_name": "Ada Example",
        "agree": "on",
        **changes,
    }


def address(text, language=""):
    return reverse("sign", args=[text.form.slug]) + f"?language={language or text.language}"


def in_three_languages(**changes):
    """One version of a form in English, German and Spanish."""
    for language in ("de", "es"):
        texts.add_wording(
            purpose=make_purpose(), language=language, name=f"Forschung {language}", description=f"Worte {language}."
        )
    version = changes.pop("version", "1.0.0")
    titles = {"en": "Permission", "de": "Einwilligung", "es": "Permiso"}
    return {
        language: make_text(language=language, title=title, version=version, **changes)
        for language, title in titles.items()
    }


# --- The page -----------------------------------------------------------------------------------


def test_r02_every_purpose_has_a_box_of_its_own_and_none_is_ticked(client, contributor):
    text = make_text(["research", "commercial", "publication"])
    shown = client.get(address(text)).content.decode()
    assert set(re.findall(r'type="checkbox" name="(\w+)"', shown)) == {
        "purpose_research", "purpose_commercial", "purpose_publication", "agree",
    }  # fmt: skip
    assert "checked" not in shown
    client.post(address(text), filled(client, text))
    assert [granted.purpose_id for granted in Consent.objects.get().granted.all()] == ["research"]


def test_r04_refusing_optional_purposes_blocks_nothing_else(client, contributor):
    text = make_text(["research", "commercial"])
    call = make_call(form=text.form)
    client.post(address(text), filled(client, text))
    assert client.get("/me/").status_code == 200
    assert client.get(reverse("upload", args=[call.slug])).status_code == 200
    assert client.get("/me/about-me/").status_code == 200


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("?language=de", "", "de"),
        ("?language=de", "es", "de"),
        ("", "es-MX,es;q=0.9,en;q=0.8", "es"),
        ("", "fr,de-AT;q=0.5", "de"),
        ("", "fr", "en"),
        ("?language=xx", "", "en"),
        ("?language=%00<script>", "", "en"),
    ],
)
def test_the_page_speaks_the_language_asked_for(client, contributor, query, accepted, language):
    text = in_three_languages()[language]
    shown = page(client.get(f"/sign/{text.form.slug}/{query}", HTTP_ACCEPT_LANGUAGE=accepted))
    assert f"<h1>{text.title}</h1>" in shown
    assert text.html in shown
    assert f'<div lang="{language}">' in shown
    assert words(language).sign["submit"] in shown
    assert 'hreflang="es">Español</a>' in shown or language == "es"
    assert f'hreflang="{language}" aria-current="page"' in shown
    if language != "en":
        assert f"Worte {language}." in shown
        assert "Three short questions" not in shown


def test_a_form_in_german_only_is_shown_in_german(client, contributor):
    texts.add_wording(purpose=make_purpose(), language="de", name="Forschung", description="Wir forschen.")
    text = make_text(language="de")
    assert "Unterschreiben</button>" in page(client.get(f"/sign/{text.form.slug}/"))


def test_every_language_says_the_same_things():
    keys = {language: set(words(language).sign) for language in LANGUAGES}
    assert len(keys["en"]) > 30
    assert keys["de"] == keys["es"] == keys["en"]
    for language in LANGUAGES:
        for key, sentence in words(language).sign.items():
            assert set(re.findall(r"{\w+}", sentence)) == set(re.findall(r"{\w+}", words("en").sign[key])), key


def test_what_was_read_is_what_is_signed(client, contributor):
    """The German page, sent to the address of the English one, signs the German text."""
    texts_of = in_three_languages()
    data = filled(client, texts_of["de"])
    client.post(address(texts_of["en"]), data)
    consent = Consent.objects.get()
    assert consent.text == texts_of["de"]
    assert consent.evidence.intent.startswith("Ich habe den Text gelesen")
    assert consent.evidence.answers[0]["question"] == words("de").questions[0]["question"]


def test_names_and_texts_are_never_taken_for_html(client, contributor):
    script = "<script>alert(1)</script>"
    text = make_text(title=script, summary=script, body=script)
    shown = client.get(address(text)).content.decode()
    assert script not in shown
    answer = client.post(address(text), filled(client, text, signer_name=script, agree="")).content.decode()
    assert script not in answer
    client.post(address(text), filled(client, text, signer_name=script))
    assert SignatureEvidence.objects.get().signer_name == script
    assert script not in client.get("/me/").content.decode()


# --- The questions ------------------------------------------------------------------------------


def test_a_wrong_answer_signs_nothing_and_loses_nothing(client, contributor):
    text = make_text(["research", "commercial"])
    question = questions_of(text)[1]
    wrong = str((question.right + 1) % len(question.answers))
    shown = page(client.post(address(text), filled(client, text, question_1=wrong, drawing="M 1 2 L 3 4")))
    assert f"Not quite. {question.why}" in shown
    assert shown.count("Not quite.") == 1
    assert not Consent.objects.exists()
    assert 'value="Ada Example"' in shown
    assert re.search(r'name="purpose_research"[^>]*checked', shown)
    assert not re.search(r'name="purpose_commercial"[^>]*checked', shown)
    assert re.search(r'name="agree"[^>]*checked', shown)
    assert 'value="M 1 2 L 3 4"' in shown
    again = client.post(address(text), filled(client, text))
    assert again.status_code == 302


@pytest.mark.parametrize("answer", ["", "9", "-1", "x", "1 "])
def test_no_answer_and_no_such_answer_are_asked_again(client, contributor, answer):
    text = make_text()
    data = filled(client, text, question_0=answer)
    assert "Please choose an answer." in page(client.post(address(text), data))
    assert not Consent.objects.exists()


def test_answers_are_kept_as_evidence(client, contributor):
    own = [{"question": f"Question {n}", "answers": ["Yes", "No"], "right": n % 2, "why": "Because."} for n in range(3)]
    text = make_text(questions=own)
    client.post(address(text), filled(client, text))
    assert SignatureEvidence.objects.get().answers == [
        {"question": "Question 0", "answer": "Yes"},
        {"question": "Question 1", "answer": "No"},
        {"question": "Question 2", "answer": "Yes"},
    ]


# --- The drawn signature ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["M 0 0", "M 10 20 L 30 40", "M 1.5 2 L 600 200 M 3 4 L 5 6.1"])
def test_drawings_that_are_taken(path):
    assert is_drawing(path)


@pytest.mark.parametrize(
    "path",
    ["L 1 2", "M 1", "M 601 1", "M 1 201", "M -1 2", "M 1 2 C 3 4", "M 1 2 L 3 4 Z", 'M 1 2"/><script>', "M 1  2",
     "M 1 2\n", "M 1 2 L 3 4 L", "M 1e2 3", "M ١ ٢"],
)  # fmt: skip
def test_drawings_that_are_not(path):
    assert not is_drawing(path)


def test_a_drawn_signature_is_kept_and_in_receipt_and_pdf(client, contributor):
    text = make_text()
    drawing = "M 40 150 L 200 60 L 560 150"
    client.post(address(text), filled(client, text, drawing=drawing))
    consent = Consent.objects.get()
    assert consent.evidence.drawing == drawing
    receipt = services.issue_receipt(consent=consent)
    assert bytes(receipt.pdf).startswith(b"%PDF-")
    assert record(receipt)["ev:signature"]["ev:method"] == "typed-name+drawn-signature+checkbox"
    assert "drawn" in record(receipt)["dpv:hasConsentStatus"][0]["dpv:hasIndicationMethod"]


@pytest.mark.parametrize("drawing", ["scribble", "M 1 2 " + "L 3 4 " * 4000 + "L 3 4"])
def test_a_drawing_that_cannot_be_read_signs_nothing(client, contributor, drawing):
    text = make_text()
    shown = page(client.post(address(text), filled(client, text, drawing=drawing)))
    assert "Clear it and draw" in shown
    assert not Consent.objects.exists()
    assert len("M 1 2 " + "L 3 4 " * 4000) > DRAWING_MOST


# --- Evidence -----------------------------------------------------------------------------------


def record(receipt):
    [record] = receipts.open_receipt(receipt.envelope, public_key())["dpv:hasRecordOfActivity"]
    return record


def test_r15_the_signature_keeps_statement_process_and_association(client, contributor):
    text = make_text()
    data = filled(client, text, time_zone="Europe/Dublin")
    client.post(address(text), data, HTTP_USER_AGENT=BROWSER, REMOTE_ADDR="203.0.113.9")
    consent = Consent.objects.get()
    evidence = consent.evidence
    assert consent.text.sha256 == sha256_hex(text.html.encode())
    assert evidence.intent in page(client.get(address(text)))
    assert "I am at least 18 years old and of age where I live (Ireland)" in evidence.intent
    assert (evidence.ip, evidence.user_agent, evidence.time_zone) == ("203.0.113.9", BROWSER, "Europe/Dublin")
    assert evidence.viewed_at <= evidence.signed_at
    assert consent.evidence_sha256 == sha256_hex(evidence.as_json().encode())
    signature = record(services.issue_receipt(consent=consent))["ev:signature"]
    assert signature["ev:intentStatement"] == evidence.intent
    assert signature["ev:adultDeclaration"] is True
    assert len(signature["ev:answers"]) == 3


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, "198.51.100.1", "10.0.0.1"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        (2, "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        (2, "6.6.6.6", "10.0.0.1"),
        (1, "not an address", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_address_is_never_the_senders_own_claim(client, contributor, settings, proxies, forwarded, seen):
    settings.TRUSTED_PROXIES = proxies
    text = make_text()
    sent = client.post(address(text), filled(client, text), REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=forwarded)
    assert sent.status_code == 302
    assert SignatureEvidence.objects.get().ip == seen


def test_r06_the_hash_is_that_of_the_bytes_shown(client, contributor):
    text = make_text()
    shown = client.get(address(text)).content
    assert text.html.encode() in shown
    client.post(address(text), filled(client, text))
    receipt = services.issue_receipt(consent=Consent.objects.get())
    assert record(receipt)["dpv:hasNotice"]["ev:sha256"] == sha256_hex(text.html.encode()) == text.sha256


def test_r08_the_receipt_is_made_and_mailed_at_once_and_can_be_downloaded(client, contributor):
    text = make_text()
    client.post(address(text), filled(client, text))
    consent = Consent.objects.get()
    tasks.issue_receipt(str(consent.pk))
    tasks.issue_receipt(str(consent.pk))
    tasks.issue_receipts()
    assert [message.to for message in mail.outbox] == [[contributor.user.email]]
    downloaded = client.get(reverse("receipt_json", args=[consent.pk])).content
    assert receipts.open_receipt(downloaded, public_key())["@type"] == "dpv:ConsentReceipt"


def test_a_receipt_of_somebody_erased_meanwhile_is_not_made(contributor):
    consent = make_consent(contributor)
    SignatureEvidence.objects.all().delete()
    tasks.issue_receipt(str(consent.pk))
    assert not Receipt.objects.exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside rdflib itself
@pytest.mark.parametrize("kind", ["first", "renewed", "drawn"])
def test_receipts_follow_schema_and_shapes(client, contributor, kind):
    if kind == "renewed":
        make_consent(contributor, text=make_text())
    text = make_text()
    client.post(address(text), filled(client, text, drawing="M 1 2" if kind == "drawn" else ""))
    consent = Consent.objects.get(text=text)
    document = receipts.open_receipt(services.issue_receipt(consent=consent).envelope, public_key())
    jsonschema.Draft202012Validator(json.loads((DATA / "receipt.schema.json").read_text())).validate(document)
    graph = rdflib.Graph().parse(data=json.dumps(document), format="json-ld")
    assert len(list(graph.subjects(rdflib.RDF.type, rdflib.URIRef("https://w3id.org/dpv#ConsentReceipt")))) == 1
    conforms, _, words_of_it = pyshacl.validate(graph, shacl_graph=str(DATA / "receipt.shacl.ttl"))
    assert conforms, words_of_it


# --- What goes wrong ----------------------------------------------------------------------------


def test_a_page_of_yesterday_is_shown_anew_with_what_was_filled_in(client, contributor):
    text = make_text()
    data = filled(client, text)
    with time_machine.travel(timezone.now() + datetime.timedelta(hours=25)):
        response = client.post(address(text), data)
        shown = page(response)
        assert "open for more than a day" in shown
        assert not Consent.objects.exists()
        assert re.search(r'name="purpose_research"[^>]*checked', shown)
        assert client.post(address(text), {**data, **hidden(response)}).status_code == 302
    evidence = SignatureEvidence.objects.get()
    assert evidence.signed_at - evidence.viewed_at < datetime.timedelta(minutes=1)


def test_a_page_from_the_future_is_shown_anew(client, contributor):
    """Our clock was set back while somebody read."""
    text = make_text()
    with time_machine.travel(timezone.now() + datetime.timedelta(hours=2)):
        data = filled(client, text)
    assert "no longer valid" in page(client.post(address(text), data))
    assert not Consent.objects.exists()


def test_a_changed_text_names_what_was_ticked_and_ticks_nothing(client, contributor):
    data = filled(client, make_text(["research", "commercial"]))
    newer = make_text(["research", "commercial"])
    shown = page(client.post(address(newer), data))
    assert "The text has changed" in shown
    assert "Before, you had ticked: Research." in shown
    assert not re.search(r'name="purpose_\w+"[^>]*checked', shown)
    assert 'value="Ada Example"' in shown
    assert not Consent.objects.exists()


def test_somebody_elses_page_signs_nothing(client, contributor):
    text = make_text()
    data = filled(client, text)
    other = make_contributor()
    client.force_login(other.user)
    assert "no longer valid" in page(client.post(address(text), data))
    assert not Consent.objects.exists()
    with pytest.raises(services.Refused, match="somebody else"):
        make_consent(other, submission=make_consent(contributor).submission)


def test_a_submission_of_ones_own_making_signs_nothing(client, contributor):
    text = make_text()
    data = filled(client, text, submission=str(uuid.uuid4()))
    assert "no longer valid" in page(client.post(address(text), data))
    assert not Consent.objects.exists()


def test_a_page_sent_again_with_other_choices_changes_nothing_and_says_so(client, contributor):
    text = make_text(["research", "commercial"])
    data = filled(client, text)
    client.post(address(text), data)
    shown = page(client.post(address(text), {**data, "purpose_commercial": "on"}))
    assert "You signed this page before, for research" in shown
    assert Consent.objects.count() == 1
    assert not Consent.objects.live("commercial").exists()


def test_a_page_sent_again_after_withdrawal_revives_nothing(client, contributor):
    text = make_text()
    data = filled(client, text)
    client.post(address(text), data)
    withdraw(consent=Consent.objects.get())
    assert "it ended since" in page(client.post(address(text), data))
    assert not Consent.objects.live().exists()


def test_purposes_that_were_not_asked_for_or_have_ended_cannot_be_signed(client, contributor):
    text = make_text(["research", "commercial"])
    make_purpose("military")
    data = filled(client, text, purpose_military="on", purpose_commercial="on")
    PurposeEnd.objects.create(purpose=Purpose.objects.get(pk="commercial"), reason="Over.")
    assert "purpose_commercial" not in page(client.get(address(text)))
    client.post(address(text), data)
    assert [granted.purpose_id for granted in Consent.objects.get().granted.all()] == ["research"]


@pytest.mark.django_db(transaction=True)
def test_ten_double_submits_at_once_sign_once():
    contributor = make_contributor()
    client = Client()
    client.force_login(contributor.user)
    text = make_text()
    data = filled(client, text)
    answers = []

    def send():
        own = Client()
        own.cookies = client.cookies
        answers.append(own.post(address(text), data).status_code)
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [302] * 10
    assert Consent.objects.count() == 1


# --- Signing again ------------------------------------------------------------------------------


def test_r07_the_page_says_what_changed_and_a_renewal_opens_the_photographs_again(client, contributor):
    old = make_text(["research"])
    first = make_consent(contributor, ["research"], old)
    new = make_text(["research", "commercial"], recipients=["Anybody who pays"], retention_days=730)
    shown = page(client.get(address(new)))
    assert "We ask you again" in shown
    assert "It now also asks for: Commercial." in shown
    assert "Now: Anybody who pays." in shown
    assert "from 3 years (1095 days) to 2 years (730 days)" in shown
    assert "stay out of new uses until you sign" in shown
    mine = page(client.get("/me/"))
    assert "We ask you again" in mine
    assert "You can upload photographs now" not in mine
    assert not Consent.objects.under_current_terms("research").filter(pk=first.pk).exists()

    client.post(address(new), filled(client, new, purpose_commercial="on"))
    second = Consent.objects.get(text=new)
    assert Consent.objects.under_current_terms("research").filter(pk=first.pk).exists()
    assert not Consent.objects.live("commercial").filter(pk=first.pk).exists()
    status = record(services.issue_receipt(consent=second))["dpv:hasConsentStatus"][0]
    assert status["@type"] == ["dpv:RenewedConsentGiven", "dpv:ExplicitlyExpressedConsent"]
    earlier = record(services.issue_receipt(consent=first))["dpv:hasConsentStatus"][0]
    assert "dpv:ConsentGiven" in earlier["@type"]
    assert "We ask you again" not in page(client.get("/me/"))
    assert "and that stands" in page(client.get(address(new)))


def test_r07_uploads_ask_for_the_newest_major_version(client, contributor):
    old = make_text()
    call = make_call(form=old.form)
    consent = make_consent(contributor, text=old)
    assert collection_services.signed_consent(contributor=contributor, call=call) == consent
    new = make_text(["research", "commercial"])
    assert collection_services.signed_consent(contributor=contributor, call=call) is None
    with pytest.raises(services.Refused, match="has changed since"):
        collection_services.receive_image(contributor=contributor, consent=consent, call=call, file=None)
    assert client.get(reverse("upload", args=[call.slug])).url.startswith("/sign/")
    make_consent(contributor, text=new)
    assert collection_services.signed_consent(contributor=contributor, call=call).text == new


def test_changes_are_told_in_the_language_of_the_new_text():
    before = in_three_languages()
    after = in_three_languages(version="2.0.0", retention_days=365)
    assert renewal.changes(before["en"], after["de"]) == [
        "Wie lange sie aufbewahrt werden, hat sich geändert: vorher 3 Jahre (1095 Tage), jetzt 1 Jahr (365 Tage)."
    ]


def test_recipients_in_another_order_are_no_change():
    before = make_text(recipients=["One", "Two"])
    assert renewal.changes(before, make_text(recipients=["Two", "One"])) == []
    assert len(renewal.changes(before, make_text(recipients=["Two", "Three"]))) == 1


def test_r09_an_expired_permission_is_no_renewal_and_expires_when_the_receipt_says(client, contributor):
    long_ago = timezone.now() - datetime.timedelta(days=1100)
    with time_machine.travel(long_ago):
        make_consent(contributor, text=make_text())
    consent = make_consent(contributor, text=make_text())
    status = record(services.issue_receipt(consent=consent))["dpv:hasConsentStatus"][0]
    assert "dpv:ConsentGiven" in status["@type"]
    assert status["dpv:hasDuration"]["rdf:value"] == "P1095D"
    assert consent.expires_at - consent.signed_at == datetime.timedelta(days=1095)
    assert not Consent.objects.live(at=consent.expires_at).exists()


# --- Who may sign -------------------------------------------------------------------------------


def test_r10_adults_only_by_the_law_of_their_country(client):
    today = timezone.now().date()
    nineteen = today.replace(year=today.year - 19, day=1)
    assert {code: adult_age(code) for code in ("IE", "JP", "TW", "AL", "KR", "TH", "SG")} == {
        "IE": 18, "JP": 18, "TW": 18, "AL": 18, "KR": 19, "TH": 20, "SG": 21,
    }  # fmt: skip
    assert all(18 <= adult_age(code) <= 21 for code in COUNTRIES)
    assert is_adult(nineteen, "KR", today)
    client.force_login(make_user())
    refused = client.post("/me/about/", {"date_of_birth": nineteen.isoformat(), "country": "TH"})
    assert "at least 20 years old" in page(refused)
    assert not Contributor.objects.exists()
    assert client.get("/me/").url.startswith("/me/about/")  # no upload, no signature without it


def test_r10_nobody_signs_without_declaring_to_be_of_age(client, contributor):
    text = make_text()
    data = filled(client, text)
    del data["agree"]
    assert "Please tick this box" in page(client.post(address(text), data))
    assert not Consent.objects.exists()


@pytest.mark.parametrize("country", ["XX", "", "ie", "<script>"])
def test_countries_come_from_the_list(client, country):
    user = make_user()
    client.force_login(user)
    client.post("/me/about/", {"date_of_birth": "1990-01-01", "country": country})
    with pytest.raises(services.Refused, match="from the list"):
        services.register_contributor(user=user, date_of_birth=datetime.date(1990, 1, 1), country=country)
    assert not Contributor.objects.exists()


# --- Signs of life ------------------------------------------------------------------------------


def test_signing_in_signing_and_uploading_are_signs_of_life(client):
    contributor = make_contributor()
    long_ago = timezone.now() - datetime.timedelta(days=900)

    def heard_of():
        fresh = Contributor.objects.get(pk=contributor.pk).last_contact_at > timezone.now() - datetime.timedelta(
            hours=1
        )
        Contributor.objects.update(last_contact_at=long_ago)
        return fresh

    Contributor.objects.update(last_contact_at=long_ago)
    assert not heard_of()
    client.post(reverse("account_login"), {"login": contributor.user.email, "password": PASSWORD})
    assert heard_of()
    text = make_text()
    client.post(address(text), filled(client, text))
    assert heard_of()
    call = make_call(form=text.form)
    photo = SimpleUploadedFile("me.jpg", jpeg(1, 1, (1200, 1500)))
    client.post(reverse("upload", args=[call.slug]), {"photos": photo})
    assert heard_of()
