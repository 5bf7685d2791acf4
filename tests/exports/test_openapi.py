"""The OpenAPI document: it says what the API does, and nothing that anybody sends makes the server fail."""

import re
from collections import Counter

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from config.wsgi import application
from consent.withdrawals import withdraw
from exports import notices
from exports.models import Notice
from exports.urls import urlpatterns
from tests.exports.factories import make_labelled_dataset, make_published, make_token

pytestmark = pytest.mark.django_db
TRAIN, TEST = "data/train-00000.parquet", "data/test-00000.parquet"
EXAMPLES = settings(
    max_examples=60,
    derandomize=True,  # the same requests in every run
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def in_the_tests_transaction():
    """As Django's own test client does: the end of a request does not close the connection that a test goes on with."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def dataset(db):
    """Two releases of the same rows; somebody withdrew from both."""
    made = make_labelled_dataset(people=4, each=1, slug="portraits")
    first = make_published(made)
    make_published(made)
    withdraw(consent=first.items.filter(split="train").first().image.consent)
    notices.revoke_items()
    return made


def served(environ, start_response):
    """The application as a server runs it: an answer is read to its end and closed."""
    answer = application(environ, start_response)
    try:
        return [b"".join(answer)]
    finally:
        answer.close()


def strategy(operation, there):
    """Requests as the document allows them and as it does not, about anything, and about what is there."""
    names = {parameter.name for parameter in operation.path_parameters}
    places = [None, *({name: place[name] for name in names} for place in there)]
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    return st.one_of([operation.as_strategy(mode, path_parameters=place) for place in places for mode in modes])


@pytest.mark.usefixtures("in_the_tests_transaction")
def test_nothing_that_is_sent_makes_the_server_fail_and_every_answer_is_described(dataset):
    document = schemathesis.openapi.from_wsgi("/api/schema", served)
    headers = {"Authorization": f"Bearer {make_token(dataset)}"}
    notice = Notice.objects.first().pk
    there = [
        {"slug": "portraits", "version": version, "earlier": "1.0.0", "path": path, "notice_id": notice}
        for version, path in (("1.0.1", "SHA256SUMS"), ("1.0.0", TRAIN), ("1.0.1", TEST))
    ]
    seen = Counter()

    def ask(operation):
        @EXAMPLES
        @given(strategy(operation, there))
        def asked(case):
            # What is withdrawn is refused, however well it is asked for: some good requests are not accepted.
            spent = operation.definition.raw["operationId"] == "end_token"
            fresh = {"Authorization": f"Bearer {make_token(dataset)}"} if spent else headers
            answer = case.call_and_validate(headers=fresh, excluded_checks=[positive_data_acceptance])
            seen[operation.definition.raw["operationId"], answer.status_code] += 1

        asked()

    for found in document.get_all_operations():
        ask(found.ok())
    named = {name for name, _ in seen}
    assert named == {
        "dataset", "release", "croissant", "balance", "difference", "file", "notices", "acknowledge", "end_token",
    }  # fmt: skip
    assert {name for name, status in seen if status in (200, 204, 206)} == named
    assert seen["file", 410]
    assert seen["acknowledge", 400]


def test_every_address_of_the_api_is_in_the_document(client):
    described = set(client.get("/api/schema").json()["paths"])
    routes = {str(one.pattern) for one in urlpatterns if str(one.pattern).startswith("api/datasets/")}
    assert {re.sub(r"<\w+:(\w+)>", r"{\1}", f"/{route}") for route in routes} == described
