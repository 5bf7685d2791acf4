"""The page on which a data manager ends a purpose. It stands here because it says what that does to photographs."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from collection.models import Image
from consent import texts
from consent.models import Consent, Licence, Purpose
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, role_required


@form_page
@role_required(DATA_MANAGER)
def purpose_end(request: HttpRequest, code: str) -> HttpResponse:
    purpose = get_object_or_404(Purpose.objects.filter(end__isnull=True), pk=code)
    refusal = ""
    if request.method == "POST":
        try:
            texts.end_purpose(code=code, reason=request.POST.get("reason", "").replace("\0", ""))
            messages.success(request, f"The purpose {purpose.name} has ended.")
            return redirect("purpose_add")
        except Refused as refused:
            refusal = str(refused)
    counts = {
        "consents": Consent.objects.live(code).count(),
        "licences": Licence.objects.live(code).count(),
        "images": Image.objects.entitled(code).count(),
        "erased": _resting_on_it_alone(code),
    }
    return render(request, "collection/purpose_end.html", {"purpose": purpose, "refusal": refusal, **counts})


def _resting_on_it_alone(code: str) -> int:
    """How many images nothing permits any more once this purpose is over."""
    images = Image.objects.entitled(code)
    for other in Purpose.objects.filter(end__isnull=True).exclude(pk=code):
        images = images.exclude(pk__in=Image.objects.entitled(other.pk).values("pk"))
    return images.count()
