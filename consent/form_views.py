"""The pages of data managers about what people are asked: purposes, form texts, drafts, previews, differences."""

from typing import Any

from django.contrib import messages
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from consent import comparing, drafts, texts
from consent.form_forms import CompareForm, DraftForm, PurposeForm, StartForm, TextForm, WordingForm
from consent.mailing import absolute
from consent.models import ConsentForm, FormDraft, FormText, Purpose
from consent.notice import render_notice
from consent.pages import form_page
from consent.questions import questions_of
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, PROTECTION_OFFICER, role_required, staff_user
from consent.texts import offered_purposes, wording
from consent.words import words

# --- Purposes ------------------------------------------------------------------------------------


@form_page
@role_required(DATA_MANAGER)
def purpose_add(request: HttpRequest) -> HttpResponse:
    form = PurposeForm(request.POST or None)
    if form.is_valid():
        try:
            purpose = texts.add_purpose(**form.cleaned_data)
            messages.success(request, f"Added the purpose {purpose.name}.")
            return redirect("staff")
        except Refused as refused:
            form.add_error(None, str(refused))
    purposes = Purpose.objects.prefetch_related("wordings").select_related("end").order_by("code")
    return render(request, "consent/purpose_add.html", {"form": form, "purposes": purposes})


@form_page
@role_required(DATA_MANAGER)
def purpose_words(request: HttpRequest, code: str) -> HttpResponse:
    """Say a purpose in another language."""
    purpose = get_object_or_404(Purpose, pk=code)
    form = WordingForm(request.POST or None)
    if form.is_valid():
        try:
            said = texts.add_wording(purpose=purpose, **form.cleaned_data)
            messages.success(request, f"Added the words of {purpose.name} ({said.language}).")
            return redirect("purpose_words", code)
        except Refused as refused:
            form.add_error(None, str(refused))
    wordings = purpose.wordings.order_by("language", "-added_at", "-pk")
    return render(request, "consent/purpose_words.html", {"form": form, "purpose": purpose, "wordings": wordings})


# --- Texts ---------------------------------------------------------------------------------------


@require_GET
@role_required(DATA_MANAGER, PROTECTION_OFFICER)
def form_list(request: HttpRequest) -> HttpResponse:
    """Every form with its versions, and the drafts."""
    forms = [(form, _rows(form)) for form in ConsentForm.objects.order_by("name")]
    published = FormText.objects.filter(form__slug=OuterRef("slug"), version=OuterRef("version"))
    found = FormDraft.objects.select_related("saved_by").order_by("-saved_at")
    found = found.annotate(published=Exists(published.filter(language=OuterRef("language"))))
    return render(request, "consent/forms.html", {"forms": forms, "drafts": found})


def _rows(form: ConsentForm) -> list[tuple[FormText, str]]:
    """The texts of a form, newest first, each with where it stands."""
    current, major = {text.pk for text in form.current_texts()}, form.current_major()
    published = form.texts.prefetch_related("purposes").order_by("-major", "-published_at")
    return [(text, _state(text, current, major)) for text in published]


def _state(text: FormText, current: set[int], major: int) -> str:
    if text.pk in current:
        return "current"
    return "replaced" if text.major == major else "asked_again"


@form_page
@role_required(DATA_MANAGER)
def form_publish(request: HttpRequest) -> HttpResponse:
    """Publish a text in one step, without a draft."""
    form = TextForm(request.POST or None)
    if form.is_valid():
        try:
            _say_published(request, texts.publish_text(**form.statements()))
            return redirect("staff")
        except Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "consent/form_publish.html", {"form": form})


def _say_published(request: HttpRequest, text: FormText) -> None:
    messages.success(request, f"Published {text}. People sign it at {absolute('sign', text.form.slug)}")


@require_GET
@role_required(DATA_MANAGER, PROTECTION_OFFICER)
def text_page(request: HttpRequest, text_id: int) -> HttpResponse:
    """A published text as signers see it."""
    text = get_object_or_404(FormText.objects.select_related("form"), pk=text_id)
    context = {"text": text, "html": text.html, "asked": [said for _, said in offered_purposes(text)]}
    context |= {"questions": questions_of(text), "says": words(text.language).sign}
    return render(request, "consent/text.html", context)


# --- Drafts --------------------------------------------------------------------------------------


@form_page
@role_required(DATA_MANAGER)
def draft_start(request: HttpRequest) -> HttpResponse:
    form = StartForm(request.POST or None, initial=request.GET.dict())
    if form.is_valid():
        try:
            return redirect("draft", _start(request, **form.cleaned_data).pk)
        except Refused as refused:
            form.add_error(None, str(refused))
    return render(request, "consent/draft_start.html", {"form": form})


def _start(request: HttpRequest, start: str, language: str) -> FormDraft:
    kind, _, key = start.partition("-")
    user = staff_user(request)
    if kind == "starter":
        return drafts.start_from_starter(key=key, user=user)
    if kind == "text":
        return drafts.start_from_text(text=FormText.objects.get(pk=key), language=language, user=user)
    return drafts.start_draft(user=user)


@form_page
@role_required(DATA_MANAGER)
def draft(request: HttpRequest, draft_id: int) -> HttpResponse:
    """Write on; what is still missing stands on the page."""
    found = get_object_or_404(FormDraft, pk=draft_id)
    form = DraftForm(request.POST or None, instance=found)
    if form.is_valid():
        form.instance.saved_by = staff_user(request)
        form.save()
        messages.success(request, "Saved.")
        return redirect("draft", draft_id)
    found = FormDraft.objects.get(pk=draft_id)  # a form writes what it refused into its instance
    others = FormText.objects.filter(form__slug=found.slug).order_by("-major", "-published_at")
    context = {"form": form, "draft": found, "missing": drafts.still_missing(found), "others": others}
    return render(request, "consent/draft.html", context)


@require_GET
@role_required(DATA_MANAGER, PROTECTION_OFFICER)
def draft_preview(request: HttpRequest, draft_id: int) -> HttpResponse:
    """A draft exactly as a signer will see it; nothing on it can be sent."""
    found = get_object_or_404(FormDraft, pk=draft_id)
    purposes = list(found.purposes.order_by("code"))
    context: dict[str, Any] = {
        "text": found,
        "draft": found,
        "html": render_notice(found, purposes),
        "asked": [wording(purpose, found.language) for purpose in purposes],
        "questions": questions_of(found),
        "says": words(found.language).sign,
    }
    return render(request, "consent/text.html", context)


@form_page
@role_required(DATA_MANAGER)
def draft_publish(request: HttpRequest, draft_id: int) -> HttpResponse:
    """Say what publishing means, then do it."""
    found = get_object_or_404(FormDraft, pk=draft_id)
    missing = drafts.still_missing(found)
    refusal = ""
    again = 0
    try:
        if request.method == "POST":
            _say_published(request, drafts.publish_draft(draft=found))
            return redirect("forms")
        again = 0 if missing else texts.asked_again(slug=found.slug, version=found.version)
    except Refused as refused:
        refusal = str(refused)
    context = {"draft": found, "missing": missing, "refusal": refusal, "again": again}
    return render(request, "consent/draft_publish.html", context)


@require_POST
@role_required(DATA_MANAGER)
def draft_discard(request: HttpRequest, draft_id: int) -> HttpResponse:
    drafts.discard_draft(draft=get_object_or_404(FormDraft, pk=draft_id))
    messages.success(request, "The draft is gone. Nothing that was published has changed.")
    return redirect("forms")


# --- Differences ---------------------------------------------------------------------------------


@require_GET
@role_required(DATA_MANAGER, PROTECTION_OFFICER)
def form_compare(request: HttpRequest) -> HttpResponse:
    """Two texts or drafts beside each other: ?old=text-3&new=draft-5. Without them, a page to choose two."""
    if not request.GET:
        return render(request, "consent/form_compare.html", {"form": CompareForm()})
    old, new = _document(request.GET.get("old", "")), _document(request.GET.get("new", ""))
    differing, same = comparing.differences(old, new)
    material = any(difference.material for difference in differing)
    context = {"old": old, "new": new, "differing": differing, "same": same, "material": material}
    context["two_forms"] = _slug(old) != _slug(new)
    return render(request, "consent/form_compare.html", context)


def _slug(document: FormText | FormDraft) -> str:
    return document.slug if isinstance(document, FormDraft) else document.form.slug


def _document(name: str) -> FormText | FormDraft:
    """`text-3` or `draft-5`."""
    kind, _, key = name.partition("-")
    if not key.isdecimal() or len(key) > 18:
        raise Http404("There is no such text.")
    if kind == "draft":
        return get_object_or_404(FormDraft, pk=key)
    return get_object_or_404(FormText.objects.select_related("form"), pk=key)
