"""What prompts mean to a vocabulary: a concept of it, something near its concepts, or nothing that is known."""

from typing import TYPE_CHECKING, Any

from hyperbolic_seg.app.cli.console import plain, print_json, print_status, quiet
from hyperbolic_seg.files import printable

if TYPE_CHECKING:
    from hyperbolic_seg.text import Concept, Familiarity, Vocabulary


def meanings_of(prompts: list[str], vocabulary: 'Vocabulary') -> list[dict[str, Any]]:
    """Return what prompts mean.

    Args:
        prompts: Prompts, several of one string separated by commas, synonyms of one by semicolons.
        vocabulary: The known concepts.

    Returns:
        For each prompt its ``name``; the ``concept`` that has it as a word, or ``None``; and if there is none the
        ``nearest`` concepts, ``similarity`` with the first of them, and whether that makes it ``known``.

    Raises:
        ImportError: The text encoder, which prompts in other words need, is not installed.
        ValueError: A prompt is empty.
    """
    with quiet():
        from hyperbolic_seg.text import Familiarity, OpenCLIPTextEncoder, Vocabulary

        names = [name.strip() for given in prompts for name in given.split(',')]
        familiarity = Familiarity(vocabulary, OpenCLIPTextEncoder())
        return [_meaning(concept, familiarity) for concept in Vocabulary.from_prompts(names)]


def print_meanings(meanings: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print what prompts mean, as JSON or a line for each, and on standard error which are not known."""
    if as_json:
        print_json(meanings, indent=2)
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table('prompt', 'meaning')
        for meaning in meanings:
            table.add_row(*(plain(printable(cell)) for cell in (meaning['name'], _in_words(meaning))))
        Console().print(table)
    unknown = [printable(meaning['name']) for meaning in meanings if not meaning['known']]
    print_status(f'{len(meanings) - len(unknown)} of {len(meanings)} prompts are known')
    for name in unknown:
        print_status(f'note: {name!r} is not known here, and what is found by it is a guess')


def _meaning(concept: 'Concept', familiarity: 'Familiarity') -> dict[str, Any]:
    found = familiarity.concept_of(concept)
    if found is not None:
        return dict(name=concept.name, concept=found.name, known=True)
    from hyperbolic_seg.text import Vocabulary

    ((near, unknown),) = familiarity.compare(Vocabulary([concept]))
    similar = dict(nearest=list(near.nearest), similarity=round(near.similarity, 3))
    return dict(name=concept.name, concept=None, known=not unknown, **similar)


def _in_words(meaning: dict[str, Any]) -> str:
    if meaning['concept'] is not None:
        return str(meaning['concept'])
    nearest = f'{", ".join(meaning["nearest"])} ({meaning["similarity"]:.2f})'
    return f'near {nearest}' if meaning['known'] else f'not known; nearest known: {nearest}'
