"""What a model can name: concepts with their synonyms, their place in a hierarchy and their colours."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hyperbolic_seg.files import printable
from hyperbolic_seg.text.yaml_files import read_yaml, shown

ENTRY_POINTS = 'hyperbolic_seg.vocabularies'
"""Group of entry points; each names a package with YAML files, whose vocabularies are known by the files' names."""
MAX_BYTES = 2**20
"""Limit of a vocabulary file's size; the largest one of the package has 42 kB."""
Color = tuple[int, int, int]

_LONGEST_CHAIN = 16  # vocabularies that are selections of one another
_DEEPEST = 64  # names above a concept; without a limit, a file of a chain takes memory as its length squared


@dataclass(frozen=True)
class Concept:
    """One thing that can be named.

    Args:
        name: The name it goes by; unique in a vocabulary, letter case apart.
        synonyms: Other words for it; their embeddings are averaged with the name's.
        ancestors: Names of the nodes above it, nearest first.
        color: RGB, 0 to 255; ``None`` lets the vocabulary choose.
        abbreviation: Short form, such as the WMO's ``Cu``.
        latin: Scientific name.
        descriptions: What one may also say, in plain words; not shown to a text encoder unless typed as a prompt.
    """

    name: str
    synonyms: tuple[str, ...] = ()
    ancestors: tuple[str, ...] = ()
    color: Color | None = None
    abbreviation: str | None = None
    latin: str | None = None
    descriptions: tuple[str, ...] = ()

    @property
    def phrases(self) -> tuple[str, ...]:
        """The name and its synonyms: what is shown to a text encoder."""
        return (self.name, *self.synonyms)

    @property
    def lineage(self) -> tuple[str, ...]:
        """The name and the names above it, nearest first."""
        return (self.name, *self.ancestors)

    def under(self, name: str) -> Concept:
        """Return the same concept under another of its phrases, in its spelling; as it is for any other name."""
        others = tuple(phrase for phrase in self.phrases if _key(phrase) != _key(name))
        return self if len(others) == len(self.phrases) else replace(self, name=name, synonyms=others)


@cache
def built_in_vocabularies() -> dict[str, Path]:
    """Return the files of the vocabularies that installed packages bring, by name; see :data:`ENTRY_POINTS`."""
    folders = [Path(__file__).parent / 'vocabularies']
    for point in sorted(entry_points(group=ENTRY_POINTS)):
        spec = find_spec(point.value)
        folders += [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    return {file.stem: file for folder in reversed(folders) for file in sorted(folder.glob('*.yaml'))}


class Vocabulary(Sequence[Concept]):
    """An ordered list of concepts; the position of a concept is its class index.

    Args:
        concepts: The concepts. Those without a colour get one that is well apart from the others.

    Raises:
        ValueError: There is no concept, or two share a name.
    """

    def __init__(self, concepts: Iterable[Concept]) -> None:
        self._concepts = tuple(concepts)
        if not self._concepts:
            raise ValueError('a vocabulary needs at least one concept, got none')
        self._index: dict[str, int] = {}
        for position, concept in enumerate(self._concepts):
            if not concept.name.strip():
                raise ValueError(f'the concept at position {position} of the vocabulary has an empty name')
            if _key(concept.name) in self._index:
                raise ValueError(f'{concept.name!r} stands twice in the vocabulary: names must be unique')
            self._index[_key(concept.name)] = position

    @classmethod
    def load(cls, source: str | Path | Sequence[str] | Vocabulary) -> Vocabulary:
        """Make a vocabulary of whatever a config or a command line gives.

        Args:
            source: The name of a built-in vocabulary (``'sky'``, its ``'leaves'``, ``'genera'``, ``'binary'``),
                the path of a YAML file, a list of prompts, or a vocabulary, which is returned as it is.

        Raises:
            OSError: There is no such file and no built-in vocabulary of that name (``FileNotFoundError``), or the file
                cannot be read.
            ValueError: The file or the list is not a valid vocabulary.
            TypeError: The list holds something else than prompts.
        """
        if isinstance(source, Vocabulary):
            return source
        if isinstance(source, (str, Path)):
            built_in = built_in_vocabularies().get(str(source))
            return cls.from_yaml(source) if built_in is None else _built_in(built_in)
        return cls.from_prompts(source)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Vocabulary:
        """Read a YAML file: ``concepts``, a list of mappings with ``name``, ``synonyms``, ``parent``, ``color``,
        ``abbreviation``, ``latin`` and ``descriptions``; or ``base``, the name of a built-in vocabulary or of a file
        beside this one, without its suffix, and ``select``, names of it.

        Raises:
            OSError: There is no such file (``FileNotFoundError``), or it cannot be read.
            ValueError: It is no regular file, too large, no YAML of plain values, not a valid vocabulary, or its own
                base.
        """
        return cls._from_yaml(Path(path), ())

    @classmethod
    def _from_yaml(cls, path: Path, above: tuple[Path, ...]) -> Vocabulary:
        """Read a file; those above are selections of it."""
        if not path.exists():
            names = ', '.join(built_in_vocabularies())
            raise FileNotFoundError(
                f'no vocabulary file {shown(str(path))}, and no built-in vocabulary of that name. Built in: {names}. '
                'For a list of prompts pass a list, not a string.'
            )
        real = path.resolve()
        try:
            if real in above:
                cycle = ', '.join(part.name for part in (*above[above.index(real) :], real))
                raise ValueError(f'it is its own base: {cycle}')
            if len(above) >= _LONGEST_CHAIN:
                raise ValueError(f'it is the base of {len(above)} others: expected at most {_LONGEST_CHAIN}')
            return cls._from_mapping(read_yaml(path, max_bytes=MAX_BYTES), path.parent, (*above, real))
        except (ValueError, TypeError) as error:
            raise ValueError(f'{path} is not a valid vocabulary: {printable(error)}') from error

    @classmethod
    def _from_mapping(cls, content: Any, folder: Path, above: tuple[Path, ...]) -> Vocabulary:
        if not isinstance(content, Mapping):
            raise ValueError(f'expected a mapping with "concepts", or with "base" and "select", got {shown(content)}')
        if set(content) == {'base', 'select'}:
            return cls._base(content['base'], folder, above).subset(_words('select', content['select']))
        if set(content) != {'concepts'} or not isinstance(content['concepts'], list):
            keys = shown(list(content))
            raise ValueError(f'expected the key "concepts" with a list, or "base" and "select", got {keys}')
        entries = [_checked_entry(entry) for entry in content['concepts']]
        parents = {_key(entry['name']): entry.get('parent') for entry in entries}
        names = {_key(entry['name']): entry['name'] for entry in entries}
        return cls(
            Concept(
                name=entry['name'],
                synonyms=tuple(entry.get('synonyms', ())),
                ancestors=_ancestors(entry['name'], parents, names),
                color=tuple(entry['color']) if 'color' in entry else None,
                abbreviation=entry.get('abbreviation'),
                latin=entry.get('latin'),
                descriptions=tuple(entry.get('descriptions', ())),
            )
            for entry in entries
        )

    @classmethod
    def _base(cls, name: Any, folder: Path, above: tuple[Path, ...]) -> Vocabulary:
        """Find what a file is a selection of: a file beside it, or else a built-in vocabulary."""
        if not isinstance(name, str) or not re.fullmatch(r'\w[\w .+-]{0,99}', name):
            raise ValueError(
                f'base {shown(name)}: expected the name of a built-in vocabulary, or of a file beside this one without '
                'its suffix'
            )
        for file in (folder / f'{name}.yaml', built_in_vocabularies().get(name)):
            if file is not None and file.is_file():
                return cls._from_yaml(file, above)
        names = ', '.join(built_in_vocabularies())
        raise ValueError(f'base {shown(name)}: no file {name}.yaml beside it, and none of the built-in ones: {names}')

    @classmethod
    def from_prompts(cls, prompts: Sequence[str], *, known: Vocabulary | None = None) -> Vocabulary:
        """Make a vocabulary of free text.

        Args:
            prompts: One prompt per class, such as ``['clear sky', 'cumulus']``. Synonyms may follow a
                semicolon: ``'cumulus; fair-weather cloud'``.
            known: A vocabulary whose concepts stand in where a prompt is exactly the name, Latin name, abbreviation
                or a synonym of one, with all its words, its place and its colour, under the name as typed if that
                is a word that a text encoder is shown. Defaults to the built-in ``'sky'``.

        Raises:
            TypeError: ``prompts`` is a string or holds something else than strings.
            ValueError: A prompt is empty, there is none, or two say the same.

        Example:
            >>> words = Vocabulary.from_prompts(['Cu', 'haze; mist'])
            >>> [concept.lineage for concept in words]
            [('cumulus', 'low cloud', 'cloud', 'everything'), ('haze',)]
        """
        if isinstance(prompts, (str, bytes)) or not all(isinstance(prompt, str) for prompt in prompts):
            raise TypeError(
                f'prompts must be a list of strings, such as ["clear sky", "cumulus"], got {shown(prompts)}'
            )
        known = cls.load('sky') if known is None else known
        concepts: list[Concept] = []
        typed: dict[int, str] = {}
        for prompt in prompts:
            name, *synonyms = (phrase.strip() for phrase in prompt.split(';'))
            if not name or not all(synonyms):
                raise ValueError(f'an empty prompt in {shown(list(prompts))}')
            place = None if synonyms else known.find(name)
            if place is None:
                concepts.append(Concept(name, tuple(synonyms)))
                continue
            if place in typed and _key(typed[place]) != _key(name):
                same = f'{typed[place]!r} and {name!r} are words for the same, {known[place].name!r}'
                raise ValueError(f'{same}: keep one')
            typed[place] = name
            concepts.append(known[place].under(name))
        return cls(concepts)

    def subset(self, names: Sequence[str]) -> Vocabulary:
        """Take the named concepts, in the order given.

        Raises:
            ValueError: A name is not in the vocabulary.
        """
        return Vocabulary(self[self.index_of(name)] for name in names)

    def index_of(self, name: str) -> int:
        """Return the class index of a name, letter case apart.

        Raises:
            ValueError: The name is not in the vocabulary.
        """
        if name not in self:
            names = ', '.join(self.names)
            names = names if len(names) <= 1000 else f'{names[:1000]} ...'
            raise ValueError(f'{shown(name)} is not in the vocabulary, which holds: {names}')
        return self._index[_key(name)]

    def find(self, word: str) -> int | None:
        """Return the index of what has this name, or else this Latin name, abbreviation or synonym.

        Letters are compared without regard to case, but for abbreviations. ``None`` if there is none, or more.
        """
        if word in self:
            return self.index_of(word)
        key = _key(word)
        meant = [
            index
            for index, concept in enumerate(self)
            if word == concept.abbreviation or key in map(_key, (*concept.synonyms, concept.latin or concept.name))
        ]
        return meant[0] if len(meant) == 1 else None

    def nearest(self, concept: Concept) -> int | None:
        """Return the index of the concept or else of its nearest ancestor here, ``None`` if there is none."""
        return next((self._index[_key(name)] for name in concept.lineage if name in self), None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in class order."""
        return tuple(concept.name for concept in self)

    @property
    def palette(self) -> list[list[int]]:
        """One RGB colour per concept, in class order."""
        return [list(concept.color or _spread_color(i)) for i, concept in enumerate(self)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _key(name) in self._index

    def __getitem__(self, index: Any) -> Any:
        return self._concepts[index]

    def __len__(self) -> int:
        return len(self._concepts)

    def __iter__(self) -> Iterator[Concept]:
        return iter(self._concepts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._concepts == other._concepts

    def __hash__(self) -> int:
        return hash(self._concepts)

    def __repr__(self) -> str:
        return f'Vocabulary({", ".join(self.names)})'


def _key(name: str) -> str:
    return ' '.join(name.casefold().split())


def _spread_color(index: int) -> Color:
    """Colours far apart for neighbouring indices: the hue advances by the golden ratio."""
    red, green, blue = colorsys.hsv_to_rgb((0.11 + index * 0.618034) % 1, 0.65, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


def _words(key: str, given: Any) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
        raise ValueError(f'{key} must be a list of strings, got {shown(given)}')
    return given


def _checked_entry(entry: Any) -> dict[str, Any]:
    """Refuse what a concept in a YAML file cannot be."""
    allowed = {'name', 'synonyms', 'parent', 'color', 'abbreviation', 'latin', 'descriptions'}
    if not isinstance(entry, Mapping) or not isinstance(entry.get('name'), str):
        raise ValueError(f'every concept is a mapping with a "name", got {shown(entry)}')
    name = shown(entry['name'])
    if unknown := set(entry) - allowed:
        raise ValueError(f'{name} has unknown keys {shown(sorted(map(str, unknown)))}; allowed: {sorted(allowed)}')
    for key in ('synonyms', 'descriptions'):
        _words(f'the {key} of {name}', entry.get(key, []))
    color = entry.get('color', [0, 0, 0])
    if not (isinstance(color, list) and len(color) == 3 and all(type(v) is int and 0 <= v <= 255 for v in color)):
        raise ValueError(f'the color of {name} must be [red, green, blue] from 0 to 255, got {shown(color)}')
    for key in ('parent', 'abbreviation', 'latin'):
        if not isinstance(entry.get(key, ''), str):
            raise ValueError(f'the {key} of {name} must be a text, in quotes, got {shown(entry[key])}')
    return dict(entry)


def _ancestors(name: str, parents: Mapping[str, str | None], names: Mapping[str, str]) -> tuple[str, ...]:
    """Follow the parents of ``name`` upwards."""
    found: list[str] = []
    parent = parents[_key(name)]
    while parent is not None:
        if len(found) >= _DEEPEST:
            raise ValueError(f'{shown(name)} has more than {_DEEPEST} ancestors, or its parents form a cycle')
        if _key(parent) not in names:
            raise ValueError(
                f'{shown((found or [name])[-1])} has the parent {shown(parent)}, which is not in the vocabulary'
            )
        parent = names[_key(parent)]
        if parent == name or parent in found:
            raise ValueError(f'the parents of {shown(name)} form a cycle through {shown(parent)}')
        found.append(parent)
        parent = parents[_key(parent)]
    return tuple(found)


@cache
def _built_in(path: Path) -> Vocabulary:
    """Read a file of the package once; what is made of it does not change."""
    return Vocabulary.from_yaml(path)
