"""The walk of one image, from signature to pulled row to withdrawal: pages, tasks, a real Label Studio, the pull."""

import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from annotation import labelstudio
from annotation import tasks as annotation_tasks
from annotation.models import Earning, LabelProject, LabelTask
from annotation.services import accept_invitation, find_invitation, invite_annotator
from annotation.terms import newest_terms
from collection import tasks as collection_tasks
from collection.models import Fingerprint, Image, ImageStatus
from consent import audit
from consent import tasks as consent_tasks
from consent.models import Consent, LedgerEntry
from consent.questions import questions_of
from exports import tasks as export_tasks
from exports.models import Release
from tests.annotation.gate import AtGateway
from tests.collection.factories import make_call
from tests.collection.pictures import jpeg, portrait, with_exif
from tests.consent.factories import PASSWORD, make_contributor, make_text, make_user
from tests.exports.factories import rows_of
from tests.label_studio import label_studio

__all__ = ("label_studio",)
ROOT = Path(__file__).resolve().parent.parent
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]


@pytest.fixture
def site(live_server, label_studio, settings):
    settings.BASE_URL = live_server.url
    settings.LABEL_STUDIO_URL = label_studio.url
    settings.LABEL_STUDIO_TOKEN = label_studio.token
    settings.LABEL_STUDIO_WEBHOOK_SECRET = uuid.uuid4().hex
    return live_server


def run(*tasks) -> None:
    for task in tasks:
        task()


def command(module: str, *words: object) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", module, *map(str, words)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def signed_form(client, text) -> dict[str, str]:
    """What the sign page's form would send with only `research` ticked."""
    form = client.get(f"/sign/{text.form.slug}/").context["form"]
    hidden = {field.html_name: field.value() or "" for field in form.hidden_fields()}
    answers = {f"question_{number}": question.right for number, question in enumerate(questions_of(text))}
    return {**hidden, **answers, "purpose_research": "on", "signer_name": "Ada Example", "agree": "on"}


def test_one_image_from_signature_to_withdrawal(site, settings, client, tmp_path):
    text = make_text(["research", "commercial"], slug="portrait")
    call = make_call(form=text.form)
    contributor = make_contributor()
    client.force_login(contributor.user)

    # 1. signature and receipt
    assert client.post("/sign/portrait/", signed_form(client, text)).status_code == 302
    consent = Consent.objects.get()
    run(consent_tasks.issue_receipts, consent_tasks.seal_ledger)
    assert client.get(f"/me/receipts/{consent.pk}.json").status_code == 200
    assert LedgerEntry.objects.filter(payload__contains='"consent.granted"').count() == 1

    # 2. upload, 3. pipeline
    photos = [SimpleUploadedFile("gps.jpg", with_exif(portrait(1, 1))), SimpleUploadedFile("2.jpg", jpeg(1, 2))]
    client.post(f"/calls/{call.slug}/upload/", {"photos": photos})
    run(collection_tasks.sweep_due)
    assert list(Image.objects.values_list("status", flat=True)) == [ImageStatus.ACCEPTED] * 2
    image = Image.objects.first()

    # 4. labels
    manager = make_user("manager@example.org", "data manager")
    client.force_login(manager)
    fields = {
        "name": "Quality",
        "purpose": "research",
        "config": (ROOT / "annotation" / "configs" / "quality.xml").read_text(),
        "overlap": 1,
        "rate": "0.10",
        "currency": "EUR",
        "budget": "10",
        "basis": "any",
        "gold_percent": 5,
    }
    page = client.post("/staff/campaigns/new/", fields)
    assert page.status_code == 302, page.context["form"].errors
    client.post(page["Location"], {"action": "start"})
    run(annotation_tasks.push_running)
    tasks = list(LabelTask.objects.filter(state=LabelTask.State.PUSHED))
    assert len(tasks) == 2
    assert httpx.get(f"{site.url}/images/{tasks[0].view_key}/").status_code == 403, "nobody was given the task yet"

    # 5. annotations and earnings; the webhook of each is a hint that the live server has noted
    invite_annotator(email="labeller@labels.test", invited_by=manager)
    token = mail.outbox[-1].body.split("/work/join/")[1].split("/")[0]
    annotator = accept_invitation(
        invitation=find_invitation(token=token),
        user=None,
        password=PASSWORD,
        terms_sha256=newest_terms().sha256,
    )
    gateway, project = AtGateway(annotator).join(), LabelProject.objects.get().external_id
    for _ in tasks:
        given = gateway.next(project).json()
        seen = gateway.client.get(given["data"]["image"].removeprefix(settings.LABELLING_URL))
        assert seen.status_code == 200
        assert b"SECRET" not in b"".join(seen.streaming_content)
        assert gateway.annotate(given["id"]).status_code == 201
    run(annotation_tasks.pull_hinted)
    assert Earning.objects.count() == 2, "the webhooks came, so hints are enough"
    run(annotation_tasks.sweep_updated)
    assert Earning.objects.count() == 2, "and the sweep pays nothing twice"

    # 6. release: drafted, built, published by a second person
    dataset = {
        "slug": "faces",
        "title": "Faces",
        "description": "Two faces.",
        "purpose": "research",
        "campaign": LabelProject.objects.get().campaign_id,
        "terms": "LicenseRef-Research",
    }
    client.post("/staff/datasets/new/", dataset)
    client.post("/staff/datasets/faces/next/", {"action": "draft"})
    run(export_tasks.build_due)
    release = Release.objects.get()
    assert release.state == Release.State.BUILT, release.last_error
    client.post(f"/staff/releases/{release.pk}/publish/")
    release.refresh_from_db()
    assert release.state == Release.State.BUILT, "who drafted it may not publish it"
    client.force_login(make_user("second@example.org", "data manager"))
    client.post(f"/staff/releases/{release.pk}/publish/")
    team = {"name": "ML team", "email": "ml@example.org", "dataset": release.dataset_id}
    page = client.post("/staff/recipients/new/", team)
    token = page.content.decode().split('id="token"')[1].split(">")[1].split("<")[0].strip()

    # 7. pull and verify with the public key alone
    key = tmp_path / "signing.pem"
    key.write_text(client.get("/keys/signing.pem").content.decode())
    pull = ("exports.pull", "faces", tmp_path / "copy", "--server", site.url, "--token", token, "--key", key)
    pulled = command(*pull)
    assert pulled.returncode == 0, pulled.stderr
    folder = tmp_path / "copy" / "faces" / "1.0.0"
    rows = rows_of(folder)
    assert {row["original_sha256"] for row in rows} == set(Image.objects.values_list("sha256", flat=True))
    verified = command("exports.verify", folder, "--key", key)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for secret in (b"SECRET", str(contributor.pk).encode(), str(consent.pk).encode(), b"Ada Example", b"example.org"):
        assert secret not in everything

    # 8. withdrawal on the web: refused at once …
    client.force_login(contributor.user)
    client.post("/me/withdraw/", {"consent": "all", "purpose": ""})
    assert not Image.objects.usable_for("research").exists()
    assert client.get(f"/me/photos/{image.pk}/thumb").status_code == 404
    assert httpx.get(f"{site.url}/images/{tasks[0].view_key}/").status_code == 410
    files = f"{site.url}/api/datasets/faces/1.0.0/files"
    authorization = {"Authorization": f"Bearer {token}"}
    record = next(folder.glob("rows/*.jsonl")).name
    assert httpx.get(f"{files}/rows/{record}", headers=authorization).status_code == 410
    # … gone after one round of sweeps …
    run(
        collection_tasks.purge_withdrawn,
        annotation_tasks.retract_withdrawn,
        export_tasks.revoke_items,
        consent_tasks.seal_ledger,
    )
    assert set(Image.objects.values_list("status", flat=True)) == {ImageStatus.PURGED}
    assert not Fingerprint.objects.exists()
    project = LabelProject.objects.get().external_id
    assert labelstudio.find_tasks(project=project, asset_ids=[task.pk for task in tasks]) == []
    assert Earning.objects.count() == 2, "what was earned stays earned"
    # … and from the pulled copy with the next pull.
    again = command(*pull)
    assert again.returncode == 0, again.stdout + again.stderr
    assert rows_of(folder) == []
    verified = command("exports.verify", folder, "--key", key)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert list(audit.problems()) == []
    assert timezone.now() < consent.expires_at
