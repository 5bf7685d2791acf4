"""Fixtures of the annotation tests."""

import pytest

from tests.label_studio import LabelStudioServer, label_studio

__all__ = ("label_studio",)
SECRET = "what only Label Studio knows"


@pytest.fixture(autouse=True)
def _label_studio_settings(settings):
    """An address that nobody answers at, unless a test starts Label Studio."""
    settings.LABEL_STUDIO_URL = "http://127.0.0.1:9"
    settings.LABEL_STUDIO_TOKEN = "none"
    settings.LABEL_STUDIO_WEBHOOK_SECRET = SECRET
    settings.BASE_URL = "http://localhost:8000"
    settings.LABELLING_URL = "http://localhost:8001"


@pytest.fixture
def studio(label_studio: LabelStudioServer, settings) -> LabelStudioServer:
    """The real Label Studio, with our settings pointing at it."""
    settings.LABEL_STUDIO_URL = label_studio.url
    settings.LABEL_STUDIO_TOKEN = label_studio.token
    settings.LABEL_STUDIO_DATA_DIR = str(label_studio.data)
    return label_studio
