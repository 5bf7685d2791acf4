"""App configuration."""

from importlib import import_module

from django.apps import AppConfig


class AnnotationConfig(AppConfig):
    name = "annotation"

    def ready(self) -> None:
        import_module("annotation.checks")  # registers them
