"""The statement of one payment, as a PDF for the annotator."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings

from annotation.payout_models import Payment, PaymentChange, PaymentDetails
from consent.typesetting import typeset

DOCUMENT = Path(__file__).parent / "documents" / "statement.typ"
SHOWN = 4  # of an account's number


def render_statement(payment: Payment) -> bytes:
    """A tagged PDF (PDF/UA-1) from the payment's own rows, so that it says the same whenever it is asked for."""
    return typeset(DOCUMENT, _paper(payment))


def _paper(payment: Payment) -> dict[str, Any]:
    return {
        "title": f"Statement of payment {payment.number}",
        "payer": _payer(payment) or "Likeness",
        "currency": payment.currency,
        "payment": [[name, value] for name, value in _facts(payment).items() if value],
        "sums": [
            ["Earned up to this payment", _money(payment.earned)],
            ["Corrections up to this payment", _money(payment.adjusted)],
            ["Paid before", _money(-payment.paid_before)],
            ["This payment", _money(-payment.amount)],
            ["Stays in the balance", _money(payment.left)],
        ],
        "changes": [[f"{change.at:%Y-%m-%d}", _said(change)] for change in payment.changes.order_by("pk")],
    }


def _facts(payment: Payment) -> dict[str, str]:
    details = PaymentDetails.objects.filter(payment=payment).first()
    return {
        "Amount": f"{payment.amount} {payment.currency}",
        "From": _payer(payment),
        "To": details.name if details else "",
        "Account": f"ending in {details.iban[-SHOWN:]}" if details else "",
        "Reference": payment.pk.hex,
        "Payout run": str(payment.run_id),
    }


def _payer(payment: Payment) -> str:
    """Who paid it: as the run says, or for runs from before that was kept, the settings."""
    return str((payment.run.payer or settings.PAYER)["name"])


def _said(change: PaymentChange) -> str:
    return f"{change.get_new_display()}. {change.reason}".strip()


def _money(amount: Decimal) -> str:
    """Cents, or the four places that amounts of less than a cent need."""
    exact = amount + 0  # no minus sign before nought
    return f"{exact:.2f}" if exact == exact.quantize(Decimal("0.01")) else f"{exact:.4f}"
