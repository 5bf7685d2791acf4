"""What the collection rests on and what it cost: every figure against images that were counted by hand."""

import datetime
from decimal import Decimal

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from collection import holdings, licensed
from collection.models import Freeze, Image
from consent.models import PurposeEnd, RightsRequest
from consent.withdrawals import withdraw
from tests.collection.factories import make_image
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent, make_contributor, make_licence, make_text, make_user
from tests.exports.factories import make_image as make_row

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)
ADDRESS = "/staff/holdings/"


def today():
    return timezone.now().date()


@pytest.fixture
def stock():
    """Three images on consents under two forms (one withdrawn), five on two licences, one turned down, one held."""
    faces, hands = (make_text(("research", "product"), slug=name, name=name.title()) for name in ("faces", "hands"))
    for _ in range(2):
        make_row(make_consent(make_contributor(), ("research",), text=faces))
    gone = make_row(make_consent(make_contributor(), ("research", "product"), text=hands))
    withdraw(consent=gone.consent)
    flat = make_licence(title="Flat", ends=today() + 20 * DAY, price=Decimal("100.00"), volume_cap=10)
    each = make_licence(
        ("research", "product"), title="Each", price=Decimal("2.50"), price_basis="per_image", ends=today() + 80 * DAY
    )
    for _ in range(3):
        make_row(licence=flat)
    make_row(licence=each)
    make_row(licence=each, status="rejected")
    held = make_row(licence=each)
    request = RightsRequest.objects.create(kind="depicted", due_at=timezone.now() + 30 * DAY)
    Freeze.objects.create(image=held, request=request)
    return flat, each


def rows(found):
    return {row.name: (row.kind, row.total, row.accepted, row.usable) for row in found.rows}


def test_the_share_of_each_basis(stock):
    found = holdings.take_stock()
    assert rows(found) == {
        "Faces": ("consent", 2, 2, 2),
        "Hands": ("consent", 1, 1, 0),
        "Flat": ("licence", 3, 3, 3),
        "Each": ("licence", 3, 2, 1),
    }
    assert (found.total, found.accepted, found.usable) == (9, 8, 6)
    shares = [(share.part, share.whole, share.percent) for share in found.shares()]
    assert shares == [(2, 6, "33.3 %"), (4, 6, "66.7 %"), (0, 4, "0.0 %")]
    assert sum(share.part for _, share in found.by_basis()) == found.usable


def test_each_purpose_by_kind_of_basis(stock):
    def counts():
        return {row.purpose.pk: (row.by_consent, row.by_licence) for row in holdings.take_stock().purposes}

    assert counts() == {"research": (2, 4), "product": (0, 1)}
    PurposeEnd.objects.create(purpose_id="product", reason="The product is gone.")
    assert counts() == {"research": (2, 4), "product": (0, 0)}


def test_what_it_cost_for_each_usable_image(stock):
    costs = {row.licence.title: (row.used, row.usable, row.cost, row.per_usable) for row in holdings.licence_rows()}
    assert costs == {
        "Flat": (3, 3, Decimal("100.00"), Decimal("33.33")),
        "Each": (2, 1, Decimal("5.00"), Decimal("5.00")),
    }


def test_currencies_are_never_mixed(stock):
    make_licence(title="Yen", price=Decimal(9000), currency="JPY")
    over = make_licence(
        title="Past", starts=today() - 9 * DAY, ends=today() - DAY, price=Decimal("0.10"), price_basis="flat"
    )
    make_row(licence=over)
    sums = {one.currency: (one.cost, one.usable, one.per_usable) for one in holdings.take_stock().spent()}
    assert sums == {"EUR": (Decimal("105.10"), 4, Decimal("26.28")), "JPY": (Decimal("9000.00"), 0, None)}


def test_what_ends_soon(stock):
    assert holdings.take_stock().ending == [(30, 0, 3), (90, 0, 4)]


def test_a_consent_that_runs_out_is_among_what_ends_soon():
    text = make_text(retention_days=60)
    make_row(make_consent(make_contributor(), text=text))
    assert holdings.take_stock().ending == [(30, 0, 0), (90, 1, 0)]


def test_the_share_with_a_model_release_of_its_own():
    licence = make_licence()
    for number in range(4):
        parcel = licensed.store_parcel(
            licence=licence,
            external_id=f"{number}.jpg",
            subject=f"person {number}",
            file=ContentFile(jpeg(number, number)),
            release=ContentFile(b"signed", name="r.pdf") if number == 0 else None,
        )
        licensed.take_in(licence=licence, parcels=[parcel])
    ready = {"status": "accepted", "clean_key": "a/b", "clean_sha256": "0" * 64, "width": 9, "height": 9}
    Image.objects.update(**ready)
    assert holdings.take_stock().shares()[2].percent == "25.0 %"


def test_the_number_of_queries_does_not_grow_with_the_images(stock, django_assert_num_queries):
    with django_assert_num_queries(14):
        holdings.take_stock()
    for _ in range(20):
        make_row(licence=stock[0])
    with django_assert_num_queries(14):
        holdings.take_stock()


def test_nothing_yet(client):
    client.force_login(make_user("", "data manager"))
    html = client.get(ADDRESS).content.decode()
    assert "0 of 0 accepted images" in html
    assert "No licence has been recorded yet" in html


def test_who_may_see_the_pages(client, stock):
    assert client.get(ADDRESS).url.startswith("/accounts/login/")
    for number, (role, status) in enumerate(
        [("reviewer", 200), ("data manager", 200), ("data-protection officer", 200), ("fairness analyst", 403)]
    ):
        client.force_login(make_user(f"{number}@example.org", role))
        assert client.get(ADDRESS).status_code == status
        assert client.get("/staff/licences/").status_code == status
        assert (ADDRESS in client.get("/staff/").content.decode()) == (status == 200)


def test_the_page_says_it_in_words_and_numbers(client, stock):
    client.force_login(make_user("", "data-protection officer"))
    html = client.get(ADDRESS).content.decode()
    for words in (
        "6 of 8 accepted images may be used now", "66.7 %", "Within 30 days: 0 images on consents and 3 on licences",
        "105.00", "33.33 EUR", "3 of 10", "in force, ends in 20 days", "“Flat” ends in 20 days",
    ):  # fmt: skip
        assert words in html
    assert "style=" not in html


def test_the_list_of_licences_says_used_so_much_of_how_much(client, stock):
    client.force_login(make_user("", "reviewer"))
    html = client.get("/staff/licences/").content.decode()
    for words in ("used 3 of 10; 3 may be used now", "used 2 of any number", "2.50 EUR for each image", "5.00 EUR"):
        assert words in html


def test_the_review_page_says_whether_the_image_has_a_release_of_its_own(client):
    image = make_image(licence=make_licence(title="Bought faces"))
    client.force_login(make_user("", "reviewer"))
    html = client.get(f"/staff/review/{image.pk}/").content.decode()
    assert "Licensed: Bought faces" in html
    assert "The licensor holds the model release" in html
