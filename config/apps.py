"""The app that carries the site's own templates and static files."""

from django.apps import AppConfig


class ConfigApp(AppConfig):
    name = "config"
