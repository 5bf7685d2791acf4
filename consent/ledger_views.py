"""What anybody may ask the ledger: its newest checkpoint, and proofs (RFC 6962) that it only ever grows."""

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from consent import keys, ledger
from consent.models import Checkpoint, LedgerEntry
from consent.signing import public_pem

LARGEST = 2**53  # what every reader of JSON still takes for a whole number


@require_GET
def public_key(request: HttpRequest) -> HttpResponse:
    return HttpResponse(public_pem(keys.public_key()), "application/x-pem-file")


@require_GET
@never_cache
def checkpoint(request: HttpRequest) -> HttpResponse:
    head = ledger.latest_checkpoint()
    if head is None:
        raise Http404("The ledger has not been sealed yet.")
    return HttpResponse(head.note, "text/plain; charset=utf-8")


@require_GET
@never_cache
def consistency(request: HttpRequest) -> HttpResponse:
    """?from=M&to=N (tree sizes): {"from": M, "to": N, "proof": [hex, …]} as in RFC 6962 section 2.1.2."""
    first, second = _size(request, "from"), _size(request, "to")
    if first is None or second is None:
        return _refuse("Ask with two tree sizes: ?from=100&to=200.")
    try:
        proof = ledger.consistency(first, second)
    except ValueError as error:
        return _refuse(f"{error}.")
    return JsonResponse({"from": first, "to": second, "proof": proof})


@require_GET
@never_cache
def inclusion(request: HttpRequest) -> HttpResponse:
    """?leaf=HEX&size=N (leaf hash, size of a checkpoint): {"index": int, "proof": [hex, nearest sibling first]}."""
    size, leaf = _size(request, "size"), request.GET.get("leaf", "").lower()
    if size is None or len(leaf) != 64 or set(leaf) - set("0123456789abcdef"):
        return _refuse("Ask with a leaf hash of 64 hex digits and the size of a checkpoint: ?leaf=…&size=200.")
    head = Checkpoint.objects.filter(tree_size=size).first()
    entry = LedgerEntry.objects.filter(leaf__leaf_hash=leaf, leaf__index__lt=size).first()
    if head is None or entry is None:
        return _refuse("There is no such leaf under a checkpoint of that size.", status=404)
    [told] = ledger.inclusion([entry], head)
    return JsonResponse({"index": told["index"], "proof": told["proof"]})


def _size(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 17 else 0
    return number if 0 < number < LARGEST else None


def _refuse(words: str, status: int = 400) -> JsonResponse:
    return JsonResponse({"detail": words[0].upper() + words[1:]}, status=status)
