"""My data: download everything, ask for what a page cannot do, and see the answers."""

import uuid
from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from consent import desk
from consent.models import Contributor, RightsRequest
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import contributor_required
from exports.portability import archive
from exports.rights_forms import CorrectionForm, ObjectionForm, OnceForm, OtherForm

SERVED = "You downloaded everything yourself on the page My data."


@dataclass(frozen=True)
class Question:
    """Something to ask for on a page of its own. `kind` is empty if the form asks for it."""

    title: str
    lead: str
    form: type[CorrectionForm | ObjectionForm | OtherForm]
    kind: str = ""


QUESTIONS = {
    "correct": Question(
        "Correct my data",
        "Tell us what is wrong and what is right. We mend it and write to you.",
        CorrectionForm,
        RightsRequest.Kind.RECTIFICATION,
    ),
    "object": Question(
        "Object",
        "You may object to a use of your data because of your situation. To end a permission at once and without a "
        "reason, use Withdraw instead.",
        ObjectionForm,
        RightsRequest.Kind.OBJECTION,
    ),
    "ask": Question(
        "Ask for something else", "A person reads it and answers by mail and on the page My data.", OtherForm
    ),
}


@require_GET
@never_cache
@contributor_required
def my_data(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    asked = RightsRequest.objects.filter(contributor=contributor).order_by("-received_at")
    context = {"asked": asked, "form": OnceForm(), "questions": QUESTIONS}
    return render(request, "exports/my_data.html", context)


@require_POST
@never_cache
@contributor_required
def my_data_download(request: HttpRequest, contributor: Contributor) -> HttpResponse | StreamingHttpResponse:
    """The zip, at once; the register of requests says that and when it was given."""
    form = OnceForm(request.POST)
    reference: uuid.UUID | None = form.cleaned_data["reference"] if form.is_valid() else None
    try:
        desk.record_served(kind=RightsRequest.Kind.ACCESS, contributor=contributor, answer=SERVED, reference=reference)
    except Refused as refused:
        messages.error(request, str(refused))
        return redirect("my_data")
    answer = StreamingHttpResponse(archive(contributor), content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="my-data-{timezone.now():%Y-%m-%d}.zip"'
    answer["Cache-Control"] = "no-store"
    return answer


@form_page
@never_cache
@contributor_required
def my_data_ask(request: HttpRequest, contributor: Contributor, question: str) -> HttpResponse:
    asked = QUESTIONS.get(question)
    if asked is None:
        raise Http404
    form = asked.form(request.POST or None)
    if form.is_valid():
        try:
            kind = asked.kind or form.cleaned_data["kind"]
            opened = desk.open_request(
                kind=kind,
                contributor=contributor,
                details=form.details(),
                reference=form.cleaned_data["reference"],
            )
            messages.success(request, f"We have your request. You have our answer by {opened.due_at:%-d %B %Y}.")
            return redirect("my_data")
        except Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "exports/my_data_ask.html", {"asked": asked, "form": form})
