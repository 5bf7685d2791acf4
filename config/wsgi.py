"""WSGI entry point (gunicorn config.wsgi)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# A process has more threads than PostgreSQL would have connections for: most of them wait for somebody's bytes.
os.environ.setdefault("DATABASE_POOL", "32")
application = get_wsgi_application()
