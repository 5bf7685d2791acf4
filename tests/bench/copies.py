"""Edited copies of photographs that the collection holds: how many are found, what is merged wrongly, what it costs.

BENCH_COPIES (default 12) drawn people go through the whole pipeline; then files are looked up as
`find_duplicates FOLDER` does it (hashes, then words and geometry), and nothing of them is stored. Recall is per edit
and only the right original counts. Merged wrongly is what is called a copy though it is none: another shot, a shot from
the same place (nothing but the person moved), another person in the same place. "Nothing changed but the face" has no
goal: body, clothes and room are the same pixels there, which is what an edited copy looks like; across two people the
desk decides.
Goals: recall at least 0.99 on each edit, nothing merged. Drawn pictures have fewer features than photographs and no
texture but grain, so that these figures are no substitute for photographs. The floor is one sha256 and one DCT-scaled
grey decode of a 2 MP file; the rest starts from the preview.
"""

import io
import os
import time
from collections import Counter
from collections.abc import Callable

import cv2
import numpy as np
from django.db import transaction
from PIL import Image as Pillow
from PIL import ImageDraw, ImageEnhance, ImageFilter, ImageOps

from collection import edited, storage
from collection.copies import verify
from collection.fingerprints import Shown, nearest_known
from collection.models import Image
from demo import portraits
from tests.bench.take_in import floor, installation
from tests.bench.timing import medians
from tests.collection.factories import make_image

PEOPLE = int(os.environ.get("BENCH_COPIES", "12"))
SIZE = (1224, 1632)
Picture = Pillow.Image
Edit = Callable[[Picture], Picture]


# --- 19 edits ------------------------------------------------------------------------------------


def cut(part: float) -> Edit:
    """Take away this part of each side's length, more from the left and the top."""

    def edit(picture: Picture) -> Picture:
        width, height = picture.size
        left, top = round(width * part * 0.6), round(height * part * 0.6)
        return picture.crop((left, top, left + round(width * (1 - part)), top + round(height * (1 - part))))

    return edit


def turned(degrees: float) -> Edit:
    return lambda picture: picture.rotate(degrees, Pillow.Resampling.BICUBIC, expand=True, fillcolor="white")


def written_on(picture: Picture) -> Picture:
    copy = picture.copy()
    ImageDraw.Draw(copy).text((90, 1300), "Best summer ever!", fill="white", font_size=130, stroke_width=6)
    return copy


def watermarked(picture: Picture) -> Picture:
    sheet = Pillow.new("RGBA", picture.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(sheet)
    for top in range(0, picture.height, 260):
        pen.text((top % 520 - 100, top), "SAMPLE  SAMPLE  SAMPLE", fill=(255, 255, 255, 90), font_size=110)
    return Pillow.alpha_composite(picture.convert("RGBA"), sheet).convert("RGB")


def on_a_screen(picture: Picture) -> Picture:
    """A phone's screen with bars above and below."""
    screen = Pillow.new("RGB", (1080, 2160), (18, 18, 20))
    pen = ImageDraw.Draw(screen)
    pen.text((40, 30), "12:41", fill="white", font_size=44)
    pen.text((60, 1960), "Reply", fill=(150, 150, 150), font_size=60)
    screen.paste(picture.resize((1080, 1440)), (0, 360))
    return screen


def tinted(picture: Picture) -> Picture:
    red, green, blue = picture.split()
    return Pillow.merge("RGB", (red, green.point(lambda v: v * 0.92), blue.point(lambda v: v * 0.75)))


EDITS: dict[str, Edit] = {
    "same, JPEG 30": lambda picture: picture,
    "half the size": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "tinted": tinted,
    "30 % brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.3),
    "30 % darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.7),
    "mirrored": ImageOps.mirror,
    "turned 5°": turned(5),
    "turned 10°": turned(-10),
    "turned 15°": turned(15),
    "cut 5 %": cut(0.05),
    "cut 10 %": cut(0.1),
    "cut 20 %": cut(0.2),
    "framed": lambda picture: ImageOps.expand(picture, 90, "black"),
    "written on": written_on,
    "watermarked": watermarked,
    "screenshot": on_a_screen,
    "sharpened": lambda picture: picture.filter(ImageFilter.UnsharpMask(3, 120)),
    "cut 10 %, mirrored": lambda picture: ImageOps.mirror(cut(0.1)(picture)),
    "cut 20 %, written on, JPEG 30": lambda picture: written_on(cut(0.2)(picture)),
}


# --- Lookalikes ----------------------------------------------------------------------------------


def scene(person: int, place: int, pose: int) -> Picture:
    """A portrait as `portraits.draw` makes it, but with place, pose and person chosen apart."""
    where, stands = np.random.default_rng([place, 11]), np.random.default_rng([pose, 13])
    picture = portraits._place(where, (768, 1024))
    figure = portraits._figure(np.random.default_rng([person, 3]), stands, (768, 1024))
    picture.paste(figure, (0, 0), figure)
    picture = portraits._light(where, picture.filter(ImageFilter.GaussianBlur(0.8)))
    return portraits._grain(stands, picture.resize(SIZE, Pillow.Resampling.BICUBIC))


LOOKALIKES: dict[str, Callable[[int], Picture]] = {
    "another shot": lambda person: scene(person, 100 + person, 200 + person),
    "a shot from the same place": lambda person: scene(person, person, 300 + person),
    "somebody else in the same place": lambda person: scene(person + 500, person, 400 + person),
    "nothing changed but the face": lambda person: scene(person + 500, person, person),
    "somebody else": lambda person: scene(person + 600, person + 600, person + 600),
}


def jpeg(picture: Picture, quality: int = 85) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


# --- Looking up ----------------------------------------------------------------------------------


def look_up(data: bytes) -> tuple[object, str]:
    """The id of what a file is a copy of, and how; None if of nothing."""
    shown = Shown.of(data)
    if match := nearest_known(shown):
        return match.image.pk, "hash"
    found = edited.find_known(shown.preview)
    return (found[0], "geometry") if found else (None, "")


def recall(originals: list[Image], pictures: list[Picture]) -> None:
    print(f"{'edit':34}{'found':>8}{'by hash':>9}{'wrong one':>11}{'ms each':>9}")
    for name, edit in EDITS.items():
        how: Counter[str] = Counter()
        spent = 0.0
        for original, picture in zip(originals, pictures, strict=True):
            data = jpeg(edit(picture), 30 if "JPEG 30" in name else 85)
            begun = time.process_time()
            found, by = look_up(data)
            spent += time.process_time() - begun
            how[by if found == original.pk else "wrong" if found else "missed"] += 1
        hits = how["hash"] + how["geometry"]
        each = spent / len(originals) * 1000
        print(f"{name:34}{hits / len(originals):8.3f}{how['hash']:9}{how['wrong']:11}{each:9.0f}", flush=True)


def false_merges() -> None:
    print(f"\n{'no copy':38}{'looked up':>10}{'merged':>8}{'ms each':>9}")
    for name, draw in LOOKALIKES.items():
        merged, spent = 0, 0.0
        for person in range(PEOPLE):
            data = jpeg(draw(person))
            begun = time.process_time()
            merged += look_up(data)[0] is not None
            spent += time.process_time() - begun
        print(f"{name:38}{PEOPLE:10}{merged:8}{spent / PEOPLE * 1000:9.0f}", flush=True)


def costs(originals: list[Image], data: bytes) -> None:
    """Of the parts of the step, for one image."""
    with storage.open_preview(originals[0]) as file:
        own = file.read()
    with storage.open_preview(originals[1]) as file:
        other = file.read()
    look = edited.Look(own, image_id=originals[0].pk)
    look.not_compared()
    mine, theirs, same = verify.describe(own), verify.describe_candidate(other), verify.describe_candidate(own)

    def findable() -> None:
        with transaction.atomic():
            look.make_findable()

    found = medians(
        {
            "floor: sha256, scaled decode": lambda: floor(data),
            "describe a preview": lambda: verify.describe(own),
            "ask for candidates": look.not_compared,
            "describe a candidate": lambda: verify.describe_candidate(other),
            "lay it on one that it is not": lambda: verify.compare(mine, theirs),
            "lay it on a copy": lambda: verify.compare(mine, same),
            "make it findable (again)": findable,
        }
    )
    print(f"\n{'':34}{'ms':>8}{'floors':>9}")
    for name, seconds in found.items():
        print(f"{name:34}{seconds * 1000:8.1f}{seconds / found['floor: sha256, scaled decode']:9.2f}")


def main() -> None:
    cv2.setNumThreads(1)
    with installation():
        pictures = [scene(person, person, person) for person in range(PEOPLE)]
        originals = [make_image(picture=jpeg(picture, 92)) for picture in pictures]
        # What is held for blur is compared when somebody has accepted it.
        there = [at for at, original in enumerate(originals) if original.status == "accepted"]
        print(f"{len(there)} of {PEOPLE} accepted and looked for\n")
        originals, pictures = [originals[at] for at in there], [pictures[at] for at in there]
        recall(originals, pictures)
        false_merges()
        costs(originals, jpeg(pictures[0], 90))
