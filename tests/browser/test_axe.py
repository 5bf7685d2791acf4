"""axe finds nothing to complain of on any page, at phone and at desktop width; no page is wider than its screen, and
the way around is never cut off.

Every address of ours is either in PAGES or named in NOT_PAGES: a new page cannot be forgotten.
"""

import datetime
import uuid
from pathlib import Path
from typing import Any, cast

import axe_playwright_python
import pytest
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page

from annotation import terms
from annotation.about_annotators import save_answers
from annotation.disputes import dispute_annotation
from annotation.handouts import hand_out
from annotation.intake import record_annotation
from annotation.models import Campaign, LabelProject
from annotation.proposals import propose_return
from collection import claims, harm_lists, harm_matches
from collection.models import Image, ImageStatus, LibraryImport, Resemblance, Target
from consent import desk, ledger
from consent.models import FormDraft, User
from consent.roles import ROLES
from consent.withdrawals import withdraw
from exports.deviation_actions import add_action
from exports.deviation_reports import report_quarter
from exports.gate_exceptions import write_exception
from tests.annotation.factories import good_result, make_campaign, make_pushed_task, rating, remote
from tests.annotation.payout_factories import PAYER, earn, give, make_earner, make_run, prepare
from tests.annotation.test_getting_in import make_groups
from tests.annotation.test_training import make_trained
from tests.browser.conftest import DESKTOP, PHONE
from tests.collection import monk
from tests.collection.factories import make_call
from tests.collection.factories import make_image as make_checked_image
from tests.collection.pictures import encoded, portrait
from tests.consent.factories import make_consent, make_contributor, make_licence, make_text, make_user, text_fields
from tests.exports.factories import (
    make_built,
    make_labelled_dataset,
    make_manager,
    make_published,
    make_rated_dataset,
)

pytestmark = pytest.mark.django_db(transaction=True)
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
CUT = "box => getComputedStyle(box).overflow !== 'visible' && box.scrollHeight > box.clientHeight + 1"
OURS = ("consent.urls", "collection.urls", "annotation.urls", "exports.urls")

# Who looks at which pages. The words after the colon name the ids that `furnish` made for an address.
PAGES = {
    "anybody": [
        "home", "calls", "call:slug", "openness", "verify", "depicted", "depicted_received:request_id",
        "certificate:act", "dataset:dataset", "release:dataset,version", "release_balance:dataset,version",
        "release_difference:dataset,next_version,version", "api",
        "account_login", "account_signup", "account_reset_password",
    ],
    "contributor": [
        "me", "photos", "photos_erased", "withdraw", "sign:form_slug", "upload:slug", "my_data", "my_data_ask:asking",
        "about_me", "account_delete", "account_logout", "mfa_index", "photo_faces:crowded",
    ],
    "newcomer": ["about"],
    "annotator": [
        "work", "payee", "dispute:refused", "work_terms", "work_languages", "work_about", "work_training:training",
    ],
    "staff": [
        "staff", "forms", "form_publish", "form_compare", "text_page:text_id", "draft_start", "draft:draft_id",
        "draft_preview:draft_id", "draft_publish:draft_id", "purpose_add", "purpose_words:code", "purpose_end:code",
        "licences", "licence_add", "review_queue", "review_list:queue", "review_image:held", "review_image:mine",
        "review_times", "desk", "desk_request:request_id", "call_add", "call_list", "call_progress:slug",
        "call_edit:slug",
        "holdings", "library_import", "library_run:run", "records", "campaign_add", "campaign:campaign", "annotators",
        "annotator_pay:payable", "pay_proposals", "payout_runs", "payout_run:payout_run", "payout_run:prepared_run",
        "payment:payment", "quality:campaign", "label_review:campaign,task", "costs",
        "disputes", "dispute_decide:disputed", "work_terms_publish", "training_add:campaign", "group_labels:grouped",
        "datasets",
        "dataset_add", "dataset_staff:dataset", "dataset_next:dataset", "dataset_define:dataset",
        "recipient_add", "fairness", "review_faces:crowded", "screening",
        "harm_cases", "harm_case:case", "deviation_reports", "deviation_report:held_back", "deviation_report:quarter",
        "exception_write:draft_release", "action_add:held_back", "action_done:action",
    ],
}  # fmt: skip
NOT_PAGES = {
    # files and machine-readable answers
    "receipt_json", "receipt_pdf", "public_key", "checkpoint", "consistency", "inclusion", "licence_evidence",
    "photo_original", "photo_thumb", "staff_preview", "desk_preview", "harm_preview", "review_full",
    "review_times_csv", "model_release", "certificate_json", "library_report",
    "deviation_report_json", "deviation_report_pdf",
    "pull_program", "verify_program", "api_schema", "records_json", "release_datacite", "label_studio_webhook",
    "task_image",
    "my_data_download",
    "about_me_delete",
    "payout_file", "statement",
    "upload_bytes", "upload_arrived", "uploads_create", "uploads_sign", "label_photograph",
    # only ever posted to
    "work_about_delete",
    "exception_sign", "exception_drop",
    "photos_remove", "kept_erase", "draft_discard", "release_publish", "review_start", "review_take",
    "review_leave", "review_beat", "review_undo", "library_cancel", "call_close", "token_end",
    # shown once by a mailed link, which is used up
    "work_join",
}  # fmt: skip


def furnish() -> dict[str, object]:
    """An installation with something of everything; what addresses need of it."""
    dataset = make_labelled_dataset(people=3, each=1)
    version, next_version = make_published(dataset).version, make_published(dataset).version
    draft_release = make_built(make_rated_dataset({"2": 5, "9": 4}, people=5, each=4))
    write_exception(release=draft_release, user=make_manager(), reason="It was dark.", owner="Data lead")
    held_back, tomorrow = draft_release.deviation_report, timezone.now().date() + datetime.timedelta(days=1)
    action = add_action(report=held_back, user=make_manager(), what="Ask again.", owner="Data lead", due_on=tomorrow)
    quarter = report_quarter(today=tomorrow + datetime.timedelta(days=100))
    assert quarter is not None
    text = make_text(["research", "product"], slug="faces")
    call = make_call(form=text.form, slug="portraits")
    for asks in (
        {"people": 60, "photographs": 10},
        {"gender": "woman", "age_band": "60+", "country": "IE", "people": 9},
    ):
        Target.objects.create(call=call, **asks)
    person = make_contributor(make_user("ada@example.org"))
    consent = make_consent(person, ["research"], text=text)
    for _ in range(2):
        make_checked_image(consent)
    make_checked_image(consent, picture=encoded(portrait(9, 9).convert("L").point(lambda _: 8)))  # too dark
    held = Image.objects.filter(consent=consent).first()
    assert held is not None
    held_copy = make_checked_image(make_consent(), picture=None)
    Image.objects.filter(pk=held_copy.pk).update(status=ImageStatus.NEEDS_REVIEW)
    mine = make_checked_image(make_consent(), picture=None)
    Image.objects.filter(pk=mine.pk).update(status=ImageStatus.NEEDS_REVIEW)
    Resemblance.objects.create(image=mine, original=held_copy, kind="mirrored", distance=3)
    crowded = make_checked_image(consent, picture=encoded(monk.portrait(5, people=2)))
    known = make_checked_image(make_consent())
    harm_lists.import_hashes(name="Hotline", hashes=[("sha256", known.sha256)])
    harm_matches.compare_due()
    act = withdraw(consent=make_consent(person, ["research"], text=make_text(slug="other"))).act
    words = f"That is me: {64 * 'a'}"
    request = desk.open_request(kind="depicted", name="Somebody", email="somebody@example.org", details=words)
    run = LibraryImport.objects.create(licence=make_licence())
    draft = FormDraft.objects.create(**{**text_fields(slug="new"), "version": "", "recipients": []})
    ledger.seal()
    make_user("newcomer@example.org")
    annotator = make_earner("32.1234")
    give(annotator, "-2", reason="One label was paid twice")
    make_earner("50", with_details=False)
    paid = make_run().payments.get()
    earn(annotator)
    prepared = prepare()
    propose_return(payment=paid, new="failed", reason="The account is closed", user=make_manager())
    task = make_pushed_task(make_campaign(images=1, sample_size=1))
    refused, disputed = (
        record_annotation(task=task, remote=remote(annotator.label_studio_user, result=[rating(stars)]))
        for stars in (8, 9)
    )
    dispute_annotation(annotation=disputed, annotator=annotator, words="It is all as was asked.")
    campaign = Campaign.objects.first()
    assert campaign is not None
    _, training, tasks = make_trained()
    LabelProject.objects.create(campaign=training.campaign, external_id=1)
    for task, stars in zip(tasks, (5, 1, 5), strict=False):
        hand_out(annotator, task=task)
        told = remote(annotator.label_studio_user, result=good_result(stars))
        record_annotation(task=task, remote=told)
    save_answers(annotator=annotator, region="europe")
    terms.publish_terms(body=terms.OURS.read_text(), user=make_manager())
    return {
        "training": training.pk, "grouped": make_groups(europe=6, asia=5).pk,
        "slug": call.slug, "form_slug": "faces", "act": act, "dataset": dataset.slug, "text_id": text.pk,
        "draft_id": draft.pk, "code": "research", "held": held_copy.pk, "request_id": request.pk,
        "queue": "held", "mine": mine.pk, "campaign": campaign.pk, "asking": "object", "annotator": annotator.user,
        "payable": annotator.pk, "payout_run": paid.run_id, "prepared_run": prepared.pk, "payment": paid.pk,
        "task": campaign.tasks.filter(earnings__isnull=False).first().pk, "crowded": crowded.pk, "run": run.pk,
        "refused": refused.pk, "disputed": disputed.pk,
        "version": version, "next_version": next_version, "draft_release": draft_release.pk,
        "held_back": held_back.pk, "action": action.pk, "quarter": quarter.pk,
        "case": known.harm_matches.get().request_id,
    }  # fmt: skip


def test_every_page_is_listed():
    listed = {name.split(":")[0] for names in PAGES.values() for name in names}
    ours = set()
    for part in get_resolver().url_patterns:
        if getattr(getattr(part, "urlconf_module", None), "__name__", "") in OURS:
            ours |= {p.name for p in part.url_patterns if isinstance(p, URLPattern) and p.name}
    assert ours - listed - NOT_PAGES == set()
    assert {name for name in listed if not name.startswith(("account_", "mfa_"))} <= ours | {"account_delete"}


@pytest.mark.parametrize("who", PAGES)
def test_axe_finds_nothing(browser, live_server, client, settings, who):
    settings.PAYER = PAYER
    furnished = furnish()
    context = browser.new_context(viewport=PHONE, base_url=live_server.url)
    sign_in(client, context, live_server.url, who, furnished)
    page = context.new_page()
    found = [line for name in PAGES[who] for line in complaints(page, address_of(name, furnished))]
    context.close()
    assert found == [], "\n" + "\n".join(found)


def sign_in(client, context: BrowserContext, url: str, who: str, furnished: dict[str, object]) -> None:
    people = {
        "contributor": lambda: User.objects.get(email="ada@example.org"),
        "newcomer": lambda: User.objects.get(email="newcomer@example.org"),
        "annotator": lambda: furnished["annotator"],
        "staff": lambda: make_user("", *ROLES),
    }
    if who in people:
        person = people[who]()
        client.force_login(person)
        if who == "staff":
            claims.take_case(image_id=cast(uuid.UUID, furnished["mine"]), reviewer=person)
        context.add_cookies(
            [{"name": "likeness_session", "value": client.cookies["likeness_session"].value, "url": url}]
        )


def address_of(entry: str, furnished: dict[str, object]) -> str:
    name, _, words = entry.partition(":")
    return reverse(name, args=[furnished[word] for word in words.split(",")] if words else [])


def complaints(page: Page, address: str) -> list[str]:
    """What axe says of one page at both widths, and how much wider than the screen it is."""
    found = []
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, (address, answer.status)
        page.evaluate(AXE)
        result = page.evaluate("rules => axe.run(document, rules)", RULES)
        found += [f"{address} at {size['width']}: {told(bad)}" for bad in result["violations"]]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            found.append(f"{address} at {size['width']}: {wide} pixels wider than the screen")
        if page.evaluate("[...document.querySelectorAll('header, header *')].some(CUT)".replace("CUT", CUT)):
            found.append(f"{address} at {size['width']}: the way around is cut off")
    return found


def told(bad: dict[str, Any]) -> str:
    """One violation in words, with the first elements that it is about."""
    return f"{bad['id']}: {bad['help']}: {[node['html'][:120] for node in bad['nodes'][:3]]}"
