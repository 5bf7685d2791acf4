"""The one error for input that a person can mend."""


class Refused(ValueError):
    """What was asked for cannot be done; the message says why and what to do, in words for the person who asked."""
