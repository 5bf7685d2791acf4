"""The page that says what changed between two published releases."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from consent.refusals import Refused
from exports.differences import count_difference, kept_counts
from exports.models import Release
from exports.throttle import may_compare


@require_GET
def release_difference(request: HttpRequest, slug: str, version: str, earlier: str) -> HttpResponse:
    published = Release.objects.filter(state=Release.State.PUBLISHED, dataset__slug=slug)
    published = published.select_related("dataset__campaign").order_by("-number")
    release, before = (get_object_or_404(published, version=one) for one in (version, earlier))
    counts = kept_counts(release=release, earlier=before)
    if counts is None:
        if not may_compare():
            return render(request, "exports/release_difference_later.html", {"release": release}, status=429)
        try:
            counts = count_difference(release=release, earlier=before)
        except Refused as refusal:
            raise Http404(str(refusal)) from None
    others = published.filter(number__lt=release.number).exclude(pk=before.pk)
    context = {"release": release, "before": before, "counts": counts, "others": others}
    return render(request, "exports/release_difference.html", context)
