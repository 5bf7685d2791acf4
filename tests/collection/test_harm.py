"""Lists of known harm: what matches is frozen at once, nobody but the duty sees it, a report is provable."""

import datetime
import hashlib
from pathlib import Path

import imagehash
import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction

from collection import erasure, fingerprints, harm_lists, harm_matches, pipeline, storage, tasks
from collection.models import Fingerprint, HarmBand, HarmHash, HarmList, HarmMatch, HarmReport, Image, ImageStatus
from collection.removals import remove_images
from consent import desk
from consent.accounts import delete_account
from consent.models import RightsRequest
from consent.refusals import Refused
from consent.roles import HARM_OFFICER, PROTECTION_OFFICER, REVIEWER
from consent.withdrawals import withdraw
from tests.collection.factories import make_image, receive
from tests.collection.pictures import encoded, jpeg, portrait
from tests.consent.factories import make_consent, make_user

pytestmark = pytest.mark.django_db
PICTURE = jpeg(31, 1)


@pytest.fixture
def officer(client):
    officer = make_user("harm@example.org", HARM_OFFICER)
    client.force_login(officer)
    return officer


def import_list(*hashes, name="Hotline"):
    return harm_lists.import_hashes(name=name, hashes=harm_lists.read_hashes(hashes))


def hashes_of(picture):
    image = make_image(picture=picture)
    return image, image.fingerprint


def flipped(value: int, bits: int, digits: int) -> str:
    """The hash with `bits` bits changed, spread over all of it."""
    step = digits * 4 // bits if bits else 1
    for number in range(bits):
        value ^= 1 << (number * step)
    return f"{value:0{digits}x}"


def frozen(image):
    return not Image.objects.with_live_basis().filter(pk=image.pk).exists()


# --- Reading and importing --------------------------------------------------------------------------


def test_a_list_is_read_and_imported_once(tmp_path, capsys):
    sha, md5, small = "ab" * 32, "cd" * 16, "0123456789abcdef"
    file = tmp_path / "list.csv"
    file.write_text(f"hash,kind\n# comment\n{sha.upper()}\n\n{md5},md5\n{small}\n{sha},phash256\n")
    for new in (4, 0):
        call_command("import_harm_list", str(file), "--name", "Hotline")
        assert f"4 hashes in list.csv, {new} of them new" in capsys.readouterr().out
    kinds = dict(HarmHash.objects.values_list("kind", "value"))
    assert kinds == {"sha256": sha, "md5": md5, "phash64": small, "phash256": sha}
    assert HarmBand.objects.count() == 4 + 16


@pytest.mark.parametrize("content", ["zz\n", "abc\n", f"{'ab' * 32},md5\n", f"{'ab' * 32}\n{'é' * 32}\n", "", "\x00\n"])
def test_a_faulty_list_is_refused_whole(tmp_path, content):
    file = tmp_path / "list.txt"
    file.write_text(content)
    with pytest.raises(CommandError, match=r"Nothing was imported|no hash"):
        call_command("import_harm_list", str(file), "--name", "Hotline")
    assert not HarmHash.objects.exists()


def test_what_is_no_file_is_said(tmp_path):
    (tmp_path / "picture.jpg").write_bytes(PICTURE)
    for name in ("picture.jpg", "nothing.csv"):
        with pytest.raises(CommandError, match="cannot be read"):
            call_command("import_harm_list", str(tmp_path / name), "--name", "Hotline")


# --- Matching ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("digest", [hashlib.sha256, hashlib.md5])
def test_a_file_on_a_list_is_frozen_before_anybody_opens_it(digest):
    import_list(digest(PICTURE).hexdigest())
    image = make_image(picture=PICTURE)
    assert frozen(image)
    assert (image.status, image.preview_key) == (ImageStatus.RECEIVED, "")
    match = HarmMatch.objects.get()
    assert (match.image, match.distance, match.request.kind) == (image, 0, "harm")
    assert match.request.contributor is None
    assert match.request.reply_to == ""
    tasks.sweep_due()
    image.refresh_from_db()
    assert image.status == ImageStatus.RECEIVED


@pytest.mark.parametrize(("digits", "bits", "held"), [(16, 0, 1), (16, 4, 1), (16, 5, 0), (64, 31, 1), (64, 33, 0)])
def test_a_picture_that_looks_like_one_on_a_list_is_frozen(digits, bits, held):
    _, own = hashes_of(jpeg(32, 1))
    value = fingerprints.unsigned(own.phash, 64) if digits == 16 else int(own.phash256, 16)
    kind = "phash64" if digits == 16 else "phash256"
    harm_lists.import_hashes(name="Hotline", hashes=[(kind, flipped(value, bits, digits))])
    image = make_image(picture=encoded(portrait(32, 1), quality=70))
    assert frozen(image) == bool(held)
    assert HarmMatch.objects.filter(image=image).count() == held
    assert not held or HarmMatch.objects.get(image=image).distance <= bits + 4


def test_every_place_of_the_changed_bits_is_found():
    _, own = hashes_of(jpeg(33, 1))
    value = fingerprints.unsigned(own.phash, 64)
    for places in ((0, 1, 2, 3), (0, 16, 32, 48), (15, 31, 47, 63), (60, 61, 62, 63)):
        changed = value
        for place in places:
            changed ^= 1 << place
        [(kind, text)] = harm_lists.read_hashes([f"{changed:016x}"])
        harm_lists.import_hashes(name=str(places), hashes=[(kind, text)])
        found = HarmHash.objects.get(value=text)
        assert harm_lists.match_picture(own)[found.pk] == 4


def test_the_mirror_image_matches_too():
    small = imagehash.phash(portrait(34, 1).convert("L").resize((256, 256)), hash_size=16)
    harm_lists.import_hashes(name="Hotline", hashes=[("phash256", str(small))])
    mirrored = portrait(34, 1).transpose(0)
    assert frozen(make_image(picture=encoded(mirrored, quality=90)))


def test_a_list_that_comes_later_is_held_against_what_is_here(monkeypatch):
    monkeypatch.setattr(harm_matches, "COMPARED_AT_ONCE", 2)
    images = [make_image(picture=jpeg(40 + number, 1)) for number in range(5)]
    guilty = [images[1], images[4]]
    import_list(hashlib.md5(jpeg(41, 1)).hexdigest(), hashlib.sha256(jpeg(44, 1)).hexdigest())
    turns = 0
    while HarmList.objects.filter(compared_at__isnull=True).exists():
        tasks.compare_harm_lists()
        turns += 1
    assert turns == 3
    assert [image for image in images if frozen(image)] == guilty
    assert {match.image for match in HarmMatch.objects.all()} == set(guilty)


def test_without_a_list_nothing_is_looked_up(django_assert_max_num_queries):
    image = receive(make_consent(), PICTURE)
    with django_assert_max_num_queries(1):
        assert harm_matches._file_matches(image, PICTURE) == {}


# --- Who sees it ------------------------------------------------------------------------------------


@pytest.fixture
def held():
    """A photograph that was opened before its list came: it has a preview that nobody must see."""
    image = make_image(picture=PICTURE)
    import_list(hashlib.sha256(PICTURE).hexdigest())
    tasks.compare_harm_lists()
    return image


def case_of(image):
    return RightsRequest.objects.get(harm_matches__image=image)


def test_only_the_special_duty_sees_the_preview(client, held):
    case = case_of(held)
    harm, desk = f"/staff/desk/harm/{case.pk}/{held.pk}/preview", f"/staff/desk/{case.pk}/{held.pk}/preview"
    everybody = {
        "officer": (make_user("", HARM_OFFICER), {harm: 200, desk: 403, f"/staff/images/{held.pk}/preview": 403}),
        "desk": (make_user("", PROTECTION_OFFICER), {harm: 403, desk: 404}),
        "reviewer": (make_user("", REVIEWER), {harm: 403, f"/staff/images/{held.pk}/preview": 404}),
        "contributor": (
            held.consent.contributor.user,
            {harm: 403, f"/me/photos/{held.pk}/thumb": 404, f"/me/photos/{held.pk}/original": 404},
        ),
    }
    for user, doors in everybody.values():
        client.force_login(user)
        assert {door: client.get(door).status_code for door in doors} == doors


def test_no_link_leads_a_harm_officer_to_a_page_that_refuses(client, held):
    for role, linked in ((HARM_OFFICER, False), (PROTECTION_OFFICER, True)):
        client.force_login(make_user("", role))
        page = client.get("/staff/desk/harm/").content.decode()
        assert ('href="/staff/desk/"' in page, client.get("/staff/desk/").status_code == 200) == (linked, linked)


def test_the_desk_is_led_to_the_case_and_cannot_decide(client, held):
    case = case_of(held)
    client.force_login(make_user("", PROTECTION_OFFICER))
    answer = client.get(f"/staff/desk/{case.pk}/")
    assert (answer.status_code, answer["Location"]) == (302, f"/staff/desk/harm/{case.pk}/")
    client.post(f"/staff/desk/{case.pk}/", {"action": "lift", "everything": "on"})
    page = client.post(f"/staff/desk/harm/{case.pk}/", {"action": "dismiss"}).content.decode()
    assert "Only somebody with the role" in page
    assert frozen(held)


def test_the_officers_are_mailed_once(held):
    make_user("dpo@example.org", PROTECTION_OFFICER)
    make_user("harm@example.org", HARM_OFFICER)
    tasks.mail_harm_alarms()
    tasks.mail_harm_alarms()
    [message] = mail.outbox
    assert message.to == ["dpo@example.org", "harm@example.org"]
    assert f"/staff/desk/harm/{case_of(held).pk}/" in message.body
    assert str(held.pk) not in message.body


def test_without_an_officer_the_mail_waits(held):
    tasks.mail_harm_alarms()
    assert mail.outbox == []
    make_user("dpo@example.org", PROTECTION_OFFICER)
    tasks.mail_harm_alarms()
    assert len(mail.outbox) == 1


# --- Deciding ---------------------------------------------------------------------------------------


def test_reported_then_erased(client, officer, held):
    case = case_of(held)
    page = f"/staff/desk/harm/{case.pk}/"
    assert hashlib.sha256(PICTURE).hexdigest() in client.get(page).content.decode()
    assert "report it first" in client.post(page, {"action": "erase"}).content.decode()
    client.post(page, {"action": "report", "authority": "Police", "reference": "4711"})
    report = HarmReport.objects.get()
    [photo] = report.facts["photographs"]
    assert (photo["image"], photo["sha256"]) == (str(held.pk), hashlib.sha256(PICTURE).hexdigest())
    assert photo["matches"][0]["list"] == "Hotline"
    client.post(page, {"action": "erase"})
    erasure.purge_withdrawn()
    held.refresh_from_db()
    assert (held.status, held.transitions.order_by("pk").last().reason) == (ImageStatus.PURGED, "harm")
    shown = client.get(page).content.decode()
    assert "4711" in shown
    assert "Reported and erased" in shown


def test_another_picture_is_let_go_and_stays_free(client, officer, held):
    client.post(f"/staff/desk/harm/{case_of(held).pk}/", {"action": "dismiss"})
    assert not frozen(held)
    HarmList.objects.update(compared_at=None, compared_through=None)
    tasks.compare_harm_lists()
    assert not frozen(held)
    other = make_image(picture=jpeg(55, 1))
    import_list(hashlib.sha256(jpeg(55, 1)).hexdigest(), name="Another list")
    tasks.compare_harm_lists()
    assert frozen(other)


def test_let_go_in_the_pipeline_it_goes_on(officer):
    import_list(hashlib.sha256(PICTURE).hexdigest())
    image = make_image(picture=PICTURE)
    harm_matches.dismiss_case(request=case_of(image), user=officer)
    Image.objects.filter(pk=image.pk).update(next_attempt_at=image.received_at)
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.ACCEPTED


def test_a_report_is_made_once_and_never_changes(officer, held):
    case = case_of(held)
    with pytest.raises(Refused, match="to whom"):
        harm_matches.report_case(request=case, authority=" ", reference="1", user=officer)
    made = harm_matches.report_case(request=case, authority="Police", reference="1", user=officer)
    assert harm_matches.report_case(request=case, authority="Police", reference="1", user=officer) == made
    with pytest.raises(Refused, match="before"):
        harm_matches.report_case(request=case, authority="Police", reference="2", user=officer)
    with pytest.raises(Refused, match="reported"):
        harm_matches.dismiss_case(request=case, user=officer)
    for row in (made, HarmMatch.objects.get()):
        with pytest.raises(DatabaseError), transaction.atomic():
            row.delete()
        with pytest.raises(DatabaseError), transaction.atomic():
            type(row).objects.update(request=case)


def test_a_copy_of_it_is_frozen_too(held):
    copy = make_image(picture=encoded(portrait(31, 1), quality=60))
    assert frozen(copy)


# --- Taken back before it is decided -----------------------------------------------------------------


TAKING_BACK = {
    "withdrawn": lambda image: withdraw(consent=image.consent),
    "removed": lambda image: remove_images(images=[image], cause="withdrawn"),
    "account": lambda image: delete_account(contributor=image.consent.contributor),
}


def original(image):
    with storage.open_original(image) as file:
        return file.read()


def swept(image):
    """Its status after every sweep that erases."""
    erasure.purge_withdrawn()
    erasure.remove_orphans(age=datetime.timedelta(0))
    image.refresh_from_db()
    return image.status


def preview(client, image):
    return client.get(f"/staff/desk/harm/{case_of(image).pk}/{image.pk}/preview").status_code


@pytest.mark.parametrize("how", TAKING_BACK)
def test_what_is_taken_back_is_kept_for_the_harm_officer_alone_until_it_is_decided(client, officer, held, how):
    other = make_image(held.consent, picture=jpeg(35, 1))
    if how == "removed":
        remove_images(images=[other], cause="withdrawn")
    TAKING_BACK[how](held)
    assert (swept(other), swept(held)) == (ImageStatus.PURGED, ImageStatus.ACCEPTED)
    assert frozen(held)
    assert original(held) == PICTURE
    assert not Fingerprint.objects.filter(image=held).exists()
    assert preview(client, held) == 200
    page = client.get(f"/staff/desk/harm/{case_of(held).pk}/").content.decode()
    assert "kept only for this case" in page
    for role in (PROTECTION_OFFICER, REVIEWER):
        client.force_login(make_user("", role))
        assert preview(client, held) == 403
    harm_matches.report_case(request=case_of(held), authority="Police", reference="1", user=officer)
    assert swept(held) == ImageStatus.ACCEPTED  # the authority may still ask for it
    [photo] = HarmReport.objects.get().facts["photographs"]
    assert photo["sha256"] == hashlib.sha256(PICTURE).hexdigest()
    assert harm_matches.erase_case(request=case_of(held), user=officer) == 1
    assert swept(held) == ImageStatus.PURGED
    assert not [key for bucket in storage.everything() for key in storage.keys_of(bucket, held.pk)]


def test_its_owner_does_not_see_it_either(client, held):
    withdraw(consent=held.consent)
    client.force_login(held.consent.contributor.user)
    doors = (f"/me/photos/{held.pk}/thumb", f"/me/photos/{held.pk}/original")
    assert [client.get(door).status_code for door in doors] == [404, 404]
    assert "harm" not in client.get("/me/photos/").content.decode()


def test_taken_back_and_another_picture_after_all_it_is_erased(officer, held):
    withdraw(consent=held.consent)
    assert swept(held) == ImageStatus.ACCEPTED
    harm_matches.dismiss_case(request=case_of(held), user=officer)
    assert swept(held) == ImageStatus.PURGED


def test_what_matches_between_the_choice_and_the_purge_is_not_erased(held):
    withdraw(consent=held.consent)
    assert not erasure.purge(held)
    assert original(held) == PICTURE


# --- Ways around --------------------------------------------------------------------------------------


def held_case():
    """An image that was there before the list, and its case."""
    image = make_image(picture=PICTURE)
    import_list(hashlib.sha256(PICTURE).hexdigest())
    harm_matches.compare_due()
    assert frozen(image)
    return image, image.harm_matches.get().request


def test_frozen_for_another_request_as_well_only_the_duty_sees_it(client):
    image, _ = held_case()
    other = desk.open_request(kind=RightsRequest.Kind.DEPICTED, details="That is me.")
    client.force_login(make_user("officer@example.org", PROTECTION_OFFICER))
    client.post(f"/staff/desk/{other.pk}/", {"action": "freeze", "freeze-images": str(image.pk)})
    assert image.freezes.filter(request=other).exists()
    assert client.get(f"/staff/desk/{other.pk}/{image.pk}/preview").status_code == 404


def test_a_copy_is_reported_with_it(officer):
    image, case = held_case()
    copy = make_image(picture=encoded(portrait(31, 1), quality=60))
    assert frozen(copy)
    harm_matches.report_case(request=case, authority="Police", reference="1", user=officer)
    reported = {photograph["image"] for photograph in HarmReport.objects.get().facts["photographs"]}
    assert reported == {str(image.pk), str(copy.pk)}


def test_a_copy_that_comes_after_the_report_gets_a_case_of_its_own(officer):
    image, case = held_case()
    harm_matches.report_case(request=case, authority="Police", reference="1", user=officer)
    copy = make_image(picture=encoded(portrait(31, 1), quality=60))
    harm_matches.erase_case(request=case, user=officer)
    erasure.purge_withdrawn()
    assert set(Image.objects.filter(status=ImageStatus.PURGED)) == {image}
    case.refresh_from_db()
    later = RightsRequest.objects.exclude(pk=case.pk).get(kind=RightsRequest.Kind.HARM)
    assert (case.answered_at is None, later.answered_at is None) == (False, True)
    assert set(harm_matches.held_for(later)) == {copy}
    assert frozen(copy)
    harm_matches.report_case(request=later, authority="Police", reference="2", user=officer)
    assert harm_matches.erase_case(request=later, user=officer) == 1


def test_a_damaged_photograph_hides_no_other():
    bad, good = sorted((make_image(picture=jpeg(1, 1)), make_image(picture=PICTURE)), key=lambda image: image.pk)
    with storage.open_original(good) as file:
        md5 = hashlib.md5(file.read()).hexdigest()
    damaged = Path(storage.originals().path(bad.original_key))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    import_list(md5)
    harm_matches.compare_due()
    assert frozen(good)
