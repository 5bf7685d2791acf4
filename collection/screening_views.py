"""The staff page of screening: who is asked, what that costs this month, what is measured, which lists are held."""

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from collection import quality, vendors
from collection.models import HarmList, VendorCall
from consent.roles import DATA_MANAGER, PROTECTION_OFFICER, role_required


@dataclass(frozen=True)
class Asked:
    """One port: what is configured, and this month's calls."""

    label: str
    name: str
    price: str


@require_GET
@role_required(DATA_MANAGER, PROTECTION_OFFICER)
def screening_page(request: HttpRequest) -> HttpResponse:
    start = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month = VendorCall.objects.filter(at__gte=start).order_by("kind", "vendor", "outcome")
    spent, cap = vendors.spent_this_month(), settings.VENDOR_MONTHLY_CAP
    context = {
        "asked": [_asked(kind) for kind in VendorCall.Kind],
        "calls": month.values("kind", "vendor", "outcome").annotate(count=Count("pk"), cost=Sum("cost")),
        "outcomes": dict(VendorCall.Outcome.choices),
        "spent": spent,
        "cap": cap,
        "reached": cap > 0 and spent >= cap,
        "currency": settings.VENDOR_CURRENCY,
        "month": start,
        "lists": HarmList.objects.annotate(count=Count("hashes")).order_by("name"),
        "quality": quality,
    }
    return render(request, "collection/screening.html", context)


def _asked(kind: VendorCall.Kind) -> Asked:
    vendor = vendors.vendor_for(kind)
    price = "" if vendor.price is None else f"{vendor.price} {settings.VENDOR_CURRENCY}"
    return Asked(label=str(kind.label).capitalize(), name=vendor.name, price=price)
