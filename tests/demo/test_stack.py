"""What `make run` leaves for whoever tries the commands."""

import subprocess

from consent.roles import ROLES
from demo import cast
from demo.__main__ import logins
from demo.processes import ROOT
from demo.stack import Stack, write_environment


def test_a_shell_can_read_the_settings_and_nobody_else_can(tmp_path):
    stack = Stack(tmp_path, None, env={"SECRET_KEY": "a b'$c", "HOME": "/nowhere", "BASE_URL": "http://127.0.0.1:8000"})
    path = write_environment(stack)
    assert path.stat().st_mode & 0o777 == 0o600
    asked = f'. "{path}" && printf "%s|%s|%s" "$SECRET_KEY" "$HOME" "$BASE_URL"'
    said = subprocess.run(["sh", "-c", asked], env={"HOME": "/mine"}, cwd=ROOT, capture_output=True, text=True)
    assert said.stdout == "a b'$c|/mine|http://127.0.0.1:8000"


def test_every_role_has_a_login():
    printed = {person.email for _, person, _ in logins(cast.contributors()[0], "faces")}
    for role in ROLES:
        assert {person.email for person in cast.STAFF[role]} & printed, role
