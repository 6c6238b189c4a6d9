"""YAML files of others: of bounded size, without references, and with one kind of error."""

import reprlib
from pathlib import Path
from typing import Any

import yaml

from hyperbolic_seg.files import printable, read_regular

_LONGEST = 10_000  # characters of a scalar
_DEEPEST = 32  # levels


def read_yaml(path: str | Path, *, max_bytes: int) -> Any:
    """Read a YAML file of plain values.

    Args:
        path: The file.
        max_bytes: A larger one is refused.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no regular file, too large, or no YAML of plain values. References (``*name``) are refused
            too: a few of them stand for more than fits into memory.
    """
    content = read_regular(path, max_bytes=max_bytes)
    try:
        return yaml.load(content.decode('utf-8-sig'), Loader=_PlainLoader)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = printable(' '.join(str(error).split())[:500])
        raise ValueError(f'{path} is no YAML of plain values: {reason}') from error


def shown(value: Any) -> str:
    """Return the beginning of a value for an error, however large it is."""
    short = reprlib.Repr()
    short.maxlevel, short.maxdict, short.maxlist, short.maxtuple = 2, 4, 6, 6
    short.maxstring = short.maxother = short.maxlong = 100
    try:
        return printable(short.repr(value))[:300]
    except ValueError:  # an integer of more digits than Python writes
        return f'something of type {type(value).__name__}'


class _PlainLoader(yaml.SafeLoader):
    """Refuses references, long scalars and deep nesting before anything is made of them."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f'the reference *{event.anchor}: write out what it stands for')
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > _LONGEST:
            raise yaml.YAMLError(f'a text of {len(event.value)} characters: expected at most {_LONGEST}')
        if self._depth >= _DEEPEST:
            raise yaml.YAMLError(f'more than {_DEEPEST} levels')
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1
