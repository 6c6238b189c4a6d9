"""Classification of prompts for cloud cover: clear sky, cloud, or no part of the sky.

The taxonomy of the sky knows the words of clouds, and many of what hides them. Its words train models, so that words of
none of its nodes, and those that people put others before, are here.
"""

from functools import lru_cache
from typing import NamedTuple

from hyperbolic_seg.sky.defaults import CLEAR_SKY, CLOUD, NOT_SKY, load_taxonomy
from hyperbolic_seg.text import Concept, Vocabulary
from hyperbolic_seg.text.phrases import normalize_phrase

_OBJECTS = (
    'aerial, antenna, bird, branch, bridge, building, bush, cable, camera, car, chimney, cliff, crane, dome, '
    'drone, face, fence, flag, flagpole, foliage, forest, grass, ground, hand, hill, hillside, horizon, house, '
    'instrument, insect, ladder, lamp, lamp post, land, landscape, leaf, leaves, lightning rod, logo, mast, '
    'mountain, mountains, object, observatory, person, people, pole, post, power line, roof, rooftop, rim, '
    'scaffold, skyline, skyscraper, spider, spider web, steeple, street, street lamp, structure, telescope, '
    'telescope dome, text, timestamp, tower, tree, treetop, tripod, vegetation, wall, water, sea, ocean, lake, '
    'window, wind turbine, wire, dew, dirt, frost, ice on the dome, snow, snow on the dome, snow on the lens'
)
_CLEAR = (
    'sky, night sky, clear night sky, starry sky, star sky, dark sky, dark clear sky, clear, cloud-free sky, '
    'cloud free sky, cloudless night sky, clear day sky, clear blue sky, open sky, twilight sky, evening sky, '
    'dawn sky, bare sky'
)
_SAID = {
    CLEAR_SKY: 'star, planet, venus, milky way, galaxy, aurora, northern lights, airglow, meteor, '
    'shooting star, satellite, rainbow',
    CLOUD: 'fog, mist, freezing fog, fog bank, sea fog',
    NOT_SKY: 'haze, smoke, smog, wildfire smoke, dust, desert dust, sand, sandstorm, dust storm, ash, volcanic ash, '
    'rain, halo',
}
"""Words that are none of the three by their meaning. They are assigned to one, and a note tells the user which."""


class Kind(NamedTuple):
    """The kind of a concept, and a note for the user."""

    name: str
    """``'clear sky'``, ``'cloud'`` or ``'not sky'``, which is left out of the cover."""
    note: str | None = None
    """Tells the user that the kind is an assignment or a guess; ``None`` where the kind is plain from the word."""


def _words(listed: str) -> frozenset[str]:
    return frozenset(word.strip() for word in listed.split(','))


_KNOWN = {NOT_SKY: _words(_OBJECTS), CLEAR_SKY: _words(_CLEAR)}
_KNOWN_BUT_SAID = {kind: _words(listed) for kind, listed in _SAID.items()}
_MEANING = {CLEAR_SKY: 'clear sky', CLOUD: 'cloud', NOT_SKY: 'no sky, which is left out of the cover'}


def kind_of(concept: Concept) -> Kind:
    """Return what a concept counts as.

    That is the kind of the concept itself, or of any of its phrases, in the taxonomy of the sky, or else in the words
    above; names of objects may have words before them ("red brick house"). A concept that neither knows counts as
    cloud, since a sky that is called clear by mistake does more harm, and its note says so.
    """
    sky = load_taxonomy()
    phrases = [normalize_phrase(phrase) for phrase in (concept.name, *concept.phrases)]
    known = [sky.nodes[node] for node in map(sky.nodes.find, concept.phrases) if node is not None]
    kinds = sky.at_depth(1)
    found = {kinds[index].name for index in map(kinds.nearest, (concept, *known)) if index is not None}
    if not found:
        for name, words in _KNOWN.items():
            found |= {name for phrase in phrases if _is_in(words, phrase, last_alone=name == NOT_SKY)}
    for name in (CLEAR_SKY, NOT_SKY, CLOUD):
        if name in found:
            return Kind(name)
    for name, words in _KNOWN_BUT_SAID.items():
        if any(_is_in(words, phrase) for phrase in phrases):
            return Kind(name, f'{concept.name!r} counts as {_MEANING[name]}')
    return Kind(
        CLOUD,
        f'{concept.name!r} is no word that is known here, in English, so that it counts as cloud is a guess. If it is '
        'clear sky or hides the sky, add a phrase that says so: "azure; clear sky", "kran; obstruction"',
    )


@lru_cache(maxsize=16)  # asked for every picture
def speaks_of_sky(vocabulary: Vocabulary) -> bool:
    """Return whether a class of a vocabulary is known to be clear sky or cloud."""
    found = map(kind_of, vocabulary)
    return any(kind.name != NOT_SKY and kind.note is None for kind in found)


def _is_in(words: frozenset[str], phrase: str, *, last_alone: bool = False) -> bool:
    """Return whether a phrase is one of the words, in the singular or plural, or ends in one if ``last_alone``."""
    phrase = phrase.removeprefix('the ').removeprefix('a ').removeprefix('an ')
    forms = [phrase, phrase.removesuffix('s'), phrase.removesuffix('es')]
    if last_alone and ' ' in phrase:
        last = phrase.rsplit(' ', 1)[1]
        forms += [last, last.removesuffix('s'), last.removesuffix('es')]
    return not words.isdisjoint(forms)
