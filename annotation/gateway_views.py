"""The gateway as pages: the address that annotators label at (LABELLING_URL) shows Label Studio through the table."""

import json
import logging
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.views.decorators.csrf import csrf_exempt

from annotation import gateway_calls, labelstudio
from annotation.access import Held
from annotation.accounts import account_of, forget_account
from annotation.config import is_storable
from annotation.gateway import Allow, Does, Refuse, decide, tidied
from annotation.labelstudio import Account, LabelStudioError
from annotation.models import Annotator
from annotation.signed_in import annotator_at
from consent.refusals import Refused

logger = logging.getLogger(__name__)
AWAY = "Label Studio cannot be reached right now. Please try again in a few minutes."
# What Label Studio's page is made of. It may speak to nobody but us.
PAGE_POLICY = {
    "default-src": [SELF],
    "script-src": [SELF, UNSAFE_INLINE, UNSAFE_EVAL, "blob:"],
    "style-src": [SELF, UNSAFE_INLINE],
    "img-src": [SELF, "data:", "blob:"],
    "font-src": [SELF, "data:"],
    "connect-src": [SELF, "blob:", "data:"],
    "worker-src": [SELF, "blob:"],
    "object-src": [NONE],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [NONE],
}


@csrf_exempt
@csp(PAGE_POLICY)
def label_studio(request: HttpRequest) -> HttpResponseBase:
    """Whatever a browser asks of Label Studio.

    Without Django's CSRF token, which its page does not know; the Origin of everything that changes something is ours.
    """
    try:
        return _answer(request, request.path_info)
    except Refused as refusal:
        about = (request.method, request.path_info, _who(request), str(refusal))
        logger.warning("refused %s %.200r to %s: %.300r", *about)
        return _no(request, str(refusal))
    except gateway_calls.AccountGone as error:
        logger.warning("%s", error)
        if annotator := annotator_at(request):
            forget_account(annotator=annotator)
        return _no(request, f"Label Studio does not know your account any more. Begin again at {_own_page()}.")
    except LabelStudioError as error:
        logger.warning("%s", error)
        return _in_words(502, AWAY)


def _own_page() -> str:
    return f"{settings.BASE_URL}/work/"


def _answer(request: HttpRequest, path: str) -> HttpResponseBase:
    method = request.method or ""
    verdict = decide(method=method, path=path, query=request.META["QUERY_STRING"])
    if isinstance(verdict, Refuse):
        raise Refused(verdict.reason)
    does = verdict.rule.does
    annotator = annotator_at(request)
    if does == Does.LEAD_HOME or (annotator is None and does == Does.PAGE):
        return redirect(_own_page())
    if annotator is None:
        raise Refused(f"Sign in as an annotator at {_own_page()} first.")
    if method != "GET" and request.headers.get("Origin") != settings.LABELLING_URL:
        raise Refused("Only the labelling page itself may send answers.")
    held = gateway_calls.check_ids(annotator=annotator, ids=verdict.ids)
    if does == Does.CARRY:
        return _carry(request, path)
    if does == Does.FIXED:
        return _kept_by_nobody(JsonResponse(verdict.rule.fixed(verdict.ids), safe=False))
    return _kept_by_nobody(_in_their_name(request, path, verdict, annotator, held))


def _kept_by_nobody(response: HttpResponse) -> HttpResponse:
    """Whatever is shown to one annotator stays in no cache, and whatever is withdrawn is asked for again."""
    response["Cache-Control"] = "no-store"
    return response


def _in_their_name(
    request: HttpRequest, path: str, allowed: Allow, annotator: Annotator, held: Held | None
) -> HttpResponse:
    account = account_of(annotator)
    if account is None:
        raise Refused(f"Begin at your own page, {_own_page()}, which signs you in to Label Studio.")
    if allowed.rule.does == Does.PAGE:
        return _page(account, f"{path}?{request.META['QUERY_STRING']}")
    body = _body(request) if request.body else None
    answer = gateway_calls.ask(annotator=annotator, account=account, allowed=allowed, held=held, path=path, body=body)
    if answer.json is None:
        return HttpResponse(status=answer.status)
    return JsonResponse(answer.json, status=answer.status, safe=False)


def _page(account: Account, path: str) -> HttpResponse:
    return HttpResponse(tidied(labelstudio.fetch_page(account=account, path=path)))


def _body(request: HttpRequest) -> Any:
    if request.content_type != "application/json":
        raise Refused("Answers are sent as JSON.")
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise Refused("This is not JSON.") from None
    if not is_storable(body):  # nor could it be sent on
        raise Refused("This holds characters, numbers or nesting that cannot be kept.")
    return body


def _carry(request: HttpRequest, path: str) -> StreamingHttpResponse:
    headers = {name.lower(): value for name, value in request.headers.items()}
    stream = gateway_calls.fetch_file(path=path, query=request.META["QUERY_STRING"], headers=headers)
    return StreamingHttpResponse(stream, status=stream.status, headers=stream.headers)


def carrier(request: HttpRequest) -> HttpResponse:
    """For nginx (deploy/labelling.conf.template): who carries the call that it was asked for, Label Studio or we.

    It tells nothing else, and no secret: in somebody's name only we ask.
    """
    path, _, query = request.headers.get("X-Original-URI", "").partition("?")
    verdict = decide(method=request.headers.get("X-Original-Method", ""), path=path, query=query)
    plain = isinstance(verdict, Allow) and verdict.rule.does == Does.CARRY and annotator_at(request) is not None
    return HttpResponse(status=204, headers={"X-Gateway-Carrier": "label_studio" if plain else "likeness"})


def _who(request: HttpRequest) -> str:
    annotator = annotator_at(request)
    return str(annotator) if annotator else "somebody who is no annotator"


def _no(request: HttpRequest, sentence: str) -> HttpResponse:
    """403 with a sentence, which Label Studio's page shows to whoever labels, and what they filled in stays there. Of
    any other answer it says no more than that the annotation was not saved; see docs/decisions/0041."""
    if not request.path_info.startswith("/api/"):
        return _in_words(403, sentence)
    told = {"detail": sentence, "display_context": {"reason": "PAUSED"}}
    return JsonResponse(told, status=403, json_dumps_params={"ensure_ascii": False})


def _in_words(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _in_words(404, "There is nothing at this address.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _in_words(400, "This cannot be read, or is too large.")
