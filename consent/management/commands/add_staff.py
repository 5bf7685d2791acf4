"""manage.py add_staff EMAIL --role "reviewer": an account for somebody who works here."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from consent import services
from consent.roles import ROLES

PASSWORD_VARIABLE = "LIKENESS_PASSWORD"  # noqa: S105  # the name of a variable


class Command(BaseCommand):
    help = "Adds a staff account, or gives an existing one these roles and this password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--role", action="append", choices=ROLES, default=[], help="may be given more than once")
        parser.add_argument("--password-file", type=Path, help=f"otherwise the variable {PASSWORD_VARIABLE} is read")

    def handle(self, *args: Any, **options: Any) -> None:
        password = self._password(options["password_file"])
        try:
            validate_password(password)
            user = services.add_staff(email=options["email"], password=password, roles=options["role"])
        except (ValidationError, services.Refused) as error:
            raise CommandError("; ".join(getattr(error, "messages", [str(error)]))) from None
        self.stdout.write(f"{user.email}: {', '.join(options['role']) or 'no role'}")

    def _password(self, path: Path | None) -> str:
        if path is None:
            password = os.environ.get(PASSWORD_VARIABLE, "")
        elif path.is_file():
            password = path.read_text().strip()
        else:
            raise CommandError(f"There is no file {path}.")
        if not password:
            raise CommandError(f"Give a password: in a file with --password-file, or in {PASSWORD_VARIABLE}.")
        return password
