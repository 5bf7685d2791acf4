"""Steps of test_replay.py, each in a process of its own: `python replay_steps.py STEP WORDS` prints one line of JSON."""

import json
import sys
from pathlib import Path

import django

django.setup()

from django.conf import settings
from django.test import Client
from django.test.utils import setup_test_environment

setup_test_environment()
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}

from collection import erasure
from collection.models import Image
from collection.removals import remove_images
from consent import accounts, erasure_list, ledger, services
from consent.models import Consent, Contributor, User, Withdrawal
from consent.signing import file_sha256
from consent.withdrawals import withdraw
from tests.collection.factories import make_image
from tests.consent.factories import make_consent, make_contributor, make_user

BUCKETS = ("originals", "derivatives")


def fill():
    """Three people with a photograph each, receipts, a sealed ledger."""
    consents = [make_consent(make_contributor(make_user(f"{name}@example.org"))) for name in ("ada", "bob", "cleo")]
    images = [make_image(consent) for consent in consents]
    services.issue_due()
    ledger.seal()
    hashes = []
    for image in images:
        hashes += [image.sha256, image.clean_sha256]
    withdrawn, _, deleted = consents
    return {
        "withdrawn": str(withdrawn.pk), "image": str(images[1].pk), "deleted": str(deleted.contributor_id),
        "hashes": hashes,
    }  # fmt: skip


def take_back(consent, image, contributor):
    """One withdraws, one takes a photograph out, one deletes the account; the sweeps do the rest."""
    withdraw(consent=Consent.objects.get(pk=consent))
    remove_images(images=[Image.objects.get(pk=image)], cause="withdrawn")
    accounts.delete_account(contributor=Contributor.objects.get(pk=contributor))
    erasure_list.write_notes()
    while erasure.purge_withdrawn():
        pass
    ledger.seal()
    return times()


def times():
    return {str(one.pk): one.made_at.isoformat() for one in Withdrawal.objects.all()}


def look(*hashes):
    """Whether pages are served; how many stored files have one of these SHA-256 and how many rows name one."""
    files = 0
    for bucket in BUCKETS:
        for path in Path(settings.VAR_DIR, "storage", bucket).rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    files += file_sha256(file) in hashes
    return {
        "status": Client().get("/calls/").status_code,
        "files": files,
        "rows": Image.objects.filter(sha256__in=hashes).count(),
        "account": User.objects.filter(email="cleo@example.org").exists(),
    }


step, *words = sys.argv[1:]
print(json.dumps(globals()[step](*words)))
