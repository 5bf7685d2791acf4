"""Who gets in: second factors for staff, limits on guessing, sessions that change, pages that run no foreign script."""

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core.cache import cache

from consent.mfa import MFAAdapter
from tests.consent.factories import PASSWORD, make_contributor, make_purpose, make_text, make_user, text_fields

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_limits():
    cache.clear()


@pytest.fixture
def manager():
    return make_user("manager@example.org", "data manager")


def sign_in(client, user, password=PASSWORD):
    return client.post("/accounts/login/", {"login": user.email, "password": password})


def code(secret):
    counter = next(iter(yield_hotp_counters_from_time()))
    return format_hotp_value(hotp_value(secret, counter))


def secret_on(page):
    return re.search(rb"<code>([A-Z2-7]+)</code>", page.content)[1].decode()


# --- The second factor ---------------------------------------------------------------------------


def test_staff_without_a_second_factor_see_no_staff_page(client, manager, settings):
    settings.STAFF_MFA = True
    sign_in(client, manager)
    for address in ("/staff/", "/staff/licences/", "/staff/forms/new/"):
        assert client.get(address).headers["Location"] == "/accounts/2fa/totp/activate/"
    posted = client.post("/staff/purposes/new/", {"code": "x", "name": "X", "description": "X"})
    assert posted.headers["Location"] == "/accounts/2fa/totp/activate/"


def test_staff_set_one_up_and_need_it_at_the_next_sign_in(client, manager, settings):
    settings.STAFF_MFA = True
    sign_in(client, manager)
    again = client.get("/accounts/2fa/totp/activate/").headers["Location"]
    secret = secret_on(client.post(again, {"password": PASSWORD}, follow=True))
    assert client.post("/accounts/2fa/totp/activate/", {"code": "000000"}).status_code == 200  # wrong: asked again
    client.post("/accounts/2fa/totp/activate/", {"code": code(secret)})
    assert client.get("/staff/").status_code == 200

    client.post("/accounts/logout/")
    cache.clear()  # a code counts once; in life half a minute passes before the next sign-in
    assert sign_in(client, manager).headers["Location"].startswith("/accounts/2fa/authenticate/")
    assert client.get("/staff/").headers["Location"].startswith("/accounts/login/")  # the password alone opens nothing
    client.post("/accounts/2fa/authenticate/", {"code": code(secret)})
    assert client.get("/staff/").status_code == 200


def test_the_secret_is_not_in_the_database(manager, settings):
    secret = "JBSWY3DPEHPK3PXP"
    TOTP.activate(manager, secret)
    stored = Authenticator.objects.get(user=manager, type="totp").data["secret"]
    assert secret not in stored
    assert MFAAdapter().decrypt(stored) == secret
    before, settings.SECRET_KEY = settings.SECRET_KEY, "a new one"
    assert MFAAdapter().decrypt(stored) == ""
    settings.SECRET_KEY_FALLBACKS = [before]
    assert MFAAdapter().decrypt(stored) == secret


def test_contributors_need_none(client, settings):
    settings.STAFF_MFA = True
    contributor = make_contributor()
    sign_in(client, contributor.user)
    assert client.get("/me/").status_code == 200


# --- Guessing and sessions -----------------------------------------------------------------------


def test_guessing_a_password_is_throttled(client):
    user = make_user()
    for _ in range(5):
        assert sign_in(client, user, "wrong").status_code == 200
    answer = sign_in(client, user, PASSWORD)
    assert "_auth_user_id" not in client.session
    assert b"Too many" in answer.content


def test_the_session_changes_at_sign_in(client):
    user = make_user()
    client.get("/accounts/login/")
    session = client.session
    session["planted"] = True  # what somebody else may have fixed in this browser
    session.save()
    planted = session.session_key
    sign_in(client, user)
    assert client.session.session_key != planted
    client.post("/accounts/logout/")
    assert "_auth_user_id" not in client.session


# --- Script --------------------------------------------------------------------------------------

SCRIPT = "<script>alert(1)</script>"


def test_pages_allow_no_inline_script_and_carry_none(client, manager):
    client.force_login(manager)
    for address in ("/", "/calls/", "/staff/", "/staff/forms/new/", "/accounts/login/"):
        answer = client.get(address, follow=True)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        inline = re.findall(rb"<script(?![^>]*\ssrc=)[^>]*>|\son\w+=|\sstyle=", answer.content)
        assert inline == [], address


def test_script_in_names_and_texts_stays_text(client):
    make_purpose("research")
    text = make_text(
        ["research"],
        **dict.fromkeys(("title", "summary", "body", "controller_name", "transfers", "complaint_body"), SCRIPT),
        recipients=[SCRIPT],
    )
    contributor = make_contributor()
    client.force_login(contributor.user)
    page = client.get(f"/sign/{text.form.slug}/").content.decode()
    assert SCRIPT not in page
    assert "&lt;script&gt;" in page
    assert SCRIPT not in text.html
    assert text_fields()["title"] not in page
