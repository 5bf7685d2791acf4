"""Who takes part in the demo, and the words they use. All invented."""

import secrets
from dataclasses import dataclass, field

NAMES = (
    "Aoife Byrne", "Bruno Keller", "Chioma Eze", "Dmitri Volkov", "Elena Rossi", "Farid Haddad",
    "Greta Lindholm", "Hiro Tanaka", "Ines Carvalho", "Jonas Weber", "Kavita Rao", "Lucas Moreau",
)  # fmt: skip
COUNTRIES = ("IE", "DE", "NL", "PL", "IT", "FR", "SE", "ES", "PT", "AT", "BE", "FR")
PURPOSES = {
    "research": ("Research on faces", "Teams study how well computer programs treat different faces."),
    "product": ("Better products", "Our own programs that find faces in photographs learn from yours."),
    "publication": ("Examples in publications", "Your photograph may be printed as an example, without your name."),
}
# Each contributor chooses for themselves; seven of twelve choose research.
CHOICES = (
    ("research", "product", "publication"), ("research",), ("research", "product"), ("product",),
    ("research",), ("research", "publication"), ("product",), ("publication",),
    ("research", "product"), ("research",), ("product", "publication"), ("publication",),
)  # fmt: skip
WITHDRAWS = 2  # the contributor who changes her mind; one of her photographs also exists as a recompressed copy
MINOR = "Mika Seventeen"
SIGNED_UP_ONLY = "Noor Undecided"  # makes an account, never signs, and so cannot upload

# What somebody who has read the text answers, by words of the right answer.
UNDERSTOOD = ("at any time", "only what I want", "no longer used")

FORM_TEXT = """\
# Photographs of your face for research

**Who we are.** Likeness Demo Ltd., 1 Sample Street, Dublin, collects these photographs and answers for them.

**What we collect.** The photographs that you upload, your name, your e-mail address, your date of birth, your country.
Where and when a photograph was taken is removed from it before anybody looks at it.

**What for.** Only for the purposes that you tick below. You may tick one, some or none.

**Who sees them.** Paid annotators, who never learn your name; teams that train and test programs, and see
a number, not you.

**How long.** Two years from today, or until you change your mind. You can do that at any time, on your own page, with
one click and without a reason. Your photographs then leave our storage, the labelling tool and every dataset.

**Your rights.** You may see, correct, move or delete what we hold about you, and complain to the
Data Protection Commission.
"""
FORM = {
    "slug": "faces",
    "name": "Photographs of faces",
    "version": "1.0.0",
    "language": "en",
    "title": "Photographs of your face for research",
    "summary": "You give us photographs of yourself. You choose what for. You can take them back at any time.",
    "body": FORM_TEXT,
    "controller_name": "Likeness Demo Ltd.",
    "controller_address": "1 Sample Street, Dublin, Ireland",
    "contact": "privacy@likeness.example",
    "data_categories": "pd:Picture\npd:EmailAddress\npd:DateOfBirth",
    "recipients": "Annotators under contract\nTeams that train and test programs",
    "transfers": "None outside the European Economic Area.",
    "storage_locations": "IE",
    "retention_days": "730",
    "complaint_body": "Data Protection Commission, Ireland",
    "jurisdiction": "IE",
}
CALL = {
    "slug": "portraits",
    "title": "Portraits in everyday light",
    "description": "One person, you. **Indoors and outdoors**, in the light that is there.",
    "dpia_reference": "DPIA-2026-01",
}
LICENCE = {
    "licensor": "Sample Pictures Agency",
    "title": "Studio portraits",
    "terms": "LicenseRef-Sample-Agency-1",
    "territory": "WORLD",
    "price": "400.00",
    "currency": "EUR",
}
CAMPAIGN = {"name": "Light and place", "overlap": "3", "rate": "0.1200", "currency": "EUR", "budget": "100.00"}
DATASET = {
    "slug": "faces-in-everyday-light",
    "title": "Faces in everyday light",
    "description": "Portraits with ratings of the light, the kind of place, and a box around the face.",
    "terms": "LicenseRef-Likeness-Research",
}
SECOND_DATASET = {
    "slug": "faces-for-products",
    "title": "Faces for products",
    "description": "The portraits that may be used for products, without labels.",
    "terms": "LicenseRef-Likeness-Product",
}


@dataclass
class Person:
    """Somebody with an account here."""

    name: str
    domain: str
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))

    @property
    def email(self) -> str:
        return f"{self.name.lower().replace(' ', '.')}@{self.domain}"


def contributors() -> list[Person]:
    return [Person(name, "contributors.example") for name in NAMES]


STAFF_PASSWORD = secrets.token_urlsafe(12)
REVIEWER = Person("Rita Reviewer", "likeness.example", STAFF_PASSWORD)
MANAGER = Person("Dan Manager", "likeness.example", STAFF_PASSWORD)
SECOND_MANAGER = Person("Sara Second", "likeness.example", STAFF_PASSWORD)
OFFICER = Person("Dora Officer", "likeness.example", STAFF_PASSWORD)
ANALYST = Person("Amir Analyst", "likeness.example", STAFF_PASSWORD)
HARM_OFFICER = Person("Hana Harm", "likeness.example", STAFF_PASSWORD)
STAFF = {
    "reviewer": [REVIEWER],
    "data manager": [MANAGER, SECOND_MANAGER],
    "data-protection officer": [OFFICER],
    "fairness analyst": [ANALYST],
    "harm officer": [HARM_OFFICER],
}
ANNOTATORS = [Person(name, "annotators.example") for name in ("Tom Marker", "Uma Marker", "Vic Marker")]
ENGINEER = Person("Wanda Engineer", "ml.example")
