"""The landing page of a published release, for everybody: what it is, how to cite it, whether a newer one is there."""

from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from exports import citation
from exports.api import gone_items
from exports.croissant import licence_url
from exports.differences import count_difference
from exports.drafts import superseded_by
from exports.models import Release
from exports.splits import NAMES


def _published(slug: str, version: str) -> Release:
    found = Release.objects.filter(state=Release.State.PUBLISHED, dataset__slug=slug, version=version)
    read_with = ("dataset__purpose", "dataset__campaign", "definition__call", "previous__dataset", "deviation_report")
    return get_object_or_404(found.select_related(*read_with))


@require_GET
def release_page(request: HttpRequest, slug: str, version: str) -> HttpResponse:
    release = _published(slug, version)
    makers = citation.makers_of(release)
    splits = dict(release.items.order_by().values_list("split").annotate(Count("pk")))
    rows = sum(splits.values())
    before = release.previous
    context = {
        "release": release,
        "dataset": release.dataset,
        "rows": rows,
        "splits": [(name, splits[name]) for name in NAMES if name in splits],
        "gone": gone_items(release).count(),
        "size": release.files.aggregate(size=Sum("size"))["size"] or 0,
        "newest": superseded_by(release),
        "changes": count_difference(release=release, earlier=before) if before else None,
        "citation": citation.cite(release, makers),
        "makers": makers,
        "tags": citation.meta_tags(release, makers),
        "schema": citation.as_script(citation.schema_org(release, makers, rows)),
        "licence": licence_url(release),
    }
    return render(request, "exports/release.html", context)


@require_GET
def release_datacite(request: HttpRequest, slug: str, version: str) -> HttpResponse:
    """What to register the release with, for whoever has a DOI prefix."""
    release = _published(slug, version)
    after = Release.objects.filter(dataset=release.dataset_id, state=Release.State.PUBLISHED, previous=release)
    newer = after.select_related("dataset").order_by("number").first()
    found = citation.datacite(release, citation.makers_of(release), release.items.count(), newer)
    return JsonResponse(found, json_dumps_params={"indent": 2, "ensure_ascii": False})
