"""Drafts: texts that are still being written. Publishing a draft leaves it as it is, for the next version."""

from typing import Any

from consent.models import ConsentForm, FormDraft, FormText, User
from consent.refusals import Refused
from consent.starters import add_starter_purposes, starters
from consent.texts import NEEDED, known_purposes, missing_statements, publish_text
from consent.versions import parse_version

STATEMENTS = (*NEEDED, "questions")


def start_draft(*, user: User) -> FormDraft:
    """An empty draft of a form that still needs a name."""
    return FormDraft.objects.create(
        slug="new-form", name="New form", version="1.0.0", jurisdiction="", retention_days=0, saved_by=user
    )


def start_from_starter(*, key: str, user: User) -> FormDraft:
    """A draft with the words of a starter such as `research.de`; its purposes are added if they are not there."""
    starter = next((one for one in starters() if one.key == key), None)
    if starter is None:
        raise Refused(f"There is no starter called {key}. Choose one of the list.")
    add_starter_purposes(codes=starter.purposes)
    draft = FormDraft.objects.create(version="1.0.0", language=starter.language, saved_by=user, **starter.says)
    draft.purposes.set(known_purposes(starter.purposes))
    return draft


def start_from_text(*, text: FormText, language: str, user: User) -> FormDraft:
    """A draft of the next version of a published text; in another language, of the same version: a translation."""
    version = text.version if language != text.language else _next_minor(text)
    said = {name: getattr(text, name) for name in STATEMENTS}
    if language != text.language:
        said["questions"] = []  # the standard ones come in the other language
    draft = FormDraft.objects.create(
        slug=text.form.slug, name=text.form.name, version=version, language=language, saved_by=user, **said
    )
    draft.purposes.set(text.purposes.filter(end__isnull=True))
    return draft


def _next_minor(text: FormText) -> str:
    try:
        major, minor, _ = parse_version(text.version)
    except Refused:  # older texts have versions of any form
        return f"{text.major + 1}.0.0"
    return f"{major}.{minor + 1}.0"


def statements_of(draft: FormDraft) -> dict[str, Any]:
    """What a draft says, as texts.publish_text takes it."""
    named = {name: getattr(draft, name) for name in ("slug", "name", "version", "language", *STATEMENTS)}
    return {**named, "purposes": [purpose.pk for purpose in draft.purposes.all()]}


def still_missing(draft: FormDraft) -> list[str]:
    """What a draft has to say before it may be published, in words."""
    said = statements_of(draft)
    return [*missing_statements(said["purposes"], said), *([] if draft.version else ["a version, such as 1.0.0"])]


def publish_draft(*, draft: FormDraft) -> FormText:
    """Publish what a draft says; the draft stays. Refused as texts.publish_text refuses."""
    if not draft.version:
        raise Refused("Give this text a version first, such as 1.0.0.")
    existing = ConsentForm.objects.filter(slug=draft.slug).first()
    if existing is not None and existing.name != draft.name:
        raise Refused(
            f"There is already a form {draft.slug}, called “{existing.name}”. Use that name, or another short name."
        )
    return publish_text(**statements_of(draft))


def discard_draft(*, draft: FormDraft) -> None:
    """Throw a draft away. What was published from it stays."""
    draft.delete()
