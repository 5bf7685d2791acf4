"""Run by Label Studio's own Python: prints the address of every view of Label Studio, as JSON, ids filled in."""

import json
import os
import re
import sys
from pathlib import Path

import label_studio

sys.path.insert(0, str(Path(label_studio.__file__).parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "core.settings.label_studio"

import django

django.setup()
from django.urls import URLResolver, get_resolver
from django.urls.resolvers import RoutePattern


def text(pattern) -> str:
    """A pattern with `1` for every id, `x` for every other part that is free, and without anchors."""
    raw = str(pattern)
    if isinstance(pattern, RoutePattern):
        return re.sub(r"<(\w+):\w+>|<\w+>", lambda found: "1" if found[1] in (None, "int") else "x", raw)
    raw = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", lambda found: "1" if found[1] == "pk" else "x", raw)
    return raw.replace("\\.", ".").replace("\\Z", "").replace("/?", "/").strip("^$")


def addresses(resolver, before=""):
    for part in resolver.url_patterns:
        here = before + text(part.pattern)
        if isinstance(part, URLResolver):
            yield from addresses(part, here)
        else:
            yield "/" + here


print(json.dumps(sorted(set(addresses(get_resolver())))))
