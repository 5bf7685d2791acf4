"""System checks of the exports."""

import pytest
from django.core.checks import run_checks

INSIDE, OUTSIDE = "http://minio:9000", "https://files.example.org"


def found():
    return [(message.id, message.msg) for message in run_checks() if message.id == "exports.E001"]


@pytest.mark.parametrize(
    ("site", "endpoint", "browsers", "wrong"),
    [
        ("https://likeness.example.org", INSIDE, "", INSIDE),
        ("https://likeness.example.org", OUTSIDE, INSIDE, INSIDE),
        ("https://likeness.example.org", INSIDE, OUTSIDE, ""),
        ("https://likeness.example.org", None, "", ""),  # AWS
        ("http://localhost:8000", INSIDE, "", ""),
    ],
)
def test_a_site_on_https_sends_nobody_to_http(site, endpoint, browsers, wrong, settings):
    settings.BASE_URL, settings.S3_BROWSER_ENDPOINT_URL = site, browsers
    options = {"bucket_name": "releases", "endpoint_url": endpoint, "access_key": "a", "secret_key": "b"}
    settings.STORAGES = settings.STORAGES | {
        "releases": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    }
    if wrong:
        [(_, said)] = found()
        assert f"sent to S3 at {wrong}, so every pull refuses it" in said
    else:
        assert found() == []


def test_releases_on_a_disk_are_not_asked(settings):
    settings.BASE_URL, settings.S3_BROWSER_ENDPOINT_URL = "https://likeness.example.org", INSIDE
    assert found() == []
