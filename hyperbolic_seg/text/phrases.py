"""Comparison of phrases: letter case, spacing and ways to encode an accent make no difference."""

import unicodedata
from collections.abc import Iterable


def normalize_phrase(phrase: str) -> str:
    """Return a phrase in lower case, with single spaces and composed letters (NFC).

    Example:
        >>> normalize_phrase('  Traffic   LIGHT')
        'traffic light'
    """
    return ' '.join(unicodedata.normalize('NFC', phrase.casefold()).split())


def normalize_phrases(phrases: Iterable[str]) -> tuple[str, ...]:
    """Return normalized phrases in alphabetical order, so that equal sets of phrases compare equal."""
    return tuple(sorted(map(normalize_phrase, phrases)))
