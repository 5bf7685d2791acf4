"""Our perceptual hashes are imagehash's bit by bit: lists of harm and older fingerprints are compared with them."""

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageOps

from collection.hashes import phash
from tests.collection import monk
from tests.collection.pictures import portrait


def noise(seed):
    """Its lowest frequencies lie near their median, where the least error of scale turns a bit."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (256, 256), np.uint8))


@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize("picture", [portrait(1, 1), portrait(2, 3), monk.portrait(9), *map(noise, range(12))])
def test_equal_to_imagehash_as_it_is_and_mirrored(picture, side):
    grey = picture.convert("L").resize((256, 256))
    theirs = [int(str(imagehash.phash(each, hash_size=side)), 16) for each in (grey, ImageOps.mirror(grey))]
    assert list(phash(grey, side)) == theirs
