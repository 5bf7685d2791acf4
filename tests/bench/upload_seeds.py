"""What the upload benchmark puts into an installation, and asks of it: `python -m tests.bench.upload_seeds`, inside."""

import json
import sys
from collections import Counter

from tests.bench.seeds import session_of  # first: it sets Django up  # isort: skip

from django.conf import settings

from collection.models import Image
from tests.collection.factories import make_call
from tests.consent.factories import make_consent, make_contributor, make_text, make_user


def senders(people: str) -> dict:
    """Sessions of contributors who may all send to one call."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # nobody signs in with one here
    text = make_text(slug="bench")
    call = make_call(form=text.form, max_per_person=10_000)
    users = [make_user() for _ in range(int(people))]
    for user in users:
        make_consent(make_contributor(user), text=text)
    sessions = [session_of(user) for user in users]
    return {"slug": call.slug, "sessions": sessions}


def arrived() -> dict[str, int]:
    """How many images there are of each file, by SHA-256."""
    return Counter(Image.objects.values_list("sha256", flat=True))


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    print(json.dumps(globals()[name](*words)))
