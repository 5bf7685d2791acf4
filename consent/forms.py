"""The forms of people who take part. They check what was typed; services decide what is allowed."""

from django import forms

from consent.countries import COUNTRIES


class AboutForm(forms.Form):
    date_of_birth = forms.DateField(
        label="Your date of birth",
        help_text="Only adults may take part. We keep it as proof that you are one.",
        widget=forms.DateInput(attrs={"type": "date", "autocomplete": "bday"}),
    )
    country = forms.ChoiceField(
        label="The country you live in",
        help_text="It decides from which age you may sign for yourself.",
        choices=[("", "Choose…"), *COUNTRIES.items()],
    )
