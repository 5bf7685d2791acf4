"""What the upload benchmark puts into an installation, and asks of it: `python -m tests.bench.upload_seeds`, inside."""

import json
import sys
import uuid
from collections import Counter

from tests.bench.seeds import session_of  # first: it sets Django up

from collection.models import Image  # isort: skip
from tests.collection.factories import make_call
from tests.consent.factories import make_consent, make_text


def senders(people: str) -> dict:
    """Sessions of contributors who may all send to one call."""
    name = f"bench-{uuid.uuid4().hex[:8]}"  # asked for more than once in one installation
    text = make_text(slug=name)
    call = make_call(form=text.form, slug=name, max_per_person=10_000)
    sessions = [session_of(make_consent(text=text).contributor.user) for _ in range(int(people))]
    return {"slug": call.slug, "sessions": sessions}


def arrived() -> dict[str, int]:
    """How many images there are of each file, by SHA-256."""
    return Counter(Image.objects.values_list("sha256", flat=True))


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    print(json.dumps(globals()[name](*words)))
