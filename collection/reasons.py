"""Why an image was turned down or held: for each reason code, what a contributor reads and how to do better."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """`says` completes "This photograph …"; `advice` is a sentence, or empty."""

    says: str
    advice: str = ""

    def sentence(self, subject: str = "This") -> str:
        """What a person reads: `This is too dark. Face a window or a lamp and try again.`"""
        return f"{subject} {self.says}. {self.advice}".strip()


REASONS: dict[str, Reason] = {
    "": Reason("is on its way"),
    "empty": Reason("is an empty file", "Please choose the photograph again; the copy on your phone may be broken."),
    "not_an_image": Reason(
        "is not a picture that we can read", "Please send a JPEG, HEIC, PNG, WebP, AVIF or TIFF file."
    ),
    "too_large_file": Reason("is too large a file", "Please send it in a smaller size."),
    "truncated": Reason("is not complete: its end is missing", "Please send it again; the upload may have broken off."),
    "broken": Reason("is damaged and cannot be opened", "Please send the original from your camera."),
    "too_many_pixels": Reason("claims to have more pixels than we can open", "Please send it in a smaller size."),
    "animated": Reason("is an animation", "Please send a still photograph."),
    "several_pages": Reason("holds more than one picture", "Please send each of them as a file of its own."),
    "too_demanding": Reason(
        "takes more time or memory to open than a photograph should",
        "Please open it in a photo app, save it again as a JPEG, and send that.",
    ),
    "too_small": Reason("is too small", "Please send it as large as the camera took it: at least 640 pixels each way."),
    "too_dark": Reason("is too dark", "Face a window or a lamp and try again."),
    "too_bright": Reason("is too bright", "Step out of direct light and try again."),
    "backlit": Reason(
        "has the light behind the person",
        "Somebody looks at it. Next time, turn round and face the window or the lamp.",
    ),
    "flat_face": Reason(
        "shows the face with hardly any light and shade",
        "Somebody looks at it. Next time, wipe the lens and let the light come from one side.",
    ),
    "no_face": Reason("shows no face that the machine found", "The machine often overlooks faces. Look for yourself."),
    "no_face_seen": Reason(
        "shows no face that we could find",
        "We often overlook one, and nothing is turned down for it. If yours is hidden, turned away or very small, "
        "please send another photograph too.",
    ),
    "more_than_one_face": Reason(
        "shows more than one face",
        "Only people who agreed may be in it. Cover the other faces, or wait: somebody looks at it.",
    ),
    "faces_marked": Reason("is being made anew with faces covered"),
    "faces_covered": Reason("has faces covered"),
    "call_looks": Reason("is for a call in which a person looks at each one", "There is nothing to do."),
    "moderation": Reason("waits until a person has looked at it", "There is nothing to do."),
    "age": Reason("waits until a person has looked at it", "There is nothing to do."),
    "blurred": Reason("may be blurred", "Somebody looks at it. Hold the phone with both hands next time."),
    "duplicate": Reason("shows the same as one you sent before", "There is nothing to do; the first one counts."),
    "better_copy": Reason(
        "shows the same as one you sent before, in a larger or less compressed file",
        "There is nothing to do; the first one counts, because it may be in use already.",
    ),
    "copy": Reason("shows the same as another one that we have", "There is nothing to do; the first one counts."),
    "mirrored": Reason("looks like a mirrored copy of another one", "Somebody looks at it."),
    "resembles_other_person": Reason("looks like a photograph that somebody else sent", "Somebody looks at it."),
    "could_not_open": Reason("could not be processed, although we tried several times", "Please send it again."),
    "taken_out": Reason(
        "was taken out for good before, so it cannot come in again",
        "You need not do anything. If you think that is a mistake, please write to us.",
    ),
    "taken_back": Reason(
        "is the same as one that was taken back before, so we do not use it, whoever sends it",
        "You need not do anything. If the photograph is yours, please write to us and we look into it.",
    ),
    "reviewer": Reason("was looked at by a reviewer"),
    "unsuitable": Reason("is not what this call asks for", "Please read what the call asks for and try another one."),
    # What a reviewer turns down for (collection.review.REJECTIONS).
    "too_blurred": Reason("is too blurred to use", "Please rest the phone on something and try again."),
    "bad_light": Reason("has light that hides the face", "Face a window or a lamp and try again."),
    "face_hidden": Reason("does not show the face well enough", "Please send one that shows your whole face."),
    "other_people": Reason("shows more than one person", "Please send one in which you are alone."),
    "not_a_photograph": Reason("does not look like a photograph of a person", "Please send one from your camera."),
    "not_allowed": Reason("shows something that we do not take", "Please read what the call asks for."),
    "not_the_signer": Reason(
        "seems to show somebody other than the person who gave permission",
        "Please send photographs of yourself only. If this is you, write to us and we look again.",
    ),
    "somebody_elses": Reason(
        "seems to be a photograph that somebody else gave us",
        "If it is yours, write to us and we look again.",
    ),
    "withdrawn": Reason("was erased because permission was withdrawn"),
    "ended": Reason("was erased because the right to use it ended"),
    "expired": Reason("was erased because the time that you gave us was over"),
    "purpose_over": Reason("was erased because what you gave it for has come to its end"),
    "lapsed": Reason("was erased because we had not heard from you for a long time"),
    "account_deleted": Reason("was erased because the account was deleted"),
    "objected": Reason("was erased after an objection"),
    "depicted": Reason("was erased because somebody in it did not agree"),
    "minor": Reason("was erased because the person may be a minor"),
    "harm": Reason("was erased by the rights desk"),
}


def describe(code: str) -> Reason:
    """The reason behind a code; an unknown code is shown as it is."""
    return REASONS.get(code) or Reason(code)


def explain(code: str, detail: str) -> str:
    """For staff: in words, then the code and what more is known: `is damaged and cannot be opened (broken: no end)`."""
    more = f"{code}: {detail}" if detail != code else code
    return f"{describe(code).says} ({more})"
