"""``hyperbolic-seg vocab``: a vocabulary or a taxonomy checked and drawn."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from hyperbolic_seg.app.cli.console import fail, plain, quiet, say_json, tell
from hyperbolic_seg.files import printable

SHOWN = 3  # synonyms of a concept in a terminal; all are in JSON


def vocab(
    source: Annotated[str, typer.Argument(help='A YAML file, or the name of a built-in vocabulary.')] = 'sky',
    draw: Annotated[Path | None, typer.Option(help='Draw the taxonomy to this file: .png, .svg or .pdf.')] = None,
    as_json: Annotated[bool, typer.Option('--json', help='The concepts as JSON.')] = False,
) -> None:
    """Check a vocabulary, and show it as a tree with label ids and synonyms.

    [bold]Examples[/bold]

    hyperbolic-seg vocab                          the taxonomy of the sky

    hyperbolic-seg vocab my_clouds.yaml --draw my_clouds.svg

    hyperbolic-seg vocab coco_stuff --json

    Exit codes: 0 it is valid, 2 it is not, and the message says where.
    """
    try:
        with quiet():
            from hyperbolic_seg.text import Vocabulary

            vocabulary = Vocabulary.load(source)
            tree = as_taxonomy(vocabulary) if draw is not None or with_inner_nodes(vocabulary) else None
        if draw is not None:
            draw_to(draw, tree)
    except (OSError, ValueError, ImportError) as error:
        fail(error)
    if as_json:
        say_json([_record(number, concept) for number, concept in enumerate(vocabulary)], indent=2)
    else:
        Console().print(_tree(source, vocabulary))
    kind = 'a flat list' if tree is None else f'a taxonomy with {len(tree.leaves)} leaves below {printable(tree.root)}'
    tell(f'{printable(source)} is valid: {len(vocabulary)} concepts, {kind}')


def with_inner_nodes(vocabulary: Any) -> bool:
    """Return whether concepts have parents, and these are there too; a selection of leaves is a list."""
    parents = {concept.ancestors[0] for concept in vocabulary if concept.ancestors}
    return bool(parents) and all(parent in vocabulary for parent in parents)


def as_taxonomy(vocabulary: Any) -> Any:
    """Return the taxonomy of a vocabulary with parents.

    Raises:
        ValueError: Its concepts are no tree.
    """
    from hyperbolic_seg.text import Taxonomy

    return Taxonomy(vocabulary)


def draw_to(file: Path, tree: Any) -> None:
    """Draw a taxonomy to a file.

    Raises:
        ValueError: The suffix names no format of a figure.
    """
    with quiet():
        from hyperbolic_seg.visualization.tree import draw_taxonomy

        figure = draw_taxonomy(tree)
        if file.suffix[1:] not in figure.canvas.get_supported_filetypes():
            raise ValueError(f'--draw {printable(file)}: expected a suffix such as .png, .svg or .pdf')
        figure.savefig(file, bbox_inches='tight')
    tell(f'drawn to {printable(file)}')


def _tree(source: str, vocabulary: Any) -> Tree:
    """Return what a terminal shows of it."""
    shown = Tree(plain(printable(Path(source).stem)), guide_style='dim')
    branches: dict[str, Tree] = {}
    waiting = list(enumerate(vocabulary))
    while waiting:
        ready = [c for c in waiting if not c[1].ancestors or c[1].ancestors[0] in branches]
        ready = ready or waiting  # a selection without its inner nodes is a list
        for number, concept in ready:
            above = branches.get(concept.ancestors[0], shown) if concept.ancestors else shown
            branches[concept.name] = above.add(_line(number, concept))
        waiting = [c for c in waiting if c not in ready]
    return shown


def _line(number: int, concept: Any) -> Text:
    short = f' ({concept.abbreviation})' if concept.abbreviation else ''
    more = f' and {len(concept.synonyms) - SHOWN} more' if len(concept.synonyms) > SHOWN else ''
    line = Text('● ', f'rgb({",".join(map(str, concept.color))})') if concept.color else Text()
    named = plain(printable(f'{number} {concept.name}{short}'))
    others = plain(printable('; '.join(concept.synonyms[:SHOWN]) + more), 'dim')
    return Text.assemble(line, named, '  ', others)


def _record(number: int, concept: Any) -> dict[str, Any]:
    return dict(
        id=number,
        name=concept.name,
        synonyms=concept.synonyms,
        ancestors=concept.ancestors,
        color=concept.color,
        abbreviation=concept.abbreviation,
    )
