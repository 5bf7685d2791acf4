"""The preview that staff pages show. (Reviews, calls and libraries have views of their own.)"""

import uuid

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET

from collection.models import Image
from collection.views import preview_response
from consent.roles import REVIEWER, role_required


@require_GET
@role_required(REVIEWER)
def staff_preview(request: HttpRequest, image_id: uuid.UUID) -> HttpResponseBase:
    return preview_response(Image.objects.with_live_basis().filter(pk=image_id).first())
