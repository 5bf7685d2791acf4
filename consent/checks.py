"""System checks: settings that must be there, and the declaration of personal data on every model."""

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

from consent.keys import master_key, signing_key

OUR_APPS = ("consent", "collection", "annotation", "exports")


@register(Tags.security)
def secret_key_is_set(**kwargs: Any) -> list[CheckMessage]:
    """SECRET_KEY has no default, so that no installation runs with a known one."""
    try:
        found = bool(settings.SECRET_KEY)
    except ImproperlyConfigured:
        found = False
    hint = "Set the environment variable SECRET_KEY to a long random text and keep it secret."
    return [] if found else [Error("SECRET_KEY is not set.", hint=hint, id="consent.E001")]


@register(Tags.security, deploy=True)
def signing_key_is_there(**kwargs: Any) -> list[CheckMessage]:
    """Without it no receipt, checkpoint or release can be signed."""
    try:
        signing_key()
    except (ValueError, OSError) as error:
        return [Error(f"The signing key cannot be used: {error}", id="consent.E002")]
    return []


@register(Tags.security, deploy=True)
def master_key_is_there(**kwargs: Any) -> list[CheckMessage]:
    """Without it no photograph can be stored or opened."""
    try:
        master_key()
    except (ValueError, OSError) as error:
        return [Error(f"The master key cannot be used: {error}", id="consent.E005")]
    return []


@register(Tags.models)
def personal_data_is_declared(**kwargs: Any) -> list[CheckMessage]:
    """Every model of ours says in PERSONAL_DATA which of its fields hold personal data, and why."""
    models = (
        model for label in OUR_APPS if apps.is_installed(label) for model in apps.get_app_config(label).get_models()
    )
    return list(undeclared(models))


def undeclared(models: Iterable[type[Model]]) -> Iterable[CheckMessage]:
    """An error for each model that does not declare its personal data, or declares what is not a field."""
    for model in models:
        declared = vars(model).get("PERSONAL_DATA")
        if declared is None:
            hint = "Add PERSONAL_DATA: {field: reason}, empty if it holds none."
            yield Error(
                f"{model.__name__} does not say what personal data it holds.", hint=hint, obj=model, id="consent.E003"
            )
            continue
        unknown = set(declared) - {field.name for field in model._meta.get_fields()}
        for name in sorted(unknown):
            yield Error(
                f"{model.__name__}.PERSONAL_DATA names {name}, which is no field.", obj=model, id="consent.E004"
            )
