"""Copies that were edited: pure functions from a preview (JPEG bytes) to candidates and a verdict.

No Django but in `folder`.

`canonical` finds the photograph inside borders and screens, `words` name candidates, `verify` compares two photographs
pixel by pixel after a similarity transform. `folder` does all of it for the files of a folder. See docs/decisions/0018.
"""
