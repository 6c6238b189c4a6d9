"""Options of a config, checked in words where a part is built."""

import inspect
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def check_number(
    name: str, value: Any, *, above: float = -math.inf, least: float = -math.inf, most: float = math.inf
) -> None:
    """Refuse what is no finite number within bounds.

    Args:
        name: Of the option.
        value: What was given.
        above: It must be more than this.
        least: It must be at least this.
        most: It must be at most this.

    Raises:
        TypeError: It is no number.
        ValueError: It is out of bounds, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f'{name}={value!r}: expected a number{_bounds(above, least, most)}')
    given = float(value)
    if not (math.isfinite(given) and above < given and least <= given <= most):
        raise ValueError(f'{name}={value!r}: expected a finite number{_bounds(above, least, most)}')


def check_whole(name: str, value: Any, *, least: int = 1) -> None:
    """Refuse what is no whole number from ``least`` on.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is too small.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f'{name}={value!r}: expected a whole number of at least {least}')
    if value < least:
        raise ValueError(f'{name}={value!r}: expected at least {least}')


def check_options(name: str, options: Any, function: Callable[..., Any], *, without: Sequence[str] = ()) -> None:
    """Refuse options that a function does not have among its keyword-only arguments; ``None`` passes.

    Args:
        name: Of what holds them.
        options: What was given.
        function: That will get them.
        without: Arguments that are no options.

    Raises:
        TypeError: They are no mapping, or one is none of its options.
    """
    arguments = inspect.signature(function).parameters.values()
    known = [one.name for one in arguments if one.kind is one.KEYWORD_ONLY and one.name not in without]
    if options is not None and (not isinstance(options, Mapping) or set(options) - set(known)):
        raise TypeError(f'{name}={options!r}: expected some of the options {", ".join(known)}')


def _bounds(above: float, least: float, most: float) -> str:
    said = [f' above {above}' * (above > -math.inf), f' of at least {least}' * (least > -math.inf)]
    said.append(f', at most {most}' * (most < math.inf))
    return ''.join(said)
