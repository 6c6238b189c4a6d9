"""The words that a promptable file knows: prompts that are nodes of its taxonomy, without any text encoder."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any, NamedTuple

from hyperbolic_seg.files import printable
from hyperbolic_seg.text import (
    Concept,
    Expansion,
    Taxonomy,
    Term,
    Vocabulary,
    check_enough,
    in_edition,
    in_names_of,
    kinds,
    normalize_phrases,
    with_later_words,
)

__all__ = ['Choice', 'KnownWords']


class Choice(NamedTuple):
    """Prompts in the form that a promptable file takes."""

    vocabulary: Vocabulary
    """The prompts, completed."""
    meanings: Vocabulary
    """What every prompt counts as in the taxonomy; see :func:`~hyperbolic_seg.text.in_edition`."""
    rows: list[int]
    """Rows of the embeddings in the file, one for each word to compare with."""
    concept_of_word: list[int]
    """Place of the prompt that each word belongs to."""
    kinds: list[int]
    """Number of the kind of every prompt; see :func:`~hyperbolic_seg.text.kinds`."""
    asked: list[list[float]]
    """Logarithm of the share that its prompt has of each word, and 1 for every value of an attribute that may be."""
    placed: Vocabulary
    """The prompts in the names of the taxonomy; see :func:`~hyperbolic_seg.text.in_names_of`."""


class KnownWords:
    """The vocabulary of a training, its taxonomy, and the words whose embeddings a file has.

    Args:
        trained: Vocabulary of the training.
        rows: Normalized phrases of the words whose embeddings the file has, in the order of its rows.
        taxonomy: The taxonomy; ``None`` without one.
        later: ``known_words`` of the head: words of a later edition of the taxonomy, or without one the vocabulary that
            completes prompts.
        attributes: The file tells the attributes of the taxonomy.
    """

    def __init__(
        self,
        trained: Vocabulary,
        rows: Sequence[Sequence[str]],
        *,
        taxonomy: Taxonomy | None = None,
        later: Vocabulary | None = None,
        attributes: bool = False,
    ) -> None:
        self.trained, self.taxonomy, self._later, self._tells = trained, taxonomy, later, attributes
        self._rows = {tuple(phrases): row for row, phrases in enumerate(rows)}

    @cached_property
    def completing(self) -> Vocabulary | None:
        """The vocabulary that completes prompts given as a list."""
        if self.taxonomy is None:
            known = self._later
        else:
            known = self.taxonomy.nodes if self._later is None else with_later_words(self.taxonomy, self._later)
        return known if known is None or self._tells else known.without_attributes()

    @property
    def attributes(self) -> dict[str, tuple[str, ...]]:
        """Values of the attributes that the file tells, by name."""
        return self.taxonomy.nodes.attributes if self.taxonomy is not None and self._tells else {}

    def choose(self, prompts: str | Sequence[str] | Vocabulary | None) -> Choice:
        """Return prompts in the form that the file takes; ``None`` stands for the vocabulary of the training.

        Args:
            prompts: See :meth:`~hyperbolic_seg.text.Vocabulary.load`.

        Raises:
            ValueError: A prompt is not known to the file, two mean the same, or there are fewer than two.
        """
        vocabulary = Vocabulary.load(self.trained if prompts is None else prompts, known=self.completing)
        meanings, tree = vocabulary, self.taxonomy
        if tree is not None and self._later is not None:
            meanings = in_edition(vocabulary, tree, self._later)
        check_enough(meanings)
        words, concept_of_word, values, shares = Expansion.of(meanings) if tree is None else tree.expand(meanings)
        rows = [self._rows.get(normalize_phrases(word.phrases)) for word in words]
        if strange := [word.name for word, row in zip(words, rows, strict=True) if row is None]:
            raise ValueError(
                f'{", ".join(repr(printable(name)) for name in strange)} cannot be asked of this file, which has no '
                f'text encoder: expected names, synonyms or abbreviations of {", ".join(self._names)}. The whole '
                "installation takes any words: pip install 'hyperbolic-seg[mmseg,offline,app]', and --runtime torch"
            )
        placed = vocabulary if tree is None else in_names_of(tree, vocabulary)
        of_kinds = kinds(placed, None if tree is None else tree.root)
        asked = [[math.log(share), *self._asked(some)] for some, share in zip(values, shares, strict=True)]
        known = [row for row in rows if row is not None]
        return Choice(vocabulary, meanings, known, concept_of_word, of_kinds, asked, placed)

    def _asked(self, values: Sequence[str]) -> list[float]:
        """Return 1 for every value that may be: those that are named, and all of an attribute of which none is."""
        some = [
            (value, set(values).intersection(of_one) or of_one)
            for of_one in self.attributes.values()
            for value in of_one
        ]
        return [float(value in allowed) for value, allowed in some]

    @property
    def _names(self) -> tuple[str, ...]:
        return self.trained.names if self.taxonomy is None else self.taxonomy.nodes.names

    def to_json(self) -> str:
        """Return the words as the text that :meth:`from_json` reads."""
        nodes = None if self.taxonomy is None else self.taxonomy.nodes
        parts = dict(trained=self.trained, taxonomy=nodes, later=self._later)
        listed = {name: part and [asdict(one) for one in part] for name, part in parts.items()}
        terms = [asdict(term) for term in (nodes.terms if nodes is not None else ())]
        beside = dict(attributes=nodes.attributes if nodes is not None else {}, terms=terms, tells=self._tells)
        return json.dumps(listed | beside | dict(rows=list(self._rows)))

    @classmethod
    def from_json(cls, text: str) -> 'KnownWords':
        """Read what :meth:`to_json` has written.

        Raises:
            ValueError: The text is something else.
        """
        try:
            content = json.loads(text)
            trained, nodes, later = (_vocabulary(content[name]) for name in ('trained', 'taxonomy', 'later'))
            if trained is None:
                raise ValueError('it names no vocabulary')
            attributes = {name: tuple(values) for name, values in content['attributes'].items()}
            terms = [Term(**{name: _frozen(value) for name, value in term.items()}) for term in content['terms']]
            tree = None if nodes is None else Taxonomy(Vocabulary(nodes, attributes=attributes, terms=terms))
            return cls(trained, content['rows'], taxonomy=tree, later=later, attributes=bool(content['tells']))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f'its words cannot be read ({type(error).__name__}: {str(error)[:200]})') from error


def _vocabulary(concepts: Any) -> Vocabulary | None:
    if concepts is None:
        return None
    return Vocabulary(Concept(**{name: _frozen(value) for name, value in one.items()}) for one in concepts)


def _frozen(value: Any) -> Any:
    """Return lists as tuples, which concepts are made of."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
