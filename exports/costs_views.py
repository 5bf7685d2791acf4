"""The page that says what everything costs."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from consent.roles import DATA_MANAGER, role_required
from exports import costs


@require_GET
@role_required(DATA_MANAGER)
def costs_page(request: HttpRequest) -> HttpResponse:
    facts = {
        "costs": costs.all_costs(),
        "hours": costs.hours_of_review(),
        "priced": bool(settings.REVIEW_HOURLY_COST),
        "campaigns": costs.campaign_costs(),
        "datasets": costs.dataset_costs(),
    }
    return render(request, "exports/costs.html", facts)
