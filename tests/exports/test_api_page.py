"""The API's page for people: everything that the document for machines says, and a way to try it."""

from html import unescape

import pytest

pytestmark = pytest.mark.django_db


def test_the_page_has_every_operation_with_its_fields_and_refusals(client):
    page = client.get("/api/")
    text = unescape(page.content.decode())
    document = client.get("/api/schema").json()
    for path, methods in document["paths"].items():
        assert f"<code>{path}</code>" in text
        for found in methods.values():
            assert found["summary"] in text
    for field in ("sums_sha256", "rows_removed", "envelope", "per_cent"):
        assert f"<code>{field}</code>" in text
    assert "Photographs in it were withdrawn" in text
    assert "<script" not in text


def test_what_is_not_there_says_so_in_json_below_api_only(client):
    answer = client.get("/api/nothing/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")
    assert "/api/ lists" in answer.json()["detail"]
    assert client.get("/nothing/")["Content-Type"].startswith("text/html")
    assert client.get("/api/datasets/portraits").status_code == 301  # a slash is added, as everywhere
