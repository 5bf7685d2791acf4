import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from consent import checks
from consent.keys import signing_key
from consent.models import Purpose, User
from consent.signing import load_key

ROOT = Path(__file__).resolve().parents[2]


def test_our_models_declare_their_personal_data():
    assert checks.personal_data_is_declared() == []


class Silent:
    _meta = Purpose._meta


class Wrong:
    _meta = Purpose._meta
    PERSONAL_DATA = {"code": "a field", "shoe_size": "no field"}


def test_models_that_do_not_are_named():
    silent, wrong = checks.undeclared([Silent, Wrong])
    assert (silent.id, wrong.id) == ("consent.E003", "consent.E004")
    assert "shoe_size" in wrong.msg


def test_a_missing_secret_key_is_named(settings, tmp_path):
    assert checks.secret_key_is_set() == []
    settings.SECRET_KEY = ""
    assert [error.id for error in checks.secret_key_is_set()] == ["consent.E001"]


def test_manage_py_check_says_how_to_set_the_secret_key(tmp_path):
    environment = {**os.environ, "SECRET_KEY": "", "LIKENESS_VAR": str(tmp_path)}
    command = [sys.executable, "manage.py", "check", "--tag", "security"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "consent.E001" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_deploy_check_wants_the_signing_key(settings, tmp_path):
    settings.SIGNING_KEY_FILE = tmp_path / "none.pem"
    signing_key.cache_clear()
    try:
        found = {error.id for error in run_checks(tags=["security"], include_deployment_checks=True)}
        assert "consent.E002" in found
        assert "consent.E002" not in {error.id for error in run_checks(tags=["security"])}
    finally:
        signing_key.cache_clear()


def test_create_signing_key_keeps_the_key_that_is_there(settings, tmp_path, capsys):
    settings.SIGNING_KEY_FILE = tmp_path / "keys" / "signing.pem"
    call_command("create_signing_key")
    first = load_key(settings.SIGNING_KEY_FILE).private_bytes_raw()
    call_command("create_signing_key")
    assert load_key(settings.SIGNING_KEY_FILE).private_bytes_raw() == first
    assert settings.SIGNING_KEY_FILE.stat().st_mode & 0o777 == 0o600


@pytest.mark.django_db
def test_add_staff(monkeypatch, tmp_path):
    monkeypatch.setenv("LIKENESS_PASSWORD", "")
    with pytest.raises(CommandError, match="Give a password"):
        call_command("add_staff", "ann@example.org", role=["reviewer"])
    with pytest.raises(CommandError, match="There is no file"):
        call_command("add_staff", "ann@example.org", password_file=tmp_path / "none")
    monkeypatch.setenv("LIKENESS_PASSWORD", "123")
    with pytest.raises(CommandError, match="too short"):
        call_command("add_staff", "ann@example.org", role=["reviewer"])
    (tmp_path / "password").write_text("a long password 7\n")
    call_command("add_staff", "ann@example.org", "--role", "reviewer", "--password-file", str(tmp_path / "password"))
    user = User.objects.get()
    assert user.check_password("a long password 7")
    assert user.is_staff
    assert not user.is_superuser
    assert [group.name for group in user.groups.all()] == ["reviewer"]
