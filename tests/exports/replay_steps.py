"""Steps of test_replay.py, each in a process of its own: `replay_steps.py STEP WORDS` prints one line of JSON."""

import json
import sys
from contextlib import suppress
from pathlib import Path

import django

django.setup()

from django.conf import settings
from django.test import Client
from django.test.utils import setup_test_environment

setup_test_environment()
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}

from django.core.files.base import ContentFile
from django.core.files.storage import storages

from collection import erasure, storage
from collection.models import Image
from collection.removals import remove_images
from consent import accounts, clock, demographics, erasure_list, ledger, services
from consent.models import Consent, Contributor, Demographics, FormText, PurposeEnd, User, Withdrawal
from consent.signing import file_sha256, sha256_hex
from consent.texts import end_purpose
from consent.withdrawals import withdraw
from exports.models import FilePurge
from exports.notices import revoke_items
from tests.annotation.factories import make_annotator
from tests.collection.factories import jpeg, make_image
from tests.consent.factories import make_consent, make_contributor, make_text, make_user
from tests.exports.factories import ALL_SPLITS, annotate, make_campaign, make_dataset, make_published, result

BUCKETS = ("originals", "derivatives", "releases")


def fill():
    """Six people with a photograph each, receipts, a release of five of them, a sealed ledger."""
    consents = [person(name) for name in ("ada", "bob", "cleo", "dora", "ed")] + [person("fay", "advertising")]
    images = [make_image(consent) for consent in consents]
    release(images[:5])
    demographics.save_answers(contributor=consents[3].contributor, gender="woman")
    services.issue_due()
    ledger.seal()
    clock.observe()
    taken = [*images[:3], images[5]]
    return {
        "withdrawn": str(consents[0].pk), "image": str(images[1].pk), "deleted": str(consents[2].contributor_id),
        "told": str(consents[3].contributor_id),
        "hashes": [digest for image in taken for digest in (image.sha256, image.clean_sha256)],
    }  # fmt: skip


def person(name, purpose="research"):
    contributor = make_contributor(make_user(f"{name}@example.org"))
    text = FormText.objects.filter(purposes=purpose).first() or make_text([purpose], slug=f"for-{purpose}")
    return make_consent(contributor, [purpose], text)


def release(images):
    campaign, workers = make_campaign(), [make_annotator() for _ in range(3)]
    for number, image in enumerate(images):
        Image.objects.filter(pk=image.pk).update(subject=f"person {number}")
        for worker in workers:
            annotate(image, campaign, worker, result())
    make_published(make_dataset(campaign=campaign, pseudonym_key=ALL_SPLITS, slug="portraits"))


def take_back(consent, image, contributor, told):
    """One withdraws, one takes a photograph out, one deletes the account, one deletes answers, and a purpose ends."""
    withdraw(consent=Consent.objects.get(pk=consent))
    remove_images(images=[Image.objects.get(pk=image)], cause="withdrawn")
    accounts.delete_account(contributor=Contributor.objects.get(pk=contributor))
    demographics.delete_answers(contributor=Contributor.objects.get(pk=told))
    end_purpose(code="advertising", reason="The campaign is over.")
    newer = make_image(person("gil"), picture=jpeg(person=77, shot=77))  # signed after the backup was made
    with storage.open_clean(newer) as file:
        storages["releases"].save("portraits/999/gil.jpg", ContentFile(file.read()))  # and in a later release
    withdraw(consent=person("hal"))  # so that the list has something that the backup never heard of
    while erasure_list.write_notes():
        pass
    while erasure.purge_withdrawn():
        pass
    revoke_items()
    ledger.seal()
    files = [purge.file.sha256 for purge in FilePurge.objects.select_related("file")]
    return {"times": times(), "files": files, "newer": [newer.sha256, newer.clean_sha256]}


def times():
    """When each thing was taken back."""
    withdrawn = {str(one.pk): one.made_at.isoformat() for one in Withdrawal.objects.exclude(consent__in=later())}
    return withdrawn | {one.purpose_id: one.ended_at.isoformat() for one in PurposeEnd.objects.all()}


def later():
    return Consent.objects.filter(contributor__user__email__in=["gil@example.org", "hal@example.org"])


def look(*hashes):
    """Whether pages are served; how many stored files have one of these SHA-256 and how many rows name one.

    Photographs are sealed, and named by the SHA-256 of what is inside.
    """
    files = 0
    for bucket in BUCKETS:
        for path in Path(settings.VAR_DIR, "storage", bucket).rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    files += not {path.name.partition(".")[0], file_sha256(file)}.isdisjoint(hashes)
    return {
        "status": Client().get("/calls/").status_code,
        "files": files,
        "rows": Image.objects.filter(sha256__in=hashes).count(),
        "account": User.objects.filter(email="cleo@example.org").exists(),
        "answers": Demographics.objects.exists(),
    }


def readable(*hashes):
    """How many photographs with one of these SHA-256 can be opened."""
    found = 0
    for image in Image.objects.filter(sha256__in=hashes):
        with suppress(FileNotFoundError), storage.open_original(image) as file:
            found += sha256_hex(file.read()) == image.sha256
    return found


step, *words = sys.argv[1:]
print(json.dumps(globals()[step](*words)))
