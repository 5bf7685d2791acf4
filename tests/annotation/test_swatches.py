"""Where somebody chooses or reads a colour by its number, the colour stands beside it."""

import re
from itertools import count
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation import gold
from annotation.config import parse_config, starter_config
from annotation.intake import record_annotation
from annotation.models import Campaign, LabelTask
from annotation.services import plan_tasks
from annotation.training import make_training
from consent.demographics import SKIN_TONES
from tests.annotation.factories import make_annotator, make_campaign, make_user, remote

pytestmark = pytest.mark.django_db
_numbers = count(9100)


def tone(value):
    return [{"from_name": "skin_tone", "to_name": "image", "type": "choices", "value": {"choices": [value]}}]


def push(campaign):
    for task in campaign.tasks.all():
        now = timezone.now()
        LabelTask.objects.filter(pk=task.pk).update(state="pushed", external_id=next(_numbers), pushed_at=now)
    Campaign.objects.filter(pk=campaign.pk).update(reserved=campaign.task_cost * campaign.tasks.count())
    return campaign.tasks.order_by("pk")


def swatches(html):
    """(colour, the words beside it) of each swatch of a page."""
    found = re.findall(r'<svg class="swatch".*?fill="(#\w+)"></rect></svg>(?:&nbsp;|\s)*([^<,.]*)', html)
    return [(colour, words.strip()) for colour, words in found]


@pytest.fixture
def campaign():
    return make_campaign(images=2, overlap=1, gold_percent=100, config=starter_config("skin-tone"))


def test_the_starter_shows_the_colours_that_people_describe_themselves_by():
    assert parse_config(starter_config("skin-tone"))["skin_tone"].colours == SKIN_TONES
    assert parse_config(starter_config())["attributes"].colours == {}


def test_reviewers_choose_gold_by_swatches_and_read_answers_with_them(client, campaign):
    annotator = make_annotator(next(_numbers))
    task = push(campaign)[0]
    record_annotation(task=task, remote=remote(annotator.label_studio_user, result=tone("7")))
    client.force_login(make_user("", "reviewer"))
    page = client.get(reverse("label_review", args=[campaign.pk, task.pk])).content.decode()
    form, _, answers = page.partition("What the annotators said")
    assert swatches(form) == [(colour, number) for number, colour in SKIN_TONES.items()]
    assert '<input type="radio" name="skin_tone" value="cannot tell"' in form
    assert swatches(answers) == [(SKIN_TONES["7"], "7")]


def test_after_a_training_annotators_read_both_answers_with_their_swatches(client, campaign):
    reviewer, annotator = make_user("", "reviewer"), make_annotator(next(_numbers))
    for task in push(campaign):
        record_annotation(task=task, remote=remote(make_annotator(next(_numbers)).label_studio_user, result=tone("3")))
        gold.answer_gold(task=task, result=tone("3"), user=reviewer)
    training = make_training(answers_from=campaign, size=2, attempts=1, pass_percent=50, places=1, user=reviewer)
    plan_tasks(campaign=training.campaign)
    for task, said in zip(push(training.campaign), ("3", "cannot tell"), strict=True):
        record_annotation(task=task, remote=remote(annotator.label_studio_user, result=tone(said)))
    client.force_login(annotator.user)
    page = client.get(reverse("work_training", args=[training.pk])).content.decode()
    assert swatches(page) == [(SKIN_TONES["3"], "3")] * 2
    assert "You: cannot tell. The reviewer: " in page


def test_pages_draw_swatches_without_inline_styles():
    """Our pages' policy refuses these, and a swatch would be left blank."""
    for name in ("annotation/templates/annotation/words.html", "consent/templates/consent/swatch_option.html"):
        assert "style=" not in Path(name).read_text()
