"""Checks of config options when a part is built, with errors in plain words."""

import inspect
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any


def check_number(
    name: str, value: Any, *, above: float = -math.inf, least: float = -math.inf, most: float = math.inf
) -> None:
    """Check that an option is a finite number within bounds.

    Args:
        name: Name of the option.
        value: Value of the option.
        above: Exclusive lower bound.
        least: Inclusive lower bound.
        most: Inclusive upper bound.

    Raises:
        TypeError: The value is not a number.
        ValueError: The value is out of bounds or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f'{name}={value!r}: expected a number{_bounds(above, least, most)}')
    given = float(value)
    if not (math.isfinite(given) and above < given and least <= given <= most):
        raise ValueError(f'{name}={value!r}: expected a finite number{_bounds(above, least, most)}')


def check_whole(name: str, value: Any, *, least: int = 1) -> None:
    """Check that an option is a whole number of at least ``least``.

    Raises:
        TypeError: The value is not a whole number.
        ValueError: The value is too small.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f'{name}={value!r}: expected a whole number of at least {least}')
    if value < least:
        raise ValueError(f'{name}={value!r}: expected at least {least}')


def check_size(name: str, value: Any) -> None:
    """Check that an option is a height and a width in whole pixels.

    Raises:
        TypeError: The value is not two whole numbers.
        ValueError: One of them is not positive.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise TypeError(f'{name}={value!r}: expected (height, width)')
    for side in value:
        check_whole(name, side)


def check_names(name: str, value: Any) -> None:
    """Check that an option is a sequence of names.

    Raises:
        TypeError: It is something else, or one string.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{name}={value!r}: expected a list of names, such as ['not sky']")


def check_options(name: str, options: Any, function: Callable[..., Any], *, without: Sequence[str] = ()) -> None:
    """Check that all options are keyword-only arguments of a function; ``None`` passes.

    Args:
        name: Name of the option that holds them, for errors.
        options: Mapping of the options.
        function: Function that takes them.
        without: Keyword-only arguments that are not options.

    Raises:
        TypeError: The options are not a mapping, or the function does not take one of them.
    """
    known = [argument for argument in _keyword_only(function) if argument not in without]
    if options is not None and (not isinstance(options, Mapping) or set(options) - set(known)):
        raise TypeError(f'{name}={options!r}: expected some of the options {", ".join(known)}')


@cache
def _keyword_only(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of keyword-only arguments; to look them up took a sixth of the time of a large image."""
    arguments = inspect.signature(function).parameters.values()
    return tuple(one.name for one in arguments if one.kind is one.KEYWORD_ONLY)


def _bounds(above: float, least: float, most: float) -> str:
    said = [f' above {above}' * (above > -math.inf), f' of at least {least}' * (least > -math.inf)]
    said.append(f', at most {most}' * (most < math.inf))
    return ''.join(said)
