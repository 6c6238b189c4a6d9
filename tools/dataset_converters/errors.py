"""Errors of a whole conversion, and of one image."""


class UsageError(Exception):
    """The command cannot run as given; the fault is not in a single image."""


class Refused(Exception):
    """One image cannot be converted; the others can."""
