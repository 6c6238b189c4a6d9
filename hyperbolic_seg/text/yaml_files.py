"""Safe reading of YAML files: bounded size, no references, one kind of error."""

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
        max_bytes: Limit of its size in bytes.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not regular, too large, or not plain YAML. References (``*name``) are refused too: a
            few nested ones expand to more than fits into memory. So is a key that a mapping has twice, of which PyYAML
            would keep the last.
    """
    content = read_regular(path, max_bytes=max_bytes)
    try:
        return yaml.load(content.decode('utf-8-sig'), Loader=_PlainLoader)
    except Exception as error:  # PyYAML fails in many ways: IndexError for !!int "", KeyError for !!bool q
        reason = printable(' '.join(str(error).split())[:500])
        raise ValueError(f'{path} is no YAML of plain values: {reason}') from error


def shown(value: Any) -> str:
    """Return the beginning of a value for an error message, however large the value is."""
    short = reprlib.Repr()
    short.maxlevel, short.maxdict, short.maxlist, short.maxtuple = 2, 4, 6, 6
    short.maxstring = short.maxother = short.maxlong = 100
    try:
        return printable(short.repr(value))[:300]
    except ValueError:  # an integer with more digits than Python prints
        return f'something of type {type(value).__name__}'


class _PlainLoader(yaml.SafeLoader):
    """Refuses references, long scalars, deep nesting and repeated keys before any value is built."""

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

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        found = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if (key.tag, key.value) in found:
                raise yaml.YAMLError(f'{key.value[:100]!r} a second time in line {key.start_mark.line + 1}')
            found.add((key.tag, key.value))
        return node
