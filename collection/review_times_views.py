"""Reviewers' time, for data managers: a page and the same as CSV."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from collection.models import ReviewDecision
from collection.queues import QUEUES
from collection.review_forms import PeriodForm
from collection.review_times import count_times
from consent.roles import DATA_MANAGER, role_required
from consent.sheets import csv_line

USUAL_DAYS = 30


def _days(request: HttpRequest) -> int:
    form = PeriodForm(request.GET)
    return form.cleaned_data["days"] if form.is_valid() else USUAL_DAYS


@require_GET
@role_required(DATA_MANAGER)
def review_times(request: HttpRequest) -> HttpResponse:
    days = _days(request)
    rows = [(row, QUEUES[row.queue].title if row.queue in QUEUES else row.queue) for row in count_times(days=days)]
    context = {"rows": rows, "days": days, "form": PeriodForm({"days": days}), "kinds": ReviewDecision.Kind.choices}
    return render(request, "collection/review_times.html", context)


@require_GET
@role_required(DATA_MANAGER)
def review_times_csv(request: HttpRequest) -> HttpResponse:
    days = _days(request)
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="reviewer-time-{days}-days.csv"'
    kinds = ReviewDecision.Kind.values
    answer.write(csv_line("reviewer", "queue", "cases", "median_seconds", *kinds, "overruled_share"))
    for row in count_times(days=days):
        share = "" if row.overruled is None else f"{row.overruled:.3f}"
        answer.write(csv_line(row.reviewer, row.queue, row.cases, row.median_seconds, *row.kinds.values(), share))
    return answer
