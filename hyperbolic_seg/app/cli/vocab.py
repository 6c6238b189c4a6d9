"""``hyperbolic-seg vocab``: check and show a vocabulary or a taxonomy."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hyperbolic_seg.app.cli.console import fail, plain, print_json, print_status, quiet
from hyperbolic_seg.app.cli.words import meanings_of, print_meanings
from hyperbolic_seg.files import printable, write_whole

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from hyperbolic_seg.text import Concept, Taxonomy, Vocabulary

SHOWN_SYNONYMS = 3
"""Synonyms of a concept in the tree; JSON holds all."""


def vocab(
    source: Annotated[str, typer.Argument(help='A YAML file, or the name of a built-in vocabulary.')] = 'sky',
    draw: Annotated[Path | None, typer.Option(help='Draw the taxonomy to this file: .png, .svg or .pdf.')] = None,
    prompts: Annotated[
        list[str] | None, typer.Option('--prompts', '-p', help='Say what these prompts mean, instead of the tree.')
    ] = None,
    as_json: Annotated[bool, typer.Option('--json', help='Print the concepts, or the prompts, as JSON.')] = False,
) -> None:
    """Check a vocabulary, and show it as a tree with label ids and synonyms.

    For example:

    hyperbolic-seg vocab                          the taxonomy of the sky

    hyperbolic-seg vocab my_clouds.yaml --draw my_clouds.svg

    hyperbolic-seg vocab coco_stuff --json

    hyperbolic-seg vocab --prompts "Haufenwolken, sheep's wool, bird bath"

    Exit codes: 0 it is valid, 2 it is not, and the message says where.
    """
    try:
        with quiet():
            from hyperbolic_seg.text import Vocabulary

            vocabulary = Vocabulary.load(source)
            taxonomy = as_taxonomy(vocabulary) if draw is not None or has_inner_nodes(vocabulary) else None
        if draw is not None and taxonomy is not None:
            draw_to(draw, taxonomy)
        meanings = None if prompts is None else meanings_of(prompts, vocabulary)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        fail(error)
    if meanings is not None:
        print_meanings(meanings, as_json=as_json)
    elif as_json:
        print_json([_record(number, concept) for number, concept in enumerate(vocabulary)], indent=2)
    else:
        from rich.console import Console

        Console().print(_tree(source, vocabulary))
    kind = 'a flat list'
    if taxonomy is not None:
        kind = f'a taxonomy with {len(taxonomy.leaves)} leaves below {printable(taxonomy.root)}'
    print_status(f'{printable(source)} is valid: {len(vocabulary)} concepts, {kind}')


def has_inner_nodes(vocabulary: 'Vocabulary') -> bool:
    """Return whether concepts have parents that are in the vocabulary; a selection of leaves counts as a flat list."""
    parents = {concept.ancestors[0] for concept in vocabulary if concept.ancestors}
    return bool(parents) and all(parent in vocabulary for parent in parents)


def as_taxonomy(vocabulary: 'Vocabulary') -> 'Taxonomy':
    """Return the taxonomy of a vocabulary with parents.

    Raises:
        ValueError: The concepts do not form a tree.
    """
    from hyperbolic_seg.text import Taxonomy

    return Taxonomy(vocabulary)


def draw_to(file: Path, taxonomy: 'Taxonomy') -> None:
    """Draw a taxonomy to a file.

    Raises:
        OSError: The file cannot be written.
        ValueError: The suffix is not that of a figure.
    """
    with quiet():
        from hyperbolic_seg.visualization import draw_taxonomy

        figure = draw_taxonomy(taxonomy)
        kind = file.suffix[1:]
        if kind not in figure.canvas.get_supported_filetypes():
            raise ValueError(f'--draw {printable(file)}: expected a suffix such as .png, .svg or .pdf')
        content = io.BytesIO()
        figure.savefig(content, format=kind, bbox_inches='tight')
    write_whole(file, content.getvalue())
    print_status(f'drawn to {printable(file)}')


def _tree(source: str, vocabulary: 'Vocabulary') -> 'Tree':
    from rich.tree import Tree

    tree = Tree(plain(printable(Path(source).stem)), guide_style='dim')
    branches: dict[str, Tree] = {}
    pending = list(enumerate(vocabulary))
    while pending:
        ready = [item for item in pending if not item[1].ancestors or item[1].ancestors[0] in branches]
        ready = ready or pending  # parents outside the vocabulary: a flat list
        for number, concept in ready:
            parent = branches.get(concept.ancestors[0], tree) if concept.ancestors else tree
            branches[concept.name] = parent.add(_line(number, concept))
        pending = [item for item in pending if item[1].name not in branches]
    return tree


def _line(number: int, concept: 'Concept') -> 'Text':
    from rich.text import Text

    abbreviation = f' ({concept.abbreviation})' if concept.abbreviation else ''
    more = f' and {len(concept.synonyms) - SHOWN_SYNONYMS} more' if len(concept.synonyms) > SHOWN_SYNONYMS else ''
    bullet = Text('● ', f'rgb({",".join(map(str, concept.color))})') if concept.color else Text()
    name = plain(printable(f'{number} {concept.name}{abbreviation}'))
    synonyms = plain(printable('; '.join(concept.synonyms[:SHOWN_SYNONYMS]) + more), 'dim')
    return Text.assemble(bullet, name, '  ', synonyms)


def _record(number: int, concept: 'Concept') -> dict[str, Any]:
    return dict(
        id=number,
        name=concept.name,
        synonyms=concept.synonyms,
        ancestors=concept.ancestors,
        color=concept.color,
        abbreviation=concept.abbreviation,
        names=_by_language(concept),
    )


def _by_language(concept: 'Concept') -> dict[str, list[str]]:
    """Return the names of a concept in other languages, by language."""
    names: dict[str, list[str]] = {}
    for language, name in concept.names:
        names.setdefault(language, []).append(name)
    return names
