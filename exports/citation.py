"""How a published release is cited: for people, for search engines (schema.org), for reference managers (citation_*
tags), and as DataCite 4.5 metadata, with which whoever has a DOI prefix can register it. All from rows, nothing typed.
"""

import json
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from collection.models import Image
from exports.croissant import licence_url
from exports.models import Release

NOUGHT = ":unav"  # DataCite's word for what is not there (yet)


def release_url(release: Release) -> str:
    """The landing page of a published release: it stays, also when a newer one is there."""
    return f"{settings.BASE_URL}{reverse('release', args=[release.dataset.slug, release.version])}"


def makers_of(release: Release) -> list[str]:
    """Who is responsible for its photographs: controllers named in what was signed, licensors of libraries."""
    images = Image.objects.filter(items__release=release).order_by()
    names = set(images.values_list("consent__text__controller_name", flat=True).distinct())
    names |= set(images.values_list("licence__licensor", flat=True).distinct())
    return sorted(filter(None, names))


def cite(release: Release, makers: Sequence[str]) -> str:
    """`Makers (2026). Title (version 1.0.0) [Data set]. https://…`"""
    return (
        f"{', '.join(makers)} ({_year(release)}). {release.dataset.title} (version {release.version}) [Data set]. "
        f"{release_url(release)}"
    )


def meta_tags(release: Release, makers: Sequence[str]) -> list[tuple[str, str]]:
    """Name and content of the tags that reference managers read, one author for each maker."""
    assert release.published_at is not None  # noqa: S101 -- a CHECK constraint of published releases
    return [
        ("citation_title", f"{release.dataset.title} (version {release.version})"),
        *(("citation_author", maker) for maker in makers),
        ("citation_publisher", ", ".join(makers)),
        ("citation_publication_date", f"{release.published_at:%Y/%m/%d}"),
        ("citation_version", release.version),
        ("citation_language", "en"),
        ("citation_public_url", release_url(release)),
        ("citation_abstract", release.definition.description),
        ("DC.rights", licence_url(release)),
        ("DC.type", "Dataset"),
    ]


def schema_org(release: Release, makers: Sequence[str], rows: int) -> dict[str, Any]:
    """schema.org/Dataset, as search engines for data read it."""
    assert release.published_at is not None  # noqa: S101 -- a CHECK constraint of published releases
    people = [{"@type": "Organization", "name": maker, "url": settings.BASE_URL} for maker in makers]
    series = f"{settings.BASE_URL}{reverse('dataset', args=[release.dataset.slug])}"
    return {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "@id": release_url(release),
        "identifier": release_url(release),
        "url": release_url(release),
        "name": release.dataset.title,
        "description": release.definition.description,
        "version": release.version,
        "datePublished": release.published_at.date().isoformat(),
        "license": licence_url(release),
        "creator": people,
        "publisher": people[0] if len(people) == 1 else people,
        "inLanguage": "en",
        "isAccessibleForFree": False,
        "isPartOf": {"@type": "Dataset", "@id": series, "name": release.dataset.title, "url": series},
        "size": f"{rows} photographs",
        **({"isBasedOn": release_url(release.previous)} if release.previous else {}),
    }


def as_script(document: dict[str, Any]) -> SafeString:
    """JSON that may stand in a script element: nothing in it ends the element, or begins another."""
    text = json.dumps(document, ensure_ascii=False, indent=1)
    return mark_safe(text.translate({ord(one): f"\\u{ord(one):04X}" for one in "<>&"}))  # noqa: S308 -- just escaped


def datacite(release: Release, makers: Sequence[str], rows: int, newer: Release | None) -> dict[str, Any]:
    """DataCite metadata 4.5 as its REST API takes it; the DOI is what registering adds."""
    assert release.published_at is not None  # noqa: S101 -- a CHECK constraint of published releases
    related = [(release.previous, "IsNewVersionOf"), (newer, "IsPreviousVersionOf")]
    return {
        "data": {
            "type": "dois",
            "attributes": {
                "url": release_url(release),
                "titles": [{"title": release.dataset.title, "lang": "en"}],
                "creators": [{"name": maker, "nameType": "Organizational"} for maker in makers] or [{"name": NOUGHT}],
                "publisher": {"name": ", ".join(makers) or NOUGHT},
                "publicationYear": int(_year(release)),
                "types": {"resourceTypeGeneral": "Dataset", "resourceType": "Photographs of persons, labelled"},
                "version": release.version,
                "language": "en",
                "dates": [
                    {"date": release.published_at.date().isoformat(), "dateType": "Issued"},
                    {"date": release.snapshot_at.date().isoformat(), "dateType": "Collected"},
                ],
                "sizes": [f"{rows} photographs"],
                "rightsList": [{"rights": release.dataset.terms, "rightsUri": licence_url(release)}],
                "descriptions": [
                    {"description": release.definition.description, "descriptionType": "Abstract", "lang": "en"}
                ],
                "relatedIdentifiers": [
                    {
                        "relatedIdentifier": release_url(other),
                        "relatedIdentifierType": "URL",
                        "relationType": relation,
                        "resourceTypeGeneral": "Dataset",
                    }
                    for other, relation in related
                    if other
                ],
                "schemaVersion": "http://datacite.org/schema/kernel-4",
            },
        }
    }


def _year(release: Release) -> str:
    return f"{release.published_at:%Y}"
