"""Choices that are colours: each is shown with its colour beside its words."""

from collections.abc import Mapping
from typing import Any

from django import forms


class SwatchSelect(forms.RadioSelect):
    """Radio buttons with the colour of each value, `#rrggbb`, beside its label; some may have none."""

    option_template_name = "consent/swatch_option.html"

    def __init__(self, colours: Mapping[str, str]) -> None:
        super().__init__()
        self.colours = colours

    def create_option(self, name: str, value: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *arguments, **options)
        return {**option, "colour": self.colours.get(str(value), "")}
