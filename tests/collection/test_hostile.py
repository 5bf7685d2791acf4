"""Every hostile file ends in its reason, in the pipeline and at the door; the decoder answers as decoding does."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from collection import decoder, decoding, imaging, models, pipeline
from collection.models import ImageStatus
from collection.reasons import REASONS, describe
from consent.refusals import Refused
from tests.collection import hostile, pictures
from tests.collection.factories import make_call, receive
from tests.consent.factories import make_consent

FILES = list(hostile.every())
NAMES = [name for name, _, _ in FILES]


def outcome(work, data: bytes) -> str:
    try:
        work(data)
    except imaging.BadImage as bad:
        return bad.reason
    return hostile.OPENS


def test_there_are_enough_of_them():
    assert len(set(NAMES)) == len(NAMES) >= 100
    assert {wanted for _, _, wanted in FILES} - {hostile.OPENS} <= set(REASONS)


@pytest.mark.parametrize(("name", "data", "wanted"), FILES, ids=NAMES)
def test_it_ends_in_its_reason(name, data, wanted):
    assert outcome(imaging.open_safely, data) == wanted
    assert outcome(decoding.decode, data) == wanted  # what the decoder gave up makes no difference


@pytest.mark.django_db
def test_the_pipeline_says_the_reason_and_goes_on():
    consent = make_consent()
    call = make_call(form=consent.text.form, max_per_person=1000)
    for name, data, wanted in FILES:
        if wanted == "not_an_image":
            with pytest.raises(Refused, match="not a picture"):
                receive(consent, data, call=call)
            continue
        image = receive(consent, data, call=call)
        pipeline.advance(image.pk)
        image.refresh_from_db()
        reason = image.transitions.order_by("pk").last().reason
        if wanted == hostile.OPENS:
            assert image.clean_key, name
            assert image.attempts == 0
        else:
            assert (name, image.status, reason) == (name, ImageStatus.REJECTED, wanted)


@pytest.mark.django_db
def test_the_upload_page_answers_whatever_is_sent(client):
    consent = make_consent()
    call = make_call(form=consent.text.form, max_per_person=1000)
    client.force_login(consent.contributor.user)
    files = [SimpleUploadedFile("portrait.jpg", data, "image/jpeg") for _, data, _ in FILES if len(data) < 100_000]
    assert len(files) > 60
    for start in range(0, len(files), 50):
        sent = {"photos": files[start : start + 50]}
        answer = client.post(f"/calls/{call.slug}/upload/", sent, headers={"Accept": "application/json"})
        assert answer.status_code == 200
        assert all(one["message"].endswith(".") for one in answer.json()["files"])


# --- The decoder itself --------------------------------------------------------------------------


def limits(seconds: float = 20.0, megabytes: int = 1536) -> decoder.Limits:
    return decoder.Limits(seconds=seconds, megabytes=megabytes)


@pytest.fixture
def one():
    one = decoder.Decoder(limits())
    yield one
    one.kill()


def status(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def test_it_inherits_no_secret_and_can_open_nothing(one):
    assert Path(f"/proc/{one.pid}/environ").read_bytes() == b""
    assert len(os.listdir(f"/proc/{one.pid}/fd")) == 3
    limits = Path(f"/proc/{one.pid}/limits").read_text()
    assert re.search(r"Max open files +3 +3 ", limits)
    assert re.search(r"Max file size +0 +0 ", limits)
    assert re.search(r"Max address space +1610612736 +1610612736 ", limits)
    assert status(one.pid)["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        assert status(one.pid)["Uid"].split() == ["65534"] * 4


def test_one_decoder_opens_many_files():
    decoder._idle.end()  # the ones that other tests have made large
    imaging.open_safely(pictures.jpeg())
    [first] = {one.pid for one in decoder._idle.waiting}
    with pytest.raises(imaging.BadImage):
        imaging.open_safely(pictures.jpeg()[:-4000])
    imaging.open_safely(pictures.jpeg())
    assert {one.pid for one in decoder._idle.waiting} == {first}


def test_a_decoder_that_hangs_is_killed_and_the_file_turned_down(settings):
    settings.DECODER_SECONDS = 0.02  # nobody decodes so fast
    with pytest.raises(imaging.BadImage, match="no answer after") as caught:
        imaging.open_safely(slow())
    assert caught.value.reason == "too_demanding"
    settings.DECODER_SECONDS = 20.0
    assert imaging.open_safely(pictures.jpeg()).extension == "jpg"


def slow() -> bytes:
    return pictures.encoded(pictures.portrait(1, 1, (640, 800)).resize((4000, 5000)), "PNG", compress_level=1)


def test_processor_time_is_limited_too():
    one = decoder.Decoder(limits(seconds=2.0))
    os.kill(one.pid, signal.SIGXCPU)  # what the kernel sends when it is used up
    with pytest.raises(decoder.Lost, match=f"ended with {-signal.SIGXCPU}"):
        one.ask(pictures.jpeg())
    assert not one.is_alive()


def test_each_file_gets_its_own_processor_time(one):
    one.ask(pictures.jpeg())
    assert re.search(r"Max cpu time +[0-9]+ +unlimited", Path(f"/proc/{one.pid}/limits").read_text())


def test_a_picture_that_needs_too_much_memory_is_turned_down(settings):
    settings.DECODER_MEMORY_MB = 260
    with pytest.raises(imaging.BadImage) as caught:
        imaging.open_safely(pictures.encoded(Image.new("RGB", (6000, 6000)), "PNG"))
    assert caught.value.reason == "too_demanding"


@pytest.mark.django_db
def test_a_file_that_kills_its_decoder_gets_one_more_try_and_no_third(monkeypatch):
    """The decoders are real; a second process shoots each as soon as it has the file."""
    shot = []

    def shoot(one, *arguments):
        os.kill(one.pid, signal.SIGKILL)
        shot.append(one.pid)
        return ask(one, *arguments)

    ask = decoder.Decoder.ask
    image, good = receive(make_consent(), pictures.jpeg(4, 4)), receive(make_consent(), pictures.jpeg(5, 5))
    monkeypatch.setattr(decoder.Decoder, "ask", shoot)
    pipeline.advance(image.pk)
    monkeypatch.undo()
    pipeline.advance(good.pk)
    image.refresh_from_db()
    good.refresh_from_db()
    assert len(set(shot)) == len(shot) == 2
    assert (image.status, image.latest_reason()) == (ImageStatus.REJECTED, describe("too_demanding"))
    assert good.status == ImageStatus.ACCEPTED


@pytest.mark.django_db
def test_whoever_waits_for_a_decoder_keeps_the_image(monkeypatch, settings):
    """The decoders are real and stopped; both tries take longer than a lease, which is over when each begins."""
    due = []

    def stop(one, *arguments):
        due.append(models.Image.objects.due().count())
        models.Image.objects.update(next_attempt_at=image.received_at)
        os.kill(one.pid, signal.SIGSTOP)
        return ask(one, *arguments)

    ask = decoder.Decoder.ask
    image = receive(make_consent(), pictures.jpeg(4, 4))
    settings.DECODER_SECONDS = 0.5
    monkeypatch.setattr(decoder, "BEAT", 0.05)
    monkeypatch.setattr(decoder.Decoder, "ask", stop)
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert due == [0, 0]
    assert (image.status, image.latest_reason()) == (ImageStatus.REJECTED, describe("too_demanding"))


@pytest.mark.django_db
def test_a_file_that_kills_the_worker_each_time_comes_to_an_end(monkeypatch):
    class Killed(BaseException):
        """What a kill looks like from inside: nothing after it runs."""

    def die(_):
        raise Killed

    image = receive(make_consent(), pictures.jpeg(6, 6))
    monkeypatch.setitem(pipeline.STEPS, ImageStatus.RECEIVED, die)
    for begun in range(1, 100):
        models.Image.objects.filter(pk=image.pk).update(next_attempt_at=image.received_at)
        try:
            pipeline.advance(image.pk)
        except Killed:
            image.refresh_from_db()
            assert image.begun == begun
            continue
        break
    image.refresh_from_db()
    assert begun == pipeline.MOST_BEGUN + 1
    assert (image.status, image.latest_reason()) == (ImageStatus.REJECTED, describe("could_not_open"))


WORKER = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from collection import decoder
one = decoder.Decoder(decoder.Limits(20, 1536))
decoder._idle.waiting.append(one)
print(one.pid, flush=True)
if sys.argv[2] == "kill":
    time.sleep(60)
elif sys.argv[2] == "fork":
    child = os.fork()
    if not child:
        assert decoder._idle.waiting == []
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    answer, _ = one.ask(b"no picture")
    assert answer["reason"] == "not_an_image"
"""


@pytest.mark.parametrize("how", ["kill", "fork", "end"])
def test_no_decoder_outlives_its_worker(how):
    root = str(Path(__file__).parents[2])
    worker = subprocess.Popen([sys.executable, "-c", WORKER, root, how], stdout=subprocess.PIPE, text=True)
    with worker.stdout:
        pid = int(worker.stdout.readline())
    if how == "kill":
        worker.kill()
    assert worker.wait(30) == (-signal.SIGKILL if how == "kill" else 0)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and status(pid)["State"][0] != "Z":
        assert time.monotonic() < deadline, "the decoder lives on"
        time.sleep(0.05)


def test_it_works_in_a_daemonic_process_and_in_threads():
    """Celery's workers are daemonic: multiprocessing would refuse them a child."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    worker = context.Process(target=_open_and_tell, args=[answers], daemon=True)
    worker.start()
    assert answers.get() == "jpg"
    worker.join(30)
    with ThreadPoolExecutor(6) as threads:
        opened = list(threads.map(lambda n: imaging.open_safely(pictures.jpeg(n, n)).pixels_sha256, range(12)))
    assert opened == [decoding.decode(pictures.jpeg(n, n)).pixels_sha256 for n in range(12)]


def _open_and_tell(answers) -> None:
    answers.put(imaging.open_safely(pictures.jpeg()).extension)
    os._exit(0)  # pytest's own clean-up is not for this process
