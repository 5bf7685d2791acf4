import datetime
import hashlib
import uuid

import pytest
from allauth.account.models import EmailAddress
from django.utils import timezone

from consent import services, texts, withdrawals
from consent.models import Consent, ConsentForm, Contributor, FormText, LedgerEntry, Licence, SignatureEvidence
from tests.consent.factories import (
    make_consent,
    make_contributor,
    make_licence,
    make_purpose,
    make_text,
    make_user,
    text_fields,
)

pytestmark = pytest.mark.django_db


def years_ago(years: int, days: int = 0) -> datetime.date:
    today = timezone.now().date()
    return today.replace(year=today.year - years, day=min(today.day, 28)) + datetime.timedelta(days=days)


def sign(contributor, text, **changes):
    return services.grant(
        **{
            "contributor": contributor,
            "text": text,
            "purposes": ["research"],
            "signer_name": "Ada Example",
            "intent": "I agree",
            "submission": uuid.uuid4(),
            "evidence": services.Evidence(viewed_at=timezone.now()),
            **changes,
        }
    )


@pytest.mark.parametrize(("country", "years"), [("IE", 17), ("SG", 20), ("KR", 18)])
def test_minors_are_refused_and_nothing_is_kept(country, years):
    with pytest.raises(services.Refused, match="years old"):
        services.register_contributor(user=make_user(), date_of_birth=years_ago(years), country=country)
    assert not Contributor.objects.exists()


def test_an_eighteenth_birthday_is_enough_and_the_day_before_is_not():
    today = timezone.now().date()
    birthday = datetime.date(today.year - 18, today.month, min(today.day, 28))
    user = make_user()
    with pytest.raises(services.Refused):
        services.register_contributor(user=user, date_of_birth=today.replace(year=today.year - 17, day=1), country="IE")
    assert services.register_contributor(user=user, date_of_birth=birthday, country="IE")


def test_a_second_different_birthday_is_refused():
    contributor = make_contributor()
    same = services.register_contributor(
        user=contributor.user, date_of_birth=contributor.date_of_birth, country=contributor.country
    )
    assert same == contributor
    with pytest.raises(services.Refused, match="already told us"):
        services.register_contributor(user=contributor.user, date_of_birth=years_ago(40), country="IE")


@pytest.mark.parametrize(("field", "words"), texts.NEEDED.items())
def test_a_text_that_lacks_an_article_13_statement_is_not_published(field, words):
    make_purpose()
    with pytest.raises(services.Refused, match=words):
        texts.publish_text(purposes=["research"], **text_fields(**{field: None}))
    assert not FormText.objects.exists()
    assert not ConsentForm.objects.exists()


def test_every_missing_statement_is_named_at_once():
    with pytest.raises(services.Refused) as refused:
        texts.publish_text(purposes=[], **text_fields(contact="", recipients=[]))
    for words in ("at least one purpose", "contact e-mail", "who receives"):
        assert words in str(refused.value)


def test_a_version_is_published_once():
    make_text(version="1.0.0")
    with pytest.raises(services.Refused, match="already published"):
        make_text(version="1.0.0")


def test_the_hash_is_of_the_characters_shown_and_html_in_the_text_is_disarmed():
    text = make_text(body="# Hi\n\n<script>alert(1)</script> *é*")
    assert "<script>" not in text.html
    assert "<em>é</em>" in text.html
    assert text.sha256 == hashlib.sha256(text.html.encode()).hexdigest()


def test_signing_grants_exactly_what_was_ticked_until_the_retention_ends():
    text = make_text(["research", "training"])
    consent = sign(make_contributor(), text)
    assert [p.pk for p in consent.purposes.all()] == ["research"]
    assert consent.expires_at - consent.signed_at == datetime.timedelta(days=text.retention_days)
    assert Consent.objects.live("research").get() == consent
    assert not Consent.objects.live("training").exists()
    assert not Consent.objects.live("research", at=consent.expires_at).exists()


def test_the_consent_holds_the_hash_of_its_evidence():
    consent = make_consent()
    evidence = SignatureEvidence.objects.get()
    assert hashlib.sha256(evidence.as_json().encode()).hexdigest() == consent.evidence_sha256
    evidence.signer_name = "Somebody Else"
    assert hashlib.sha256(evidence.as_json().encode()).hexdigest() != consent.evidence_sha256


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"purposes": []}, "did not tick"),
        ({"purposes": ["resale"]}, "does not ask for: resale"),
        ({"signer_name": "  "}, "type your name"),
        ({"intent": ""}, "tick the box"),
    ],
)
def test_incomplete_signatures_are_refused(changes, words):
    with pytest.raises(services.Refused, match=words):
        sign(make_contributor(), make_text(), **changes)
    assert not Consent.objects.exists()
    assert not SignatureEvidence.objects.exists()


def test_an_older_text_is_refused():
    old = make_text()
    make_text()
    with pytest.raises(services.Refused, match="text has changed"):
        sign(make_contributor(), old)


def test_an_unconfirmed_address_is_refused():
    contributor = make_contributor()
    EmailAddress.objects.update(verified=False)
    with pytest.raises(services.Refused, match="confirm your e-mail"):
        sign(contributor, make_text())


def test_somebody_without_a_date_of_birth_is_refused():
    contributor = make_contributor()
    Contributor.objects.update(date_of_birth=None)
    contributor.refresh_from_db()
    with pytest.raises(services.Refused, match="Only adults"):
        sign(contributor, make_text())


def test_a_double_submit_signs_once():
    contributor, text, submission = make_contributor(), make_text(), uuid.uuid4()
    first = sign(contributor, text, submission=submission)
    assert sign(contributor, text, submission=submission) == first
    assert Consent.objects.count() == 1


def test_another_persons_submission_is_refused():
    text, submission = make_text(), uuid.uuid4()
    sign(make_contributor(), text, submission=submission)
    with pytest.raises(services.Refused, match="somebody else"):
        sign(make_contributor(), text, submission=submission)


def test_withdrawing_one_purpose_leaves_the_other():
    consent = make_consent(purposes=["research", "training"])
    withdrawals.withdraw(consent=consent, purpose="training")
    assert Consent.objects.live("research").exists()
    assert not Consent.objects.live("training").exists()
    assert [state.live for state in consent.purpose_states()] == [True, False]


def test_withdrawing_everything_is_one_row_and_counts_once():
    consent = make_consent(purposes=["research", "training"])
    first = withdrawals.withdraw(consent=consent)
    assert first.purpose is None
    assert withdrawals.withdraw(consent=consent) == first
    assert withdrawals.withdraw(consent=consent, purpose="research") == first
    assert not Consent.objects.live().exists()
    assert not any(state.live for state in consent.purpose_states())


def test_a_purpose_that_was_never_granted_cannot_be_withdrawn():
    with pytest.raises(services.Refused, match="nothing to withdraw"):
        withdrawals.withdraw(consent=make_consent(), purpose="resale")


def test_withdraw_all_takes_back_every_live_consent_of_this_person_only():
    contributor = make_contributor()
    make_consent(contributor)
    make_consent(contributor)
    other = make_consent()
    assert len(withdrawals.withdraw_all(contributor=contributor)) == 2
    assert Consent.objects.live().get() == other
    assert withdrawals.withdraw_all(contributor=contributor) == []


def test_licences_end():
    today = timezone.now().date()
    make_licence(starts=today - datetime.timedelta(days=10), ends=today - datetime.timedelta(days=1))
    assert not Licence.objects.live().exists()
    licence = make_licence(starts=today, ends=today)
    assert Licence.objects.live("research").get() == licence
    assert licence.evidence_sha256 == hashlib.sha256(b"the licence agreement").hexdigest()


def test_a_licence_for_nothing_or_ending_before_it_starts_is_refused():
    today = timezone.now().date()
    with pytest.raises(services.Refused, match="at least one purpose"):
        make_licence(purposes=[])
    with pytest.raises(services.Refused, match="ends before"):
        make_licence(starts=today, ends=today - datetime.timedelta(days=1))


def test_every_event_reaches_the_ledger_without_identity():
    consent = make_consent()
    withdrawals.withdraw(consent=consent)
    make_licence()
    payloads = LedgerEntry.objects.order_by("pk").values_list("payload", flat=True)
    kinds = ["text.published", "consent.granted", "consent.withdrawn", "licence.added"]
    assert [next(k for k in kinds if k in payload) for payload in payloads] == kinds
    everything = " ".join(payloads)
    for secret in ("Ada", consent.evidence.email, "203.0.113.7", "1990"):
        assert secret not in everything


def test_staff_get_roles_and_a_confirmed_address():
    user = services.add_staff(email="Ann@Example.org ", password="a long password 7", roles=["reviewer"])
    services.add_staff(email="ann@example.org", password="another password 8", roles=["data manager"])
    user.refresh_from_db()
    assert user.check_password("another password 8")
    assert sorted(group.name for group in user.groups.all()) == ["data manager", "reviewer"]
    assert EmailAddress.objects.filter(user=user, verified=True, primary=True).count() == 1


def test_a_text_that_nobody_could_sign_is_not_published():
    """An end of the term that no calendar has would fail whoever opens the page, and a text cannot be changed."""
    with pytest.raises(services.Refused, match="at most"):
        make_text(retention_days=2_147_483_647)
