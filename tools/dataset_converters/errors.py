"""What can be wrong with a conversion, or with one picture."""


class UsageError(Exception):
    """The command cannot be carried out as given; nothing is wrong with a single picture."""


class Refused(Exception):
    """One picture cannot be converted; the others can."""
