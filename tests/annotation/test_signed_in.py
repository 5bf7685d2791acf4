"""Whose session a call of the labelling page comes with: what Django asks of a session is asked at each one."""

from datetime import timedelta

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone

from annotation.models import Annotator
from annotation.signed_in import annotator_at
from config.sessions import SessionStore
from tests.annotation.gate import AtGateway

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann():
    return AtGateway()


def status(who):
    """Of a call that every annotator may make, and nobody else."""
    return who.ask("GET", "/api/ml/").status_code


def test_an_annotator_is_known_by_two_statements(ann, django_assert_num_queries):
    assert status(ann) == 200
    with django_assert_num_queries(2):
        assert status(ann) == 200


def test_what_is_known_of_them_is_theirs(ann):
    Annotator.objects.update(label_studio_user=7, label_studio_access="sealed")
    request = RequestFactory().get("/")
    request.session = SessionStore(ann.client.session.session_key)
    known = annotator_at(request)
    assert known == ann.annotator
    assert (known.label_studio_user, known.label_studio_access) == (7, "sealed")
    assert known.user == ann.annotator.user


def test_a_cookie_with_nul_is_no_session(ann, settings):
    """PostgreSQL takes no such text, and a cookie may say it in octal."""
    ann.client.cookies[settings.SESSION_COOKIE_NAME] = "\0" + "a" * 31
    assert status(ann) == 403


def sign_out(ann, settings):
    ann.client.get("/", headers={"host": "testserver"})
    ann.client.session.flush()


def use_no_more(ann, settings):
    ann.annotator.user.is_active = False
    ann.annotator.user.save()


def choose_another_password(ann, settings):
    ann.annotator.user.set_password("quite another one")
    ann.annotator.user.save()


def be_away_too_long(ann, settings):
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))


def be_no_annotator(ann, settings):
    Annotator.objects.update(user=None)


def come_another_way(ann, settings):
    session = ann.client.session
    session[BACKEND_SESSION_KEY] = "somewhere.else.Backend"
    session.save()


def prove_nothing(ann, settings):
    session = ann.client.session
    del session[HASH_SESSION_KEY]
    session.save()


def replace_the_secret(ann, settings):
    settings.SECRET_KEY = "another one"


@pytest.mark.parametrize(
    "happens",
    [
        sign_out, use_no_more, choose_another_password, be_away_too_long, be_no_annotator, come_another_way,
        prove_nothing, replace_the_secret,
    ],
)  # fmt: skip
def test_from_the_next_call_on_nobody_is_signed_in(ann, settings, happens):
    assert status(ann) == 200
    happens(ann, settings)
    assert status(ann) == 403


def test_an_earlier_secret_is_enough_while_it_is_kept(ann, settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another one"
    assert status(ann) == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert status(ann) == 200  # Django gave them another proof


def test_sessions_that_are_not_there_are_forgotten():
    store = SessionStore("x" * 32)
    assert store.load() == {}
    assert store.session_key is None


def kept_plans():
    """The statements that the server keeps a plan of for our connection; None where there is no server."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall()]


def test_postgresql_plans_a_question_once(ann):
    for _ in range(5):
        assert status(ann) == 200
    plans = kept_plans()
    for table in ("annotation_annotator", "django_session"):
        assert plans is None or sum(table in statement for statement in plans) == 1
