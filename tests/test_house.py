"""Rules of the house that no linter knows."""

import re
from pathlib import Path

from django.apps import apps

ROOT = Path(__file__).resolve().parent.parent
OURS = ("consent", "collection", "annotation", "exports")


def test_every_environment_variable_is_documented():
    settings = (ROOT / "config" / "settings.py").read_text()
    documented = (ROOT / "docs" / "settings.md").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z0-9_]+)"', settings))
    assert len(read) > 20
    assert {name for name in read if f"`{name}`" not in documented} == set()


def test_every_model_declares_its_personal_data():
    for app in OURS:
        for model in apps.get_app_config(app).get_models():
            fields = {field.name for field in model._meta.get_fields()}
            assert set(model.PERSONAL_DATA) <= fields, model


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    assert {p.name for p in folder.glob("0*.md") if p.name not in index} == set()


def test_services_know_no_http():
    quiet = [path for app in OURS for path in (ROOT / app).glob("*.py") if path.stem in ("services", "pipeline", "models")]
    assert len(quiet) >= 8
    assert [path for path in quiet if "django.http" in path.read_text()] == []
