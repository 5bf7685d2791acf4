"""croissant.json: the release for machines (MLCommons Croissant 1.1 with RAI 1.0). Numbers are computed.

Traps of mlcroissant 1.1.1: a FileSet contained in Parquet FileObjects cannot be read (so `parquet-files` is not); two
`references` in one record set break `filters=`, which also wants the split from the file name by a regular expression,
and applies that a second time to what it found; cr:BoundingBox fails on a Parquet list column (a float array works).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from annotation.answers import SIDES, Control
from exports.models import Definition, Release
from exports.summary import Summary
from exports.writers import NUMBERS, TEXTS, column

# The context that the format prescribes, word for word; only `prov` is ours.
NAMES = """
arrayShape citeAs column containedIn equivalentProperty extract field fileProperty fileObject fileSet format includes
isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate
separator source subField transform
"""
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "prov": "http://www.w3.org/ns/prov#",
    "sc": "https://schema.org/",
    **{name: f"cr:{name}" for name in NAMES.split()},
}
MIME = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
TYPES = {
    "parquet": "application/x-parquet",
    "tar": "application/x-tar",
    "zip": "application/zip",
    "json": "application/json",
}
SPLIT_URLS = {"train": "cr:TrainingSplit", "validation": "cr:ValidationSplit", "test": "cr:TestSplit"}
ABOUT = {
    "row_id": "Identifier of the image in this dataset.",
    "image_sha256": "SHA-256 of the encoded image bytes.",
    "subject": "Pseudonym of the person depicted; of no meaning outside this dataset.",
    "format": "How the image is encoded.",
    "basis": "Pseudonym of the consent or licence that covers the image; see rows/ and attestations.jsonl.",
    "width": "Width in pixels.",
    "height": "Height in pixels.",
}
LABELS = {
    "rating": ("sc:Float", "Rating of the annotators."),
    "choices": ("sc:Text", "What annotators chose; several choices are joined by |."),
    "box": ("sc:Float", "Median box of the annotators: x, y, width, height in pixels."),
    "point": ("sc:Float", "Median point of the annotators: x, y in pixels."),
}
PARQUET = "parquet-files"


def write(release: Release, summary: Summary, shards: Mapping[str, tuple[str, int]]) -> bytes:
    """croissant.json of a release whose shards are `shards`: path to (sha256, size)."""
    document = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        **_general(release, summary),
        **_responsible_ai(release, summary),
        "distribution": _distribution(shards, summary.formats),
        "recordSet": _record_sets(summary, tars=any(path.endswith(".tar") for path in shards)),
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def licence_url(release: Release) -> str:
    """Where the terms of use are."""
    terms = release.dataset.terms
    own = f"{settings.BASE_URL}/datasets/{release.dataset.slug}/"
    return own if terms.startswith("LicenseRef-") else f"https://spdx.org/licenses/{terms}.html"


def _general(release: Release, summary: Summary) -> dict[str, Any]:
    dataset, day = release.dataset, release.snapshot_at.date().isoformat()
    url = f"{settings.BASE_URL}/datasets/{dataset.slug}/"
    makers = [{"@type": "sc:Organization", "name": name, "url": settings.BASE_URL} for name in summary.controllers]
    key = dataset.slug.replace("-", "_")
    return {
        "name": key,
        "description": release.definition.description,
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "citeAs": f"@misc{{{key}, title={{{dataset.title} {release.version}}}, year={{{day[:4]}}}, url={{{url}}}}}",
        "license": licence_url(release),
        "url": url,
        "version": release.version,
        "datePublished": day,
        "dateCreated": day,
        "dateModified": day,
        "creator": makers,
        "publisher": makers,
        "keywords": ["portraits", "consented", dataset.purpose_id],
        "inLanguage": "en",
        "isLiveDataset": False,
        "usageInfo": url,
    }


def _responsible_ai(release: Release, summary: Summary) -> dict[str, Any]:
    purpose = release.dataset.purpose
    bases = ", ".join(f"{n} under a {kind}" for kind, n in summary.bases.items())
    return {
        "rai:dataCollection": f"{summary.rows} photographs of {summary.subjects} persons: {bases}. "
        f"Texts signed: {', '.join(summary.texts) or 'none'}. Licence terms: {', '.join(summary.terms) or 'none'}.",
        "rai:dataCollectionType": ["User-generated content data"],
        "rai:dataCollectionRawData": "Original uploads; the release carries copies without metadata.",
        "rai:dataCollectionMissingData": missing(summary),
        "rai:dataCollectionTimeframe": list(summary.received),
        "rai:dataCollectionTimeFrame": list(summary.received),
        "rai:dataPreprocessingProtocol": [
            "Turned upright",
            "All metadata removed",
            "Re-encoded",
            "Duplicates left out",
            *([f"At most {side} pixels on the longer side"] if (side := release.definition.longest_side) else []),
        ],
        "rai:dataManipulationProtocol": "None beyond preprocessing.",
        "rai:dataImputationProtocol": "None.",
        "rai:dataAnnotationProtocol": f"{summary.annotations} paid annotations by {summary.annotators} annotators; "
        + consolidation(release.definition),
        "rai:dataAnnotationPlatform": ["Label Studio"] if summary.annotations else ["none"],
        "rai:dataAnnotationAnalysis": summary.agreement or ["No labels."],
        "rai:annotationsPerItem": summary.per_item,
        "rai:annotatorDemographics": ["Voluntary self-reports, which are in no release"],
        "rai:machineAnnotationTools": ["none"],
        "rai:dataBiases": ["Contributors chose themselves; no balance across groups is claimed."],
        "rai:dataLimitations": ["Not for identifying persons.", *filter(None, [release.definition.limits])],
        "rai:dataUseCases": [f"{purpose.name}: {purpose.description}"],
        "rai:dataSocialImpact": "Every person depicted agreed, or a licence with a model release covers them.",
        "rai:personalSensitiveInformation": ["Photographs of faces"],
        "rai:dataReleaseMaintenancePlan": "After a withdrawal recipients get a signed notice; the next release is a "
        "new major version.",
    }


def consolidation(definition: Definition) -> str:
    """How several answers became one label, in a sentence or two."""
    return (
        f"Several ratings become {definition.get_ratings_display()}, several choices "
        f"{definition.get_choices_display()}, several boxes or points their median."
    )


def missing(summary: Summary) -> str:
    """What was left out, and why, in one sentence."""
    if not summary.left_out:
        return "No image was left out."
    return "Left out: " + "; ".join(f"{n} ({reason})" for reason, n in summary.left_out.items()) + "."


def _distribution(shards: Mapping[str, tuple[str, int]], formats: Sequence[str]) -> list[dict[str, Any]]:
    objects = [_file_object(path, *shards[path]) for path in shards]
    tars = [{"@id": file["@id"]} for file in objects if file["encodingFormat"] == TYPES["tar"]]
    parquet = _file_set(PARQUET, "All Parquet shards.", TYPES["parquet"], "data/*.parquet")
    members = [
        {**_file_set(f"tar-{ext}", f"{ext} members of the tar shards.", mime, f"*.{ext}"), "containedIn": tars}
        for ext, mime in [*((ext, MIME[ext]) for ext in formats), ("json", "application/json")]
    ]
    return [*objects, parquet, *(members if tars else [])]


def _file_object(path: str, sha256: str, size: int) -> dict[str, Any]:
    folder, _, name = path.rpartition("/")
    stem, _, ext = name.rpartition(".")
    identifier = f"{ext if ext in ('parquet', 'tar') else folder}-{stem}"
    return {
        "@type": "cr:FileObject",
        "@id": identifier,
        "name": identifier,
        "contentUrl": path,
        "contentSize": f"{size} B",
        "encodingFormat": TYPES[ext],
        "sha256": sha256,
    }


def _file_set(identifier: str, about: str, mime: str, includes: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": identifier,
        "name": identifier,
        "description": about,
        "encodingFormat": mime,
        "includes": includes,
    }


def _record_sets(summary: Summary, *, tars: bool) -> list[dict[str, Any]]:
    return [_splits(), _images(summary.controls), *(_tar_images(ext) for ext in summary.formats if tars)]


def _splits() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": "splits/name", "name": "splits/name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": "splits/url", "name": "splits/url", "dataType": ["sc:Text", "cr:Split"]},
        ],
        "data": [{"splits/name": name, "splits/url": url} for name, url in SPLIT_URLS.items()],
    }


def _images(controls: Sequence[Control]) -> dict[str, Any]:
    texts = [_column(name, "sc:Text", ABOUT[name]) for name in TEXTS if name != "split"]
    numbers = [_column(name, "sc:Integer", ABOUT[name]) for name in NUMBERS]
    return {
        "@type": "cr:RecordSet",
        "@id": "images",
        "name": "images",
        "description": "One record per image (Parquet).",
        "key": {"@id": "images/row_id"},
        "field": [_split_field(), _image_field(), *texts, *numbers, *(_label(control) for control in controls)],
    }


def _split_field() -> dict[str, Any]:
    source = {
        "fileSet": {"@id": PARQUET},
        "extract": {"fileProperty": "filename"},
        "transform": {"regex": r"^(train|validation|test).*$"},
    }
    reference = {"field": {"@id": "splits/name"}}
    return _field("images/split", "sc:Text", "Split, from the file name.", source) | {"references": reference}


def _image_field() -> dict[str, Any]:
    source = {"fileSet": {"@id": PARQUET}, "extract": {"column": "image"}, "transform": {"jsonPath": "bytes"}}
    return _field("images/image", "sc:ImageObject", "Image content.", source)


def _label(control: Control) -> dict[str, Any]:
    kind, about = LABELS[control.kind]
    field = _column(column(control), kind, about)
    return field | {"isArray": True, "arrayShape": str(len(SIDES[control.kind]))} if control.kind in SIDES else field


def _column(name: str, kind: str, about: str) -> dict[str, Any]:
    return _field(f"images/{name}", kind, about, {"fileSet": {"@id": PARQUET}, "extract": {"column": name}})


def _field(identifier: str, kind: str, about: str, source: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": identifier,
        "name": identifier,
        "description": about,
        "dataType": kind,
        "source": source,
    }


def _tar_images(ext: str) -> dict[str, Any]:
    name, files = f"tar_{ext}", {"fileSet": {"@id": f"tar-{ext}"}}
    key = files | {"extract": {"fileProperty": "filename"}, "transform": {"regex": rf"^([^.]+)\.{ext}$"}}
    content = files | {"extract": {"fileProperty": "content"}}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"One record per {ext} image (tar shards).",
        "key": {"@id": f"{name}/row_id"},
        "field": [
            _field(f"{name}/row_id", "sc:Text", "Identifier of the image.", key),
            _field(f"{name}/image", "sc:ImageObject", "Image content.", content),
        ],
    }
