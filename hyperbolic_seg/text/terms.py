"""Words beside the names of a vocabulary: adjectives such as "thin", and nouns that mean several concepts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hyperbolic_seg.text.phrases import normalize_phrase
from hyperbolic_seg.text.yaml_files import shown

if TYPE_CHECKING:
    from hyperbolic_seg.text.vocabulary import Concept, Vocabulary

Attributes = Mapping[str, tuple[str, ...]]
"""Values of every attribute by its name, such as ``{'thickness': ('thin', 'thick', 'opaque')}``."""
_KEYS = ('adjectives', 'nouns', 'members', 'values')


@dataclass(frozen=True)
class Term:
    """Adjectives and nouns of one meaning.

    Args:
        counts_as: The concept that a noun counts as, and that an adjective has to be said of, or of one below it.
        adjectives: Words before a name, such as "thin" in "thin cirrus".
        nouns: Phrases that stand alone, such as "rain cloud".
        members: Names of the concepts that are meant; empty for all of the concept.
        values: Values of attributes that are possible; all values of an attribute of which none is named.
    """

    counts_as: str
    adjectives: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


def read_terms(entries: Any) -> tuple[Term, ...]:
    """Return the terms of a vocabulary file, a list of mappings.

    Raises:
        ValueError: An entry has other keys, or a value of another type.
    """
    if not isinstance(entries, list):
        raise ValueError(f'terms must be a list of mappings, got {shown(entries)}')
    return tuple(map(_term, entries))


def _term(entry: Any) -> Term:
    if not isinstance(entry, Mapping) or not isinstance(entry.get('counts_as'), str):
        raise ValueError(f'every term is a mapping with "counts_as", the name of a concept, got {shown(entry)}')
    if unknown := set(entry) - {'counts_as', *_KEYS}:
        raise ValueError(f'a term has unknown keys {shown(sorted(map(str, unknown)))}; allowed: counts_as, {_KEYS}')
    for key in _KEYS:
        words = entry.get(key, [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f'{key} of a term must be a list of strings, got {shown(words)}')
    return Term(entry['counts_as'], **{key: tuple(entry.get(key, ())) for key in _KEYS})


def read_attributes(content: Any) -> dict[str, tuple[str, ...]]:
    """Return the attributes of a vocabulary file, a mapping from names to lists of values.

    Raises:
        ValueError: It is no such mapping, an attribute has fewer than two values, or a value is there twice.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f'attributes must map names to lists of values, got {shown(content)}')
    found = {}
    for name, values in content.items():
        if not isinstance(name, str) or not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise ValueError(f'attributes must map names to lists of values, got {shown({name: values})}')
        found[name] = tuple(values)
    every = [value for values in found.values() for value in values]
    if any(len(values) < 2 for values in found.values()) or len(set(every)) < len(every):
        raise ValueError(f'attributes {shown(found)}: expected at least two values of each, and no value twice')
    return found


def check_terms(terms: Iterable[Term], attributes: Attributes, vocabulary: Vocabulary) -> None:
    """Check that terms name concepts of a vocabulary and values of its attributes.

    Raises:
        ValueError: They do not, or a word is in two terms.
    """
    values, taken = {value for some in attributes.values() for value in some}, set[tuple[str, str]]()
    for term in terms:
        for name in (term.counts_as, *term.members):
            vocabulary.index_of(name)
        if unknown := set(term.values) - values:
            raise ValueError(f'a term has the values {sorted(unknown)}: the attributes have {sorted(values)}')
        if not (term.members or term.values):
            raise ValueError(f'the term {shown(term.adjectives + term.nouns)} says nothing: give it members or values')
        for kind, words in (('adjectives', term.adjectives), ('nouns', term.nouns)):
            for word in {normalize_phrase(word) for word in words}:
                if (kind, word) in taken:
                    raise ValueError(f'{shown(word)} is among the {kind} of two terms')
                taken.add((kind, word))


class Composer:
    """Reads prompts that are made of known words, such as "thin cirrus" and "thick dark clouds".

    Args:
        vocabulary: The known concepts, their attributes and terms.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._nouns = {normalize_phrase(noun): term for term in vocabulary.terms for noun in term.nouns}
        self._adjectives = {normalize_phrase(word): term for term in vocabulary.terms for word in term.adjectives}
        words = sorted(map(re.escape, self._adjectives), key=len, reverse=True)
        self._first = re.compile(rf'(?:very |and )?({"|".join(words)})(?:,? |$)') if words else None

    def is_noun(self, prompt: str) -> bool:
        """Return whether a prompt is a noun of a term."""
        return normalize_phrase(prompt) in self._nouns

    def read(self, prompt: str) -> tuple[int, Concept] | None:
        """Return the index of the concept that a prompt counts as, and what it means by its terms.

        ``None`` if there are none in it, if they contradict, or if they are said of something else.
        """
        rest, terms = normalize_phrase(prompt), list[Term]()
        while rest not in self._nouns and self._first and (match := self._first.match(rest)):
            terms.append(self._adjectives[match[1]])
            rest = rest[match.end() :]
        noun = self._nouns.get(rest)
        place = self.vocabulary.index_of(noun.counts_as) if noun else self.vocabulary.find(rest) if terms else None
        if place is None or any(term.counts_as not in self.vocabulary[place].lineage for term in terms):
            return None
        leaves, values = self._leaves(place, terms, noun), self._values([*terms, *([noun] if noun else [])])
        if not leaves or values is None:
            return None
        base = self.vocabulary[place]
        whole = leaves == self._below(base.name)
        meant = replace(base, name=prompt, ancestors=base.lineage, prompt=base.prompt or base.name, values=values)
        return place, meant if whole else replace(meant, members=tuple(leaves))

    def _leaves(self, place: int, terms: Sequence[Term], noun: Term | None) -> list[str]:
        """Return the names of the leaves that are meant."""
        # A noun may mean more than it counts as: "sky" is cloud too, and counts as clear sky.
        own = noun.members if noun and noun.members else (self.vocabulary[place].name,)
        said = [own, *(term.members for term in terms if term.members)]
        return [name for name in self._below(*own) if all(name in self._below(*names) for names in said)]

    def _below(self, *names: str) -> list[str]:
        """Return the names of the leaves at or below concepts."""
        parents = {concept.ancestors[0] for concept in self.vocabulary if concept.ancestors}
        above = {self.vocabulary[self.vocabulary.index_of(name)].name for name in names}
        leaves = (concept for concept in self.vocabulary if concept.name not in parents)
        return [leaf.name for leaf in leaves if above.intersection(leaf.lineage)]

    def _values(self, terms: Sequence[Term]) -> tuple[str, ...] | None:
        """Return the values that all terms allow, ``None`` if there is none of an attribute."""
        found = list[str]()
        for values in self.vocabulary.attributes.values():
            said = [set(term.values).intersection(values) for term in terms]
            said = [some for some in said if some]
            if said:
                left = set.intersection(*said)
                if not left:
                    return None
                found += [value for value in values if value in left]
        return tuple(found)
