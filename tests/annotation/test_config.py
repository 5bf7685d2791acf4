"""What labelling configs are taken, and which results keep to them."""

import re

import pytest

from annotation.config import check_result, parse_config, starter_config
from consent.refusals import Refused
from tests.annotation.factories import box, choices, good_result, rating

GOOD = starter_config()
CONTROLS = parse_config(GOOD)


def test_starter_config():
    assert {control.name: control.kind for control in CONTROLS.values()} == {
        "quality": "rating",
        "attributes": "choices",
        "face": "rectanglelabels",
    }
    assert CONTROLS["quality"].required
    assert CONTROLS["quality"].max_rating == 5
    assert CONTROLS["attributes"].multiple
    assert "glasses" in CONTROLS["attributes"].values


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        ("", "not valid"),
        ("labels please", "not valid"),
        ("<View>", "not valid"),
        ("<View/>", "exactly one image"),
        (GOOD.replace('toName="image"', 'toName="picture"', 1), "picture"),
        (GOOD.replace('name="face"', 'name="quality"'), "non-unique"),
        (GOOD.replace('"$image"', '"https://elsewhere.example/x.jpg"'), "exactly one image"),
        (GOOD.replace('maxRating="5"', 'maxRating="many"'), "whole number"),
        (GOOD.replace('maxRating="5"', 'maxRating="0"'), "from 1 to 100"),
        (GOOD.replace('maxRating="5"', 'maxRating="100000000"'), "from 1 to 100"),
        ('<View><Image name="image" value="$image"/></View>', "nothing to fill in"),
        ('<View><Image name="image" value="$image"/><Brush name="b" toName="image"/></View>', "<Brush>"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>' + GOOD, "DOCTYPE"),
    ],
)
def test_bad_configs_are_refused_with_a_reason(xml, says):
    with pytest.raises(Refused, match=says):
        parse_config(xml)


@pytest.mark.parametrize(
    "result",
    [
        good_result(),
        [rating(1), box()],
        [rating(5), box(), box(x=0, y=0, width=100, height=100)],
        [rating(5), box(x=60.000001, width=40)],
    ],
)
def test_good_results(result):
    assert check_result(CONTROLS, result) == ""


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ([], "“quality” is required"),
        ([rating(3)], "“face” is required"),
        ([box()], "“quality” is required"),
        ([*good_result(), {**rating(), "from_name": "beauty"}], "no control “beauty”"),
        ([*good_result(), {**rating(), "from_name": ["quality"]}], "no control"),
        ([rating(0), box()], "from 1 to 5"),
        ([rating(6), box()], "from 1 to 5"),
        ([rating(2.5), box()], "from 1 to 5"),
        ([rating(True), box()], "from 1 to 5"),
        ([rating("5"), box()], "from 1 to 5"),
        ([rating(None), box()], "from 1 to 5"),
        ([*good_result(), rating(2)], "more than once"),
        ([rating(), box(), choices("monocle")], "no choice “monocle”"),
        ([rating(), box(), choices()], "left empty"),
        ([rating(), box(), choices("glasses", "glasses")], "one choice"),
        ([rating(), box(), choices({"a": 1})], "no choice"),
        ([rating(), box(rectanglelabels=["cat"])], "no choice “cat”"),
        ([rating(), box(width=0)], "is empty"),
        ([rating(), box(width=-5)], "is empty"),
        ([rating(), box(width=1e-200)], "is empty"),
        ([rating(), box(x=-3)], "beyond the photograph"),
        ([rating(), box(x=70)], "beyond the photograph"),
        ([rating(), box(y=float("nan"))], "lacks a position"),
        ([rating(), box(height=None)], "lacks a position"),
        ([rating(), box(rotation="a lot")], "lacks a position"),
        ([rating(), {**box(), "type": "choices"}], "does not have the form"),
        ([rating(), {**box(), "to_name": "other"}], "does not have the form"),
        ([rating(), {**box(), "value": None}], "does not have the form"),
        ({"quality": 4}, "format"),
        (["quality"], "format"),
        (None, "format"),
    ],
)
def test_bad_results_are_refused_with_a_reason(result, says):
    assert says in check_result(CONTROLS, result)


def test_single_choice():
    controls = parse_config(GOOD.replace('choice="multiple"', 'choice="single"'))
    assert "takes one choice" in check_result(controls, [rating(), box(), choices("glasses", "none of these")])


def test_a_control_may_not_smuggle_lines_into_the_card():
    image = '<Image name="image" value="$image"/>'
    with pytest.raises(Refused, match="name of a control"):
        parse_config(f'<View>{image}<Rating name="q&#10;evil: x" toName="image"/></View>')


POINTS = parse_config(starter_config("keypoints"))


def point(label="nose", **value):
    place = {"x": 50, "y": 40.5, "width": 0.5, "keypointlabels": [label], **value}
    return {"from_name": "landmark", "to_name": "image", "type": "keypointlabels", "value": place}


def test_points_of_a_face():
    assert check_result(POINTS, [point("left eye"), point("nose", x=0, y=100)]) == ""


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ([], "is required"),
        ([point(), point(x=51)], "more than once"),
        ([point("ear")], "no choice “ear”"),
        ([point(x=101)], "beyond the photograph"),
        ([point(y=None)], "lacks a position"),
        ([point(x=True)], "lacks a position"),
        ([point(keypointlabels=[])], "left empty"),
    ],
)
def test_bad_points(result, says):
    assert says in check_result(POINTS, result)


def test_two_controls_may_have_a_point_of_the_same_name():
    image = '<Image name="image" value="$image"/>'
    eye = '<KeyPointLabels name="{0}" toName="image"><Label value="pupil"/></KeyPointLabels>'
    both = parse_config(f"<View>{image}{eye.format('left')}{eye.format('right')}</View>")
    assert check_result(both, [point("pupil") | {"from_name": name} for name in ("left", "right")]) == ""


def test_points_and_controls_have_names_of_their_own():
    twice = starter_config("keypoints").replace(
        "</KeyPointLabels>", '</KeyPointLabels><Rating name="landmark_nose" toName="image"/>'
    )
    with pytest.raises(Refused, match="“landmark_nose”"):
        parse_config(twice)


def test_each_control_has_the_question_of_the_header_above_it():
    assert {name: control.question for name, control in parse_config(starter_config()).items()} == {
        "quality": "How good is this photograph? 1: unusable, 5: sharp and well lit",
        "attributes": "What is to be seen? Tick all that apply",
        "face": "Choose “face” here, then draw a box around the face",
    }
    bare = re.sub("<Header .*?/>", "", starter_config())
    assert {control.question for control in parse_config(bare).values()} == {""}
