"""Pages about pay: runs and corrections for data managers, bank details and statements for annotators."""

import uuid
from collections.abc import Collection
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, OuterRef, Sum
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation import payouts, proposals
from annotation.access import annotator_of
from annotation.balances import Balance, balances
from annotation.bank_files import Writer, write_csv, write_pain001
from annotation.models import Annotation, Annotator, MoneySum
from annotation.payout_forms import AdjustForm, DecideForm, OutcomeForm, PayeeForm, PrepareForm, ReasonForm
from annotation.payout_models import RETURNED, Payee, Payment, PaymentState, PayoutRun
from annotation.proposal_models import Proposal, ProposalDecision
from annotation.statements import render_statement
from consent.models import User
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, role_required, staff_user, user_required

SECOND = "This takes a second person. It waits on the page “Changes that take two”, and counts once somebody agrees."
DECIDED_DAYS = 30
# File name's end, content type and writer of each file for the bank.
FILES: dict[str, tuple[str, str, Writer]] = {
    "pain001": ("xml", "application/xml", write_pain001),
    "csv": ("csv", "text/csv; charset=utf-8", write_csv),
}


# --- Runs ----------------------------------------------------------------------------------------


@form_page
@role_required(DATA_MANAGER)
def payout_runs(request: HttpRequest) -> HttpResponse:
    form = PrepareForm(request.POST or None)
    if form.is_valid() and (run := _prepare(request, form)):
        return redirect("payout_run", run.pk)
    runs = PayoutRun.objects.select_related("prepared_by", "approved_by").order_by("-pk")
    waiting = Exists(Payment.objects.in_state(PaymentState.PREPARED).filter(run=OuterRef("pk")))
    runs = runs.annotate(people=Count("payments"), total=MoneySum("payments__amount"), waiting=waiting)
    facts = {"form": form, "runs": runs, "owed": _owed(), "proposals": proposals.waiting().count()}
    return render(request, "annotation/payout_runs.html", facts)


def _prepare(request: HttpRequest, form: PrepareForm) -> PayoutRun | None:
    try:
        return payouts.prepare_run(**form.cleaned_data, user=staff_user(request))
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return None


def _owed() -> list[tuple[str, Any, int]]:
    """Currency, sum and people of all that is owed now."""
    totals: dict[str, list[Any]] = {}
    for (_, currency), balance in balances().items():
        if balance.total > 0:
            totals.setdefault(currency, []).append(balance.total)
    return [(currency, sum(amounts), len(amounts)) for currency, amounts in totals.items()]


@form_page
@role_required(DATA_MANAGER)
def payout_run(request: HttpRequest, pk: int) -> HttpResponse:
    run = get_object_or_404(PayoutRun.objects.select_related("prepared_by", "approved_by"), pk=pk)
    form = ReasonForm(request.POST if request.POST.get("action") == "discard" else None)
    if request.method == "POST" and _act(request, run, form):
        return redirect("payout_run", pk)
    payments = run.payments.with_state().select_related("annotator__user", "details").order_by("-amount", "pk")
    facts = {
        "run": run,
        "payments": payments,
        "total": payments.aggregate(total=MoneySum("amount"))["total"],
        "states": {payment.state for payment in payments},
        "left_out": run.left_out.select_related("annotator__user").order_by("-balance", "pk"),
        "form": form,
        "own": run.prepared_by_id == staff_user(request).pk,
    }
    return render(request, "annotation/payout_run.html", facts)


def _act(request: HttpRequest, run: PayoutRun, form: ReasonForm) -> bool:
    """Do what a button of the page asks; False when the form is to be shown again."""
    action, user = request.POST.get("action"), staff_user(request)
    if action == "discard" and not form.is_valid():
        return False
    try:
        if action == "approve":
            payouts.approve_run(run=run, user=user)
            messages.success(request, "The run is approved. Download its file and give it to the bank.")
        elif action == "settle":
            settled = payouts.settle_run(run=run, user=user)
            messages.success(request, f"{settled} payment{' is' if settled == 1 else 's are'} settled.")
        elif action == "discard":
            payouts.discard_run(run=run, reason=form.cleaned_data["reason"], user=user)
            messages.success(request, "The run is discarded. Everything is in the balances again.")
    except Refused as refusal:
        messages.error(request, str(refusal))
    return True


@require_GET
@role_required(DATA_MANAGER)
def payout_file(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    run = get_object_or_404(PayoutRun, pk=pk)
    if kind not in FILES:
        raise Http404("There is no such file.")
    end, content_type, write = FILES[kind]
    try:
        order = payouts.bank_order(run=run)
    except Refused as refusal:
        return HttpResponse(str(refusal), status=409, content_type="text/plain; charset=utf-8")
    return _file(write(order), f"{order.reference.lower()}.{end}", content_type)


def _file(data: bytes, name: str, content_type: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(data, content_type=content_type, headers=headers)


# --- One payment, one annotator ------------------------------------------------------------------


@form_page
@role_required(DATA_MANAGER)
def payment(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Payment.objects.with_state().select_related("run", "annotator__user", "details"), pk=pk)
    form = OutcomeForm(request.POST or None, state=found.state)
    if form.is_valid() and _record(request, found, form):
        return redirect("payout_run", found.run_id)
    changes = found.changes.select_related("made_by").order_by("pk")
    facts = {
        "payment": found,
        "changes": changes,
        "form": form,
        "proposed": proposals.waiting().filter(payment=found).first(),
    }
    return render(request, "annotation/payment.html", facts)


def _record(request: HttpRequest, found: Payment, form: OutcomeForm) -> bool:
    """What the bank paid is written down at once; what it did not pay, once a second person agrees."""
    returned = form.cleaned_data["new"] in RETURNED
    record = proposals.propose_return if returned else payouts.record_outcome
    try:
        record(payment=found, **form.cleaned_data, user=staff_user(request))
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return False
    messages.success(request, SECOND if returned else "It is written down.")
    return True


@form_page
@role_required(DATA_MANAGER)
def annotator_pay(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    annotator = get_object_or_404(Annotator.objects.select_related("user"), pk=pk)
    form = AdjustForm(request.POST or None)
    if form.is_valid() and _adjust(request, annotator, form):
        return redirect("annotator_pay", pk)
    return render(request, "annotation/annotator_pay.html", {"form": form, **pay_facts(annotator)})


def _adjust(request: HttpRequest, annotator: Annotator, form: Form) -> bool:
    amount, currency = form.cleaned_data["amount"], form.cleaned_data["currency"]
    large = payouts.takes_two(annotator=annotator, amount=amount, currency=currency)
    adjust = proposals.propose_adjustment if large else payouts.adjust_pay
    try:
        adjust(annotator=annotator, **form.cleaned_data, user=staff_user(request))
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return False
    messages.success(request, SECOND if large else "The correction is in the balance, and the annotator sees it.")
    return True


@form_page
@role_required(DATA_MANAGER)
def pay_proposals(request: HttpRequest) -> HttpResponse:
    """What waits for a second person, and what was decided lately."""
    if request.method == "POST":
        _decide(request)
        return redirect("pay_proposals")
    about = ("annotator__user", "payment", "made_by")
    user = staff_user(request)
    decided = proposals.decided_lately(DECIDED_DAYS).select_related("made_by", "proposal__made_by", "proposal__payment")
    rows = list(proposals.waiting().select_related(*about))
    owed = _balances([one.annotator for one in rows])
    waiting = [(one, _barred(one, user), owed[one.annotator_id]) for one in rows]
    return render(request, "annotation/pay_proposals.html", {"waiting": waiting, "decided": decided})


def _barred(proposal: Proposal, user: User) -> str:
    """Why somebody may not decide it; "" when they may."""
    try:
        proposals.refuse_first_person(proposal, user)
    except Refused as refusal:
        return str(refusal)
    return ""


def _decide(request: HttpRequest) -> None:
    form = DecideForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Agree or decline to one of those that wait.")
        return
    try:
        proposals.decide_proposal(**form.cleaned_data, user=staff_user(request))
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        agreed = form.cleaned_data["outcome"] == ProposalDecision.Outcome.AGREED
        messages.success(request, "It counts from now on." if agreed else "Declined. Nothing changes.")


# --- For annotators ------------------------------------------------------------------------------


def pay_facts(annotator: Annotator) -> dict[str, Any]:
    """What the pages say of one annotator's pay."""
    return {
        "annotator": annotator,
        "balances": _balances([annotator])[annotator.pk],
        "payee": Payee.objects.filter(annotator=annotator).first(),
        "payments": annotator.payments.with_state().prefetch_related("changes").order_by("-number", "currency"),
        "adjustments": annotator.adjustments.order_by("-made_at", "-pk"),
        "worked": _worked(annotator),
    }


def _balances(annotators: Collection[Annotator]) -> dict[uuid.UUID, list[tuple[str, Balance]]]:
    """By annotator, in each currency."""
    owed: dict[uuid.UUID, list[tuple[str, Balance]]] = {annotator.pk: [] for annotator in annotators}
    for (annotator, currency), balance in balances(annotators=annotators).items():
        owed[annotator].append((currency, balance))
    return owed


def _worked(annotator: Annotator) -> str:
    """How long annotating took by Label Studio's clock in the browser; of an annotation that was edited, in all."""
    newer = Annotation.objects.filter(unique_id=OuterRef("unique_id"), version__gt=OuterRef("version"))
    seconds = annotator.annotations.filter(~Exists(newer)).aggregate(total=Sum("lead_seconds"))["total"]
    hours, minutes = divmod(round((seconds or 0) / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else ""


def own_annotator(user: User) -> Annotator:
    """Who the person that is signed in is as an annotator; 403 for everybody else."""
    found = annotator_of(user)
    if found is None:
        raise PermissionDenied("This page is for annotators. Ask a data manager for an invitation.")
    return found


@form_page
@never_cache
@user_required
def payee(request: HttpRequest, user: User) -> HttpResponse:
    """Where an annotator wants to be paid."""
    annotator = own_annotator(user)
    if request.POST.get("action") == "remove":
        payouts.remove_payee(annotator=annotator)
        messages.success(request, "Your bank details are deleted. You are paid once you give some again.")
        return redirect("payee")
    known = Payee.objects.filter(annotator=annotator).first()
    form = PayeeForm(request.POST or None, instance=known)
    if form.is_valid():
        payouts.give_payee(annotator=annotator, details=form.cleaned_data)
        messages.success(request, "Your bank details are saved.")
        return redirect("work")
    return render(request, "annotation/payee.html", {"form": form, "known": known})


@require_GET
@never_cache
@user_required
def statement(request: HttpRequest, user: User, pk: uuid.UUID) -> HttpResponse:
    """An annotator's own payment as a PDF."""
    found = get_object_or_404(Payment, pk=pk, annotator__user=user)
    return _file(render_statement(found), f"statement-{found.number}-{found.currency}.pdf", "application/pdf")
