"""The staff pages of this app: the index, purposes, form texts, licences."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from consent import licensing, services, texts
from consent.models import FormText, Licence, Purpose
from consent.pages import form_page
from consent.roles import DATA_MANAGER, PROTECTION_OFFICER, REVIEWER, ROLES, has_role, role_required
from consent.staff_forms import LicenceForm, PurposeForm, TextForm


@require_GET
@role_required(*ROLES)
def staff(request: HttpRequest) -> HttpResponse:
    may = {"review": has_role(request.user, REVIEWER), "manage": has_role(request.user, DATA_MANAGER)}
    return render(request, "consent/staff.html", {"may": may})


@form_page
@role_required(DATA_MANAGER)
def purpose_add(request: HttpRequest) -> HttpResponse:
    form = PurposeForm(request.POST or None)
    if form.is_valid():
        try:
            purpose = texts.add_purpose(**form.cleaned_data)
            messages.success(request, f"Added the purpose {purpose.name}.")
            return redirect("staff")
        except services.Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "consent/purpose_add.html", {"form": form, "purposes": Purpose.objects.order_by("code")})


@form_page
@role_required(DATA_MANAGER)
def form_publish(request: HttpRequest) -> HttpResponse:
    form = TextForm(request.POST or None)
    if form.is_valid():
        try:
            text = texts.publish_text(**form.statements())
            messages.success(
                request, f"Published {text}. People sign it at {request.get_host()}/sign/{text.form.slug}/."
            )
            return redirect("staff")
        except services.Refused as refused:
            form.add_error(None, str(refused))
    published = (
        FormText.objects.select_related("form").prefetch_related("purposes").order_by("form__name", "-published_at")
    )
    return render(request, "consent/form_publish.html", {"form": form, "texts": published.prefetch_related("purposes")})


@form_page
@role_required(DATA_MANAGER)
def licence_add(request: HttpRequest) -> HttpResponse:
    form = LicenceForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        try:
            chosen = [purpose.pk for purpose in form.cleaned_data["purposes"]]
            licence = licensing.add_licence(**{**form.cleaned_data, "purposes": chosen})
            messages.success(request, f"Recorded the licence {licence}.")
            return redirect("licences")
        except services.Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "consent/licence_add.html", {"form": form})


@require_GET
@role_required(REVIEWER, DATA_MANAGER, PROTECTION_OFFICER)
def licences(request: HttpRequest) -> HttpResponse:
    found = Licence.objects.prefetch_related("purposes").order_by("-created_at")
    live = set(Licence.objects.live().values_list("pk", flat=True))
    may_add = has_role(request.user, DATA_MANAGER)
    return render(request, "consent/licences.html", {"licences": found, "live": live, "may_add": may_add})
