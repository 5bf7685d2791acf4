"""App configuration."""

from importlib import import_module

from django.apps import AppConfig


class ConsentConfig(AppConfig):
    name = "consent"
    verbose_name = "the right to use"

    def ready(self) -> None:
        import_module("consent.checks")  # registers them; it needs the models, so not before now
