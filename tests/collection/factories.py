"""Calls and images through the services, for every app's tests."""

import datetime
import threading
import uuid
from itertools import count
from typing import Any

from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone

from collection import keys, licensed, pipeline, services, storage
from collection.models import Call, Image
from consent.models import Consent, ConsentForm, Licence
from consent.signing import sha256_hex
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent, make_text

_numbers = count(1)


def make_call(form: ConsentForm | None = None, **changes: Any) -> Call:
    number = next(_numbers)
    fields = {
        "slug": f"call-{number}",
        "title": "Faces by daylight",
        "description": "One person, by a window.",
        "form": form or make_text(slug=f"form-of-call-{number}").form,
        "closes_at": timezone.now() + datetime.timedelta(days=30),
        "dpia_reference": "DPIA-1",
    }
    return Call.objects.create(**{**fields, **changes})


def receive(consent: Consent, picture: bytes, name: str = "me.jpg", call: Call | None = None) -> Image:
    """One upload, not yet processed."""
    return services.receive_image(
        contributor=consent.contributor,
        consent=consent,
        call=call or Call.objects.filter(form=consent.text.form).first() or make_call(form=consent.text.form),
        file=ContentFile(picture, name=name),
        client_name=name,
    )


def store_clean(image_id: uuid.UUID, subject: str, content: bytes, extension: str) -> str:
    """The bytes of an image without the pipeline's work; their key."""
    keys.make_image_key(image_id=image_id, subject=subject)
    key = storage.key_for(image_id, sha256_hex(content), extension)
    storage.write_once(storage.derivatives(), key, content)
    return key


def make_image(
    consent: Consent | None = None, licence: Licence | None = None, picture: bytes | None = None, subject: str = ""
) -> Image:
    """An image that went through the whole pipeline: `accepted` unless `picture` says otherwise."""
    number = next(_numbers)
    picture = picture or jpeg(person=number, shot=number)
    if licence:
        file = ContentFile(picture, name="library.jpg")
        parcel = licensed.store_parcel(
            licence=licence, external_id=f"{number}.jpg", subject=subject or f"person-{number}", file=file
        )
        [parcel] = licensed.take_in(licence=licence, parcels=[parcel])
        image = parcel.image
    else:
        image = receive(consent or make_consent(), picture)
    pipeline.advance(image.pk)
    image.refresh_from_db()
    return image


def advance_at_once(images: list[Image]) -> None:
    """Every image through the pipeline, each in a thread of its own."""

    def work(image: Image) -> None:
        pipeline.advance(image.pk)
        connection.close()

    threads = [threading.Thread(target=work, args=[image]) for image in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
