"""Rules of the house that no linter knows."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection

from tests.conftest import append_only_tables

ROOT = Path(__file__).resolve().parent.parent
OURS = ("consent", "collection", "annotation", "exports")
PROOF = {
    "consent": "purpose formtext formtextpurpose consent consentpurpose withdrawal licence licencepurpose "
    "ledgerentry ledgerleaf checkpoint purposewording purposeend checkpointcopy ledgertile",
    "collection": "transition removal modelrelease harmmatch harmreport reviewdecision reviewoutcome",
    "annotation": "annotation earning imageview topup goldanswer rejection adjustment payment paymentchange leftout "
    "payoutrun dispute disputedecision workterms workagreement trainingset trainingresult "
    "proposal proposaldecision",
    "exports": "definition release attestation item releasefile filepurge split download notice revocation "
    "acknowledgement noticemail certificate deviationreport gateexception deviationaction deviationactiondone",
}
TRIGGERS = {
    "sqlite": "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger'",
    # Enabled "always": a replica session does not slip by.
    "postgresql": "SELECT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'A'",
}


def test_every_environment_variable_is_documented():
    settings = (ROOT / "config" / "settings.py").read_text()
    documented = (ROOT / "docs" / "settings.md").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z0-9_]+)"', settings))
    assert len(read) > 20
    assert {name for name in read if f"`{name}`" not in documented} == set()


def test_cookies_do_not_meet_those_of_label_studio(settings):
    """Label Studio on another port of the same host is a Django project too, and cookies know no ports."""
    assert settings.SESSION_COOKIE_NAME != "sessionid"
    assert settings.CSRF_COOKIE_NAME != "csrftoken"


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
    """The modules that import-linter keeps from Celery and REST."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [services] = [
        contract["source_modules"] for contract in contracts if "celery" in contract.get("forbidden_modules", ())
    ]
    places = [ROOT.joinpath(*name.split(".")) for name in services]
    quiet = [
        path for place in places for path in (place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")])
    ]
    assert len(quiet) > len(services) > 40
    assert [path for path in quiet if "django.http" in path.read_text()] == []


def test_every_mail_is_written_where_answers_get_an_address():
    ours = [path for app in ("consent", "collection", "annotation", "exports") for path in (ROOT / app).rglob("*.py")]
    writers = [path.name for path in ours if re.search(r"EmailMessage\(|send_mail\(", path.read_text())]
    assert writers == ["mailing.py"]


@pytest.mark.django_db
def test_every_table_of_proof_refuses_changes():
    wanted = {f"{app}_{name}" for app, names in PROOF.items() for name in names.split()}
    assert {table for table, _ in append_only_tables()} == wanted
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS[connection.vendor])
        triggers = Counter(table for (table,) in cursor.fetchall())
    assert {table for table in wanted if triggers[table] < 2} == set()


@pytest.mark.parametrize("document", ["promises.md", "requirements.md"])
def test_every_named_test_exists(document):
    named = re.findall(r"`(\S+\.py)::(test_\w+)`", (ROOT / "docs" / document).read_text())
    assert len(named) > 50
    missing = {
        f"{file}::{name}"
        for file, name in named
        if f"def {name}(" not in (ROOT / "tests" / file.removeprefix("tests/")).read_text()
    }
    assert missing == set()


def test_every_requirement_is_in_the_table():
    rows = re.findall(r"^\| R(\d\d) \| .+ \| (.+) \|$", (ROOT / "docs" / "requirements.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 41))
    assert all(len(shown) > 10 for _, shown in rows)
