"""App configuration."""

from importlib import import_module

from django.apps import AppConfig


class ExportsConfig(AppConfig):
    name = "exports"

    def ready(self) -> None:
        import_module("exports.checks")  # registers them
