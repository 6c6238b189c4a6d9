"""Vocabularies: the concepts that a model can name, with synonyms, ancestors and colors."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hyperbolic_seg.files import printable
from hyperbolic_seg.text.label_sets import numbered_sets
from hyperbolic_seg.text.phrases import normalize_phrase
from hyperbolic_seg.text.terms import Attributes, Composer, Term, check_terms, read_attributes, read_terms
from hyperbolic_seg.text.yaml_files import read_yaml, shown

ENTRY_POINTS = 'hyperbolic_seg.vocabularies'
"""Group of entry points. Each names a package of YAML files; a file's stem is the name of its vocabulary."""
MAX_BYTES = 2**20
"""Limit of the size of a vocabulary file; the largest built-in one has 88 kB."""
Color = tuple[int, int, int]

_BESIDE = {'sets', 'attributes', 'terms'}
_LISTS = ('synonyms', 'descriptions', 'wordings')  # keys of a concept that are lists of phrases
_LONGEST_CHAIN = 16  # files, each a selection of the next
_LANGUAGE = re.compile(r'[a-z]{2,3}(-[A-Za-z0-9]+)*')
_DEEPEST = 64  # ancestors of a concept; without a limit, a chain takes memory by the square of its length


@dataclass(frozen=True)
class Concept:
    """Class of pixels with a name.

    Args:
        name: Name, unique in a vocabulary; letter case makes no difference.
        synonyms: Further phrases; the text encoder averages their embeddings with that of the name.
        ancestors: Names of the concepts above this one, nearest first.
        color: RGB, 0 to 255; ``None`` lets the vocabulary choose.
        abbreviation: Short form, which prompts may use too.
        latin: Scientific name.
        prompt: Phrase that the text encoder sees in place of the name, such as ``'pot'`` for the class
            ``'pot, flowerpot'``; ``None`` for the name itself.
        descriptions: Plain-language phrases that the text encoder does not see unless typed as a prompt.
        names: Names in other languages as pairs of a language (ISO 639) and a name, which prompts may use too; the text
            encoder does not see them.
        wordings: What people say where they mean the concept. The text encoder does not see them as phrases of the
            concept; they tell what prompts mean that are not known, see :class:`~hyperbolic_seg.text.PhraseReader`.
        members: Names of the concepts that are meant, where they are not all that lies below this one: those of
            "patterned cloud" are three genera.
        values: Values of attributes that are meant, such as "thin"; all values of an attribute of which none is named.
    """

    name: str
    synonyms: tuple[str, ...] = ()
    ancestors: tuple[str, ...] = ()
    color: Color | None = None
    abbreviation: str | None = None
    latin: str | None = None
    prompt: str | None = None
    descriptions: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    wordings: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def phrases(self) -> tuple[str, ...]:
        """The name, or the prompt in its place, and the synonyms, which the text encoder sees."""
        return (self.prompt or self.name, *self.synonyms)

    @property
    def lineage(self) -> tuple[str, ...]:
        """The name and its ancestors, nearest first."""
        return (self.name, *self.ancestors)

    def under(self, name: str) -> Concept:
        """Return the concept renamed to one of its own phrases or names, spelled as given; unchanged for others."""
        given = normalize_phrase(name)
        others = tuple(phrase for phrase in self.phrases if normalize_phrase(phrase) != given)
        if len(others) < len(self.phrases):
            return replace(self, name=name, synonyms=others, prompt=None)
        if given in {normalize_phrase(foreign) for _, foreign in self.names}:
            return replace(self, name=name, prompt=self.phrases[0])  # the text encoder sees what it saw before
        return self


@cache
def built_in_vocabularies() -> dict[str, Path]:
    """Return the vocabulary files of this and other installed packages by name; see :data:`ENTRY_POINTS`."""
    folders = [Path(__file__).parent / 'vocabularies']
    for point in sorted(entry_points(group=ENTRY_POINTS)):
        spec = find_spec(point.value)
        folders += [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    return {file.stem: file for folder in reversed(folders) for file in sorted(folder.glob('*.yaml'))}


class Vocabulary(Sequence[Concept]):
    """An ordered list of concepts; the position of a concept is its class index.

    Args:
        concepts: The concepts. The vocabulary chooses a color for those without one.
        sets: Names of concepts that a label may leave open, such as ``[['clear sky', 'cloud']]``; see
            :class:`~hyperbolic_seg.text.LabelSet`.
        attributes: Values of every attribute by its name; the place of a value among all is its bit in label files.
        terms: Words beside the names, see :class:`~hyperbolic_seg.text.Term`.

    Raises:
        ValueError: There is no concept, a name is empty, two concepts share a name, or a set or term is not valid.
    """

    def __init__(
        self,
        concepts: Iterable[Concept],
        *,
        sets: Sequence[Sequence[str]] = (),
        attributes: Attributes | None = None,
        terms: Sequence[Term] = (),
    ) -> None:
        self._concepts = tuple(concepts)
        if not self._concepts:
            raise ValueError('a vocabulary needs at least one concept, got none')
        self._index: dict[str, int] = {}
        for position, concept in enumerate(self._concepts):
            if not concept.name.strip():
                raise ValueError(f'the concept at position {position} of the vocabulary has an empty name')
            if normalize_phrase(concept.name) in self._index:
                raise ValueError(f'{concept.name!r} stands twice in the vocabulary: names must be unique')
            self._index[normalize_phrase(concept.name)] = position
        self.label_sets = numbered_sets(sets, self)
        self.attributes, self.terms = dict(attributes or {}), tuple(terms)
        check_terms(self.terms, self.attributes, self)

    @classmethod
    def load(cls, source: str | Path | Sequence[str] | Vocabulary, *, known: Vocabulary | None = None) -> Vocabulary:
        """Make a vocabulary from the value of a config or a command line.

        Args:
            source: Name of a built-in vocabulary such as ``'ade20k'``, path of a YAML file, list of prompts, or a
                vocabulary, which is returned unchanged.
            known: Vocabulary that completes a list of prompts, see :meth:`from_prompts`.

        Raises:
            OSError: No such file or built-in vocabulary (``FileNotFoundError``), or the file cannot be read.
            ValueError: The file or the list is not a valid vocabulary.
            TypeError: The list holds something other than strings.
        """
        if isinstance(source, Vocabulary):
            return source
        if isinstance(source, (str, Path)):
            built_in = built_in_vocabularies().get(str(source))
            return cls.from_yaml(source) if built_in is None else _built_in(built_in)
        return cls.from_prompts(source, known=known)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Vocabulary:
        """Read a YAML file of concepts, or of a selection from another vocabulary.

        A file of concepts has the key ``concepts``, a list of mappings with ``name``, ``synonyms``, ``parent``,
        ``color``, ``abbreviation``, ``latin``, ``prompt``, ``descriptions``, ``wordings`` and ``names``, a mapping from
        languages to lists of names. A selection has ``base``, a built-in vocabulary or a file in the same folder
        without its suffix, and ``select``, a list of names, or all without it; ``synonyms`` gives other ones to some of
        them, or the number of the first ones to keep. Both may have ``sets``, lists of names that a label leaves open;
        ``attributes``, lists of values by name; and ``terms``, mappings with ``counts_as``, ``adjectives``, ``nouns``,
        ``members`` and ``values`` (:class:`~hyperbolic_seg.text.Term`). A selection of all has those of its base.

        Raises:
            OSError: No such file (``FileNotFoundError``), or it cannot be read.
            ValueError: The file is not regular, too large, not plain YAML, not a valid vocabulary, or its own base.
        """
        return cls._from_yaml(Path(path), ())

    @classmethod
    def _from_yaml(cls, path: Path, above: tuple[Path, ...]) -> Vocabulary:
        """Read a file; ``above`` are the selections that led to it."""
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
        sets = content.get('sets', [])
        if not isinstance(sets, list):
            raise ValueError(f'sets must be a list of lists of names, got {shown(sets)}')
        sets = [_words('a set', names) for names in sets]
        attributes, terms = read_attributes(content.get('attributes', {})), read_terms(content.get('terms', []))
        if 'base' in content and len(content) > 1 and set(content) <= {'base', 'select', 'synonyms', *_BESIDE}:
            chosen = cls._base(content['base'], folder, above)
            if 'select' in content:
                chosen = chosen.subset(_words('select', content['select']))
            attributes, terms = {**chosen.attributes, **attributes}, (*chosen.terms, *terms)
            concepts = chosen._with_synonyms(content.get('synonyms', {}))
            return cls(concepts, sets=sets, attributes=attributes, terms=terms)
        if set(content) - _BESIDE != {'concepts'} or not isinstance(content['concepts'], list):
            keys = shown(list(content))
            raise ValueError(f'expected the key "concepts" with a list, or "base" and "select", got {keys}')
        entries = [_checked_entry(entry) for entry in content['concepts']]
        parents = {normalize_phrase(entry['name']): entry.get('parent') for entry in entries}
        names = {normalize_phrase(entry['name']): entry['name'] for entry in entries}
        concepts = [
            Concept(
                name=entry['name'],
                synonyms=tuple(entry.get('synonyms', ())),
                ancestors=_ancestors(entry['name'], parents, names),
                color=tuple(entry['color']) if 'color' in entry else None,
                abbreviation=entry.get('abbreviation'),
                latin=entry.get('latin'),
                prompt=entry.get('prompt'),
                descriptions=tuple(entry.get('descriptions', ())),
                wordings=tuple(entry.get('wordings', ())),
                names=tuple((language, name) for language, names in entry.get('names', {}).items() for name in names),
            )
            for entry in entries
        ]
        return cls(concepts, sets=sets, attributes=attributes, terms=terms)

    @classmethod
    def _base(cls, name: Any, folder: Path, above: tuple[Path, ...]) -> Vocabulary:
        """Read the base of a selection: a file in the same folder, or else a built-in vocabulary."""
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
        """Make a vocabulary from free text.

        Args:
            prompts: One prompt per class, such as ``['road', 'car']``. Synonyms may follow a semicolon:
                ``'car; automobile'``.
            known: Vocabulary that completes prompts, such as the nodes of a taxonomy. A prompt that is the name, Latin
                name, abbreviation, a synonym or a name in another language of one of its concepts gets that concept's
                phrases, ancestors and color. It keeps its spelling as a name, unless it is a Latin name or an
                abbreviation, which the text encoder never sees. A prompt of its terms, such as "thin cirrus", gets what
                they mean. ``None`` takes every prompt as it is.

        Raises:
            TypeError: ``prompts`` is a string or holds something other than strings.
            ValueError: A prompt is empty, there is none, or two prompts mean the same concept.

        Example:
            >>> streets = Vocabulary([Concept('car', ('automobile',), ancestors=('vehicle',))])
            >>> [concept.lineage for concept in Vocabulary.from_prompts(['Automobile', 'van; lorry'], known=streets)]
            [('Automobile', 'vehicle'), ('van',)]
        """
        if isinstance(prompts, (str, bytes)) or not all(isinstance(prompt, str) for prompt in prompts):
            raise TypeError(f'prompts must be a list of strings, such as ["road", "car"], got {shown(prompts)}')
        concepts: list[Concept] = []
        typed: dict[tuple[Any, ...], str] = {}
        for prompt in prompts:
            name, *synonyms = (phrase.strip() for phrase in prompt.split(';'))
            if not name or not all(synonyms):
                raise ValueError(f'an empty prompt in {shown(list(prompts))}')
            found = None if synonyms or known is None else known.meaning_of(name)
            if found is None or known is None:
                concepts.append(Concept(name, tuple(synonyms)))
                continue
            place, concept = found
            same = (place, concept.members, concept.values)
            if same in typed and normalize_phrase(typed[same]) != normalize_phrase(name):
                raise ValueError(f'{typed[same]!r} and {name!r} name the same concept, {known[place].name!r}: keep one')
            typed[same] = name
            concepts.append(concept)
        return cls(concepts)

    def _with_synonyms(self, others: Any) -> list[Concept]:
        """Return the concepts with other synonyms of some, given by name."""
        if not isinstance(others, Mapping):
            raise ValueError(f'synonyms must map names to lists of phrases, got {shown(others)}')
        concepts: list[Concept] = list(self)
        for name, words in others.items():
            place = self.index_of(name)
            first = type(words) is int and 0 <= words <= len(self[place].synonyms)
            chosen = self[place].synonyms[:words] if first else _words(f'the synonyms of {shown(name)}', words)
            concepts[place] = replace(concepts[place], synonyms=tuple(chosen))
        return concepts

    def subset(self, names: Sequence[str]) -> Vocabulary:
        """Return the named concepts, in the given order.

        Raises:
            ValueError: A name is not in the vocabulary.
        """
        return Vocabulary(self[self.index_of(name)] for name in names)

    def without_attributes(self) -> Vocabulary:
        """Return the vocabulary of a model that tells no attributes: without them and the terms that name them."""
        terms = [term for term in self.terms if not term.values]
        return Vocabulary(self, sets=[s.members for s in self.label_sets], terms=terms) if self.attributes else self

    def index_of(self, name: str) -> int:
        """Return the class index of a name; letter case makes no difference.

        Raises:
            ValueError: The name is not in the vocabulary.
        """
        if name not in self:
            names = ', '.join(self.names)
            names = names if len(names) <= 1000 else f'{names[:1000]} ...'
            raise ValueError(f'{shown(name)} is not in the vocabulary, which holds: {names}')
        return self._index[normalize_phrase(name)]

    def find(self, word: str) -> int | None:
        """Return the index of the concept with this name, or else with this Latin name, abbreviation or synonym.

        Names in other languages come last. Letter case matters for abbreviations only. ``None`` if no concept matches,
        or more than one.
        """
        if word in self:
            return self.index_of(word)
        matches = {*self._indices_of_word.get(normalize_phrase(word), ())}
        matches |= {index for index, concept in enumerate(self) if concept.abbreviation == word}
        matches = matches or {*self._indices_of_foreign_name.get(normalize_phrase(word), ())}
        return matches.pop() if len(matches) == 1 else None

    def meaning_of(self, prompt: str) -> tuple[int, Concept] | None:
        """Return what a prompt means here: by a noun of the terms, a name, or adjectives before a name.

        Returns:
            The index of the concept that the prompt counts as, and the concept that it means. It is called as the
            prompt is spelled, unless that is a Latin name or an abbreviation, which the text encoder never sees.
            ``None`` if the prompt is not known, or names several concepts.
        """
        place = None if self._composer.is_noun(prompt) else self.find(prompt)
        return self._composer.read(prompt) if place is None else (place, self[place].under(prompt))

    @cached_property
    def _composer(self) -> Composer:
        return Composer(self)

    @cached_property
    def _indices_of_word(self) -> dict[str, list[int]]:
        """Concepts by their normalized synonyms and Latin names."""
        indices: dict[str, list[int]] = {}
        for index, concept in enumerate(self):
            for word in (*concept.synonyms, concept.latin or concept.name):
                indices.setdefault(normalize_phrase(word), []).append(index)
        return indices

    @cached_property
    def _indices_of_foreign_name(self) -> dict[str, list[int]]:
        """Concepts by their normalized names in other languages."""
        indices: dict[str, list[int]] = {}
        for index, concept in enumerate(self):
            for word in {normalize_phrase(name) for _, name in concept.names}:
                indices.setdefault(word, []).append(index)
        return indices

    def nearest(self, concept: Concept) -> int | None:
        """Return the index of the concept here, or else of its nearest ancestor; ``None`` if neither is here."""
        return next((self._index[normalize_phrase(name)] for name in concept.lineage if name in self), None)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in class order."""
        return tuple(concept.name for concept in self)

    @property
    def palette(self) -> list[list[int]]:
        """RGB colors in class order."""
        return [list(concept.color or _spread_color(i)) for i, concept in enumerate(self)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and normalize_phrase(name) in self._index

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


def check_enough(vocabulary: Vocabulary) -> None:
    """Raise ``ValueError`` for fewer than two concepts, which leave nothing to tell apart."""
    if len(vocabulary) < 2:
        raise ValueError(
            f'expected at least two prompts, got {list(vocabulary.names)}: add one for the rest of the image, for '
            'example "background"'
        )


def _spread_color(index: int) -> Color:
    """Return a color that differs clearly from those of neighboring indices: hues advance by the golden ratio."""
    red, green, blue = colorsys.hsv_to_rgb((0.11 + index * 0.618034) % 1, 0.65, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


def _words(key: str, given: Any) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
        raise ValueError(f'{key} must be a list of strings, got {shown(given)}')
    return given


def _check_names(concept: str, names: Any) -> None:
    if not isinstance(names, Mapping) or not all(isinstance(key, str) and _LANGUAGE.fullmatch(key) for key in names):
        raise ValueError(
            f'the names of {concept} must be a mapping from languages such as de (in quotes where YAML reads no text: '
            f'"no") to lists of names, got {shown(names)}'
        )
    for language, given in names.items():
        _words(f'the names of {concept} in {language}', given)


def _checked_entry(entry: Any) -> dict[str, Any]:
    """Return a concept of a YAML file as a mapping with checked keys and types."""
    allowed = {
        'name',
        'synonyms',
        'parent',
        'color',
        'abbreviation',
        'latin',
        'prompt',
        'descriptions',
        'names',
        'wordings',
    }
    if not isinstance(entry, Mapping) or not isinstance(entry.get('name'), str):
        raise ValueError(f'every concept is a mapping with a "name", got {shown(entry)}')
    name = shown(entry['name'])
    if unknown := set(entry) - allowed:
        raise ValueError(f'{name} has unknown keys {shown(sorted(map(str, unknown)))}; allowed: {sorted(allowed)}')
    for key in _LISTS:
        _words(f'the {key} of {name}', entry.get(key, []))
    _check_names(name, entry.get('names', {}))
    color = entry.get('color', [0, 0, 0])
    if not (isinstance(color, list) and len(color) == 3 and all(type(v) is int and 0 <= v <= 255 for v in color)):
        raise ValueError(f'the color of {name} must be [red, green, blue] from 0 to 255, got {shown(color)}')
    for key in ('parent', 'abbreviation', 'latin', 'prompt'):
        if not isinstance(entry.get(key, ''), str):
            raise ValueError(f'the {key} of {name} must be a text, in quotes, got {shown(entry[key])}')
    return dict(entry)


def _ancestors(name: str, parents: Mapping[str, str | None], names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the ancestors of a concept, nearest first."""
    found: list[str] = []
    parent = parents[normalize_phrase(name)]
    while parent is not None:
        if len(found) >= _DEEPEST:
            raise ValueError(f'{shown(name)} has more than {_DEEPEST} ancestors, or its parents form a cycle')
        if normalize_phrase(parent) not in names:
            raise ValueError(
                f'{shown((found or [name])[-1])} has the parent {shown(parent)}, which is not in the vocabulary'
            )
        parent = names[normalize_phrase(parent)]
        if parent == name or parent in found:
            raise ValueError(f'the parents of {shown(name)} form a cycle through {shown(parent)}')
        found.append(parent)
        parent = parents[normalize_phrase(parent)]
    return tuple(found)


@cache
def _built_in(path: Path) -> Vocabulary:
    """Read a built-in file once; vocabularies are immutable."""
    return Vocabulary.from_yaml(path)
