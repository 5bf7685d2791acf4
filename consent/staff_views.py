"""The index of the staff pages. (Form texts and purposes: consent.form_views, licences: consent.licence_views.)"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from consent import licence_warnings
from consent.roles import (
    DATA_MANAGER,
    FAIRNESS_ANALYST,
    HARM_OFFICER,
    PROTECTION_OFFICER,
    REVIEWER,
    ROLES,
    has_role,
    role_required,
)


@require_GET
@role_required(*ROLES)
def staff(request: HttpRequest) -> HttpResponse:
    may = {
        "review": has_role(request.user, REVIEWER),
        "manage": has_role(request.user, DATA_MANAGER),
        "protect": has_role(request.user, PROTECTION_OFFICER),
    }
    may["licences"] = any(may.values())
    may["harm"] = has_role(request.user, HARM_OFFICER)
    may["fairness"] = has_role(request.user, FAIRNESS_ANALYST)
    notices = licence_warnings.notices() if may["licences"] else []
    return render(request, "consent/staff.html", {"may": may, "notices": notices})
