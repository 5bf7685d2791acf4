"""Plain functions that make earnings, payees and payout runs for the tests of pay."""

from decimal import Decimal
from itertools import count

from django.utils import timezone

from annotation.intake import record_annotation
from annotation.models import Annotator, Campaign, Earning, LabelTask
from annotation.payout_models import Payee, PayoutRun
from annotation.payouts import adjust_pay, approve_run, give_payee, prepare_run
from consent.models import User
from tests.annotation.factories import make_annotator, make_campaign, make_user, remote

_numbers = count(1000)
IBAN, OTHER_IBAN = "IE29AIBK93115212345678", "DE89370400440532013000"
PAYER = {
    "name": "Example Foundation",
    "iban": "IE64IRCE92050112345678",
    "bic": "IRCEIE2D",
    "street": "Example Street",
    "building": "1",
    "postcode": "D01 AB12",
    "town": "Dublin",
    "country": "IE",
}


def details(**changes: str) -> dict[str, str]:
    """What somebody gives to be paid by."""
    return {
        "name": "Ada Ní Bhriain",
        "iban": IBAN,
        "bic": "",
        "street": "Sráid Éamonn",
        "building": "12a",
        "postcode": "D02 XY45",
        "town": "Dublin",
        "country": "IE",
        **changes,
    }


def make_manager() -> User:
    return make_user("", "data manager")


def earn(annotator: Annotator, amount: str = "30.00", currency: str = "EUR") -> Earning:
    """One accepted annotation that pays `amount`, recorded as Label Studio's are."""
    campaign = make_campaign(images=1, rate=Decimal(amount), currency=currency, budget=Decimal(amount) * 2)
    task = campaign.tasks.last()
    Campaign.objects.filter(pk=campaign.pk).update(reserved=campaign.task_cost)
    LabelTask.objects.filter(pk=task.pk).update(
        state=LabelTask.State.PUSHED, external_id=next(_numbers), pushed_at=timezone.now()
    )
    annotation = record_annotation(task=task, remote=remote(annotator.label_studio_user))
    return Earning.objects.get(annotation=annotation)


def make_earner(amount: str = "30.00", currency: str = "EUR", with_details: bool = True) -> Annotator:
    """An annotator who is owed `amount` and, mostly, can be paid."""
    annotator = make_annotator(next(_numbers))
    earn(annotator, amount, currency)
    if with_details:
        give_payee(annotator=annotator, details=details())
    return annotator


def give(annotator: Annotator, amount: str, currency: str = "EUR", reason: str = "Because") -> None:
    """A correction of any size: a second person agreed to it."""
    two = {"user": make_manager(), "agreed_by": make_manager()}
    adjust_pay(annotator=annotator, amount=Decimal(amount), currency=currency, reason=reason, **two)


def prepare(minimum: str = "20", currency: str = "EUR", user: User | None = None) -> PayoutRun:
    return prepare_run(currency=currency, minimum=Decimal(minimum), user=user or make_manager())


def make_run(minimum: str = "20") -> PayoutRun:
    """An approved run over whoever is owed enough."""
    run = prepare(minimum)
    approve_run(run=run, user=make_manager())
    return run


def payee_of(annotator: Annotator) -> Payee:
    return Payee.objects.get(annotator=annotator)
