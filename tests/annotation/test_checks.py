"""A labelling address that cannot work is named before anybody labels."""

import pytest

from annotation.checks import labelling_url_can_be_used


@pytest.mark.parametrize(
    ("ours", "labelling", "domain", "ids"),
    [
        ("http://localhost:8000", "http://localhost:8001", None, []),
        ("https://likeness.example", "https://likeness.example:8443", None, []),
        ("https://likeness.example", "https://labels.likeness.example", "likeness.example", []),
        ("https://likeness.example", "https://labels.likeness.example", None, ["E003"]),
        ("https://likeness.example", "https://likeness.example", None, ["E001"]),
        ("https://likeness.example", "https://other.example", None, ["E002", "E003"]),
    ],
)
def test_the_labelling_address(settings, ours, labelling, domain, ids):
    settings.ALLOWED_HOSTS = ["localhost", ".likeness.example"]
    settings.BASE_URL, settings.LABELLING_URL, settings.SESSION_COOKIE_DOMAIN = ours, labelling, domain
    assert [problem.id for problem in labelling_url_can_be_used()] == [f"annotation.{one}" for one in ids]


def test_label_studio_that_may_never_be_asked(settings):
    settings.ALLOWED_HOSTS, settings.LABEL_STUDIO_CALLS = ["localhost"], 0
    settings.BASE_URL, settings.LABELLING_URL = "http://localhost:8000", "http://localhost:8001"
    assert [problem.id for problem in labelling_url_can_be_used()] == ["annotation.E005"]


def test_without_label_studio_no_address_is_asked_for(settings):
    settings.BASE_URL, settings.LABEL_STUDIO_URL = "https://likeness.example", ""
    assert labelling_url_can_be_used() == []
