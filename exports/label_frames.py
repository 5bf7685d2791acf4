"""Where the labels of a release belong in a labelling config. Apart from writing them: reading a config takes Label
Studio's own code, half a second and 50 MB in each process, and the second process of a build does without.
"""

from annotation.answers import label_name
from annotation.config import parse_config
from exports.label_files import Frame


def frames_of(xml: str) -> dict[str, Frame]:
    """By the name of a label in releases: where it belongs in a labelling config."""
    found = {}
    for control in parse_config(xml).values():
        labels = control.values if control.kind == "keypointlabels" else ("",)
        for label in labels:
            named = label or (control.values[0] if control.kind == "rectanglelabels" else "")
            found[label_name(control.name, label)] = Frame(control.name, control.target, control.kind, named)
    return found
