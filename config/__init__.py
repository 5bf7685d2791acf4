"""Settings, URLs and process entry points of one Likeness installation."""

from config.celery import app as celery_app

__all__ = ("celery_app",)
