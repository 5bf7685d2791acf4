"""Pages about datasets: staff make datasets, releases and recipients; everybody may see what a dataset is."""

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from consent.hints import hint
from consent.notice import render_body
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, role_required, staff_user
from exports import programs, services, tasks
from exports.api import gone_items
from exports.definitions import current_definition
from exports.forms import DatasetForm, DraftForm, RecipientForm
from exports.models import AccessToken, Dataset, Notice, Release
from exports.notice_mails import answers
from exports.preview import look_ahead
from exports.release_files import waiting_card
from exports.services import withheld_items
from exports.tokens import end_token, issue_recipient_token, tokens_of


@require_GET
@role_required(DATA_MANAGER)
def dataset_list(request: HttpRequest) -> HttpResponse:
    datasets = Dataset.objects.select_related("purpose", "campaign").order_by("title")
    return render(request, "exports/dataset_list.html", {"datasets": datasets})


@form_page
@role_required(DATA_MANAGER)
def dataset_add(request: HttpRequest) -> HttpResponse:
    form = DatasetForm(request.POST or None)
    if form.is_valid():
        dataset = form.save()
        messages.success(request, f"{dataset.title} is there. Say what its releases hold, and draft the first one.")
        return redirect("dataset_staff", dataset.slug)
    return render(request, "exports/dataset_add.html", {"form": form})


@form_page
@role_required(DATA_MANAGER)
def dataset_next(request: HttpRequest, slug: str) -> HttpResponse:
    """What the next release would hold if it were drafted now: it looks at every photograph and label."""
    dataset = get_object_or_404(Dataset.objects.select_related("purpose", "campaign"), slug=slug)
    form = DraftForm(request.POST or None)
    if request.method == "POST" and _draft(request, dataset, form):
        return redirect("dataset_staff", dataset.slug)
    draft, look = look_ahead(current_definition(dataset), timezone.now())
    context = {"dataset": dataset, "form": form, "draft": draft, "look": look}
    return render(request, "exports/dataset_next.html", context)


@require_GET
@role_required(DATA_MANAGER)
def dataset_staff(request: HttpRequest, slug: str) -> HttpResponse:
    dataset = get_object_or_404(Dataset.objects.select_related("purpose", "campaign"), slug=slug)
    releases = (
        dataset.releases.select_related("drafted_by", "deviation_report")
        .annotate(rows=Count("items"))
        .order_by("-number")
    )
    waiting, card = waiting_card(dataset) or (None, "")
    context = {
        "dataset": dataset,
        "definition": current_definition(dataset),
        "waiting": waiting,
        "card": mark_safe(render_body(card, tables=True)),  # noqa: S308  # HTML inside Markdown stays text
        "releases": [(release, withheld_items(release).count()) for release in releases],
        "answers": answers(dataset),
        "tokens": tokens_of(dataset),
        "now": timezone.now(),
    }
    return render(request, "exports/dataset_staff.html", context)


def _draft(request: HttpRequest, dataset: Dataset, form: DraftForm) -> bool:
    """False: the page comes back with the notes that were typed, and says why at its head, for it is long."""
    if request.POST.get("action") != "draft":
        messages.error(request, "There is no such action. Choose one of the buttons.")
        return False
    if not form.is_valid():
        messages.error(request, "Nothing was drafted. Look at the release notes.")
        return False
    try:
        release = services.draft_release(dataset=dataset, user=staff_user(request), notes=form.cleaned_data["notes"])
    except Refused as refusal:
        messages.error(request, str(refusal))
        return False
    hint(tasks.build, release.pk)
    messages.success(request, f"Release {release.version} is being built. A second person publishes it.")
    return True


@require_POST
@role_required(DATA_MANAGER)
def release_publish(request: HttpRequest, pk: int) -> HttpResponse:
    release = get_object_or_404(Release.objects.select_related("dataset"), pk=pk)
    try:
        services.publish_release(release=release, user=staff_user(request))
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"Release {release.version} is published.")
    return redirect("dataset_staff", release.dataset.slug)


@require_POST
@role_required(DATA_MANAGER)
def token_end(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(AccessToken.objects.select_related("recipient", "dataset"), pk=pk)
    if end_token(token=token, by=staff_user(request)):
        messages.success(request, f"The token of {token.recipient.name} fetches nothing any more.")
    else:
        messages.info(request, f"The token of {token.recipient.name} had ended already.")
    return redirect("dataset_staff", token.dataset.slug)


@form_page
@never_cache
@role_required(DATA_MANAGER)
def recipient_add(request: HttpRequest) -> HttpResponse:
    form = RecipientForm(request.POST or None)
    if form.is_valid():
        token = issue_recipient_token(**form.cleaned_data)
        context = {"token": token, "dataset": form.cleaned_data["dataset"], "name": form.cleaned_data["name"]}
        return render(request, "exports/token.html", context)
    return render(request, "exports/recipient_add.html", {"form": form})


@require_GET
def dataset_page(request: HttpRequest, slug: str) -> HttpResponse:
    dataset = get_object_or_404(Dataset.objects.select_related("purpose"), slug=slug)
    published = dataset.releases.filter(state=Release.State.PUBLISHED).order_by("-number")
    releases = list(published.select_related("dataset", "definition", "deviation_report"))
    context = {
        "dataset": dataset,
        "releases": [
            {"release": one, "items": one.items.count(), "gone": gone_items(one).count(), "before": before}
            for one, before in zip(releases, [*releases[1:], None], strict=False)
        ],
        "notices": Notice.objects.filter(release__dataset=dataset).select_related("release").order_by("-pk"),
    }
    return render(request, "exports/dataset.html", context)


@require_GET
def pull_program(request: HttpRequest) -> HttpResponse:
    return HttpResponse(programs.pull_program(), content_type="text/x-python; charset=utf-8")


@require_GET
def verify_program(request: HttpRequest) -> HttpResponse:
    return HttpResponse(programs.verify_program(), content_type="application/zip")
