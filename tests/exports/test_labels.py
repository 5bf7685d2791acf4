"""Several annotators' answers become one label per control."""

from annotation.answers import Control, answered
from exports.labels import consolidate
from tests.exports.factories import result


def test_rating_is_the_mean_with_four_decimals():
    said = [result(5), result(4), result(4)]
    assert consolidate(said, 100, 100)["quality"] == "4.3333"


def test_choices_are_those_of_more_than_half():
    said = [result(choice="glasses"), result(choice="glasses"), result(choice="beard")]
    assert consolidate(said, 100, 100)["attributes"] == "glasses"


def test_several_choices_are_joined():
    said = result()
    said[1]["value"]["choices"] = ["hat", "beard"]
    assert consolidate([said, said, result()], 100, 100)["attributes"] == "beard|hat"


def test_a_tie_goes_to_the_first_in_the_alphabet():
    said = [result(choice="hat"), result(choice="beard"), result(choice="glasses")]
    assert consolidate(said, 100, 100)["attributes"] == "beard"


def test_box_is_the_median_in_pixels():
    said = [result(x=10), result(x=12), result(x=90)]
    assert consolidate(said, 200, 100)["face"] == ["24.0000", "20.0000", "100.0000", "40.5000"]


def test_largest_box_of_each_annotator_counts():
    said = result(x=10)
    said.append({**said[2], "value": {**said[2]["value"], "x": 1, "width": 2}})
    assert consolidate([said], 100, 100)["face"][0] == "10.0000"


def test_order_of_annotators_does_not_matter():
    said = [result(1, "hat", 3), result(5, "beard", 9), result(2, "beard", 40)]
    assert consolidate(said, 64, 48) == consolidate(said[::-1], 64, 48)


def test_what_nobody_answered_has_no_label():
    assert "face" not in consolidate([result(box=False)], 10, 10)
    assert consolidate([], 10, 10) == {}


def test_controls_are_named_once():
    assert answered([result(), result()]) == [
        Control("attributes", "choices"),
        Control("face", "box"),
        Control("quality", "rating"),
    ]


def point(label, x, y):
    place = {"x": x, "y": y, "width": 0.5, "keypointlabels": [label]}
    return {"from_name": "landmark", "to_name": "image", "type": "keypointlabels", "value": place}


def test_each_point_of_a_face_is_a_label_of_its_own():
    said = [
        [point("left eye", 10, 20), point("nose", 50, 50)],
        [point("left eye", 12, 22)],
        [point("left eye", 80, 90)],
    ]
    assert answered(said) == [Control("landmark_left_eye", "point"), Control("landmark_nose", "point")]
    assert consolidate(said, 200, 100) == {
        "landmark_left_eye": ["24.0000", "22.0000"],
        "landmark_nose": ["100.0000", "50.0000"],
    }
