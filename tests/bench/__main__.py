"""`make bench`: one table per benchmark. Ratios mean more than milliseconds, which move from machine to machine."""

import os
import sys
from importlib import import_module

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SECRET_KEY", "benchmarks only")
django.setup()

NAMES = (
    "take_in",
    "signing",
    "ledger",
    "withdrawal",
    "screening",
    "targets",
    "library_import",
    "uploads",
    "copies",
    "votes",
    "lookup",
    "labels",
    "gateway",
    "labelling_day",
    "label_kills",
    "releases",
    "release_rows",
    "pull",
)

for name in sys.argv[1:] or NAMES:
    bench = import_module(f"tests.bench.{name}")
    print(f"\n{(bench.__doc__ or '').strip()}\n")
    bench.main()
