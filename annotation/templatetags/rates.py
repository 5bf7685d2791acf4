"""How pages write what one annotation pays."""

from decimal import Decimal

from django import template

register = template.Library()


@register.filter
def rate(amount: Decimal) -> str:
    """Two decimals, up to four where the rate has them: 0.12, 0.125, 0.0375."""
    whole, _, decimals = f"{amount:.4f}".partition(".")
    return f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"
