"""The editor of targets with its script, by keyboard alone."""

import pytest

from collection.models import Target
from tests.collection.factories import make_call
from tests.consent.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_groups_are_added_and_removed_by_keyboard(phone, live_server, client):
    call = make_call(slug="daylight")
    Target.objects.create(call=call, gender="man", people=9)
    client.force_login(make_user("", "data manager"))
    session = client.cookies["likeness_session"].value
    phone.context.add_cookies([{"name": "likeness_session", "value": session, "url": live_server.url}])
    phone.goto("/staff/calls/daylight/edit/")
    assert phone.locator("[data-row]:visible").count() == 2
    phone.locator("[data-row] button").first.press("Enter")
    assert phone.locator("[data-row]:visible").count() == 1
    phone.get_by_role("button", name="Add a group").press("Enter")
    row = phone.get_by_role("group", name="Group 2")
    assert phone.evaluate("document.activeElement.name") == "targets-2-gender"
    phone.keyboard.type("Woman")
    row.get_by_label("People").fill("12")
    row.get_by_label("People").press("Enter")
    phone.wait_for_url("**/staff/calls/daylight/")
    assert list(Target.objects.values_list("gender", "people")) == [("woman", 12)]
