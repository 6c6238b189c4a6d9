"""Comparison of phrases: letter case and spacing make no difference."""

from collections.abc import Iterable


def normalize_phrase(phrase: str) -> str:
    """Return a phrase in lower case, with single spaces.

    Example:
        >>> normalize_phrase('  Traffic   LIGHT')
        'traffic light'
    """
    return ' '.join(phrase.casefold().split())


def normalize_phrases(phrases: Iterable[str]) -> tuple[str, ...]:
    """Return normalized phrases in alphabetical order, so that equal sets of phrases compare equal."""
    return tuple(sorted(map(normalize_phrase, phrases)))
