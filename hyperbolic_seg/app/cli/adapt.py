"""``hyperbolic-seg adapt``: a model adapted to one's own camera."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hyperbolic_seg.app.cli.console import fail, print_json, print_notes, print_status, quiet
from hyperbolic_seg.app.cli.predict import Device, Exclude, Include, Model, Weights, load
from hyperbolic_seg.files import printable

if TYPE_CHECKING:
    from hyperbolic_seg.app.adapting import Labels


def adapt(
    folder: Annotated[Path, typer.Argument(help='Pictures of the camera.')],
    masks: Annotated[
        Path | None, typer.Option(help='Folder of masks NAME.png: 0 clear sky, 1 cloud, 255 for the rest.')
    ] = None,
    clicks: Annotated[
        Path | None, typer.Option(help='Table (.csv) of labeled pixels: picture, x, y and prompt.')
    ] = None,
    out: Annotated[Path, typer.Option('--out', '-o', help='File to write.')] = Path('adaptation.safetensors'),
    model: Model = 'hyperclip-unet-cloud',
    weights: Weights = None,
    include: Include = None,
    exclude: Exclude = None,
    device: Device = None,
    as_json: Annotated[bool, typer.Option('--json', help='Print a line of JSON to standard output.')] = False,
) -> None:
    """Adapt a model to your camera: by ten masks or some clicks, or by its pictures alone.

    The small file that it writes belongs to this model: give it to predict, watch, serve or archive as --adaptation, or
    name it in the camera file. Labels are held out in turn, and an adaptation that does not better them is refused.
    Without labels nothing is measured.

    For example:

    hyperbolic-seg adapt pictures/ --masks masks/ --out camera.safetensors

    hyperbolic-seg predict day/ --adaptation camera.safetensors --prompts "clear sky, cloud"

    hyperbolic-seg adapt pictures/ --clicks clicks.csv --model hyperclip-unet-sky

    Exit codes: 0 written, 2 nothing was written.
    """
    try:
        with quiet():
            if masks is not None and clicks is not None:
                raise ValueError('--masks and --clicks exclude each other: give one of them')
            if out.suffix != '.safetensors':
                raise ValueError(f'--out {printable(out)}: expected a name that ends with .safetensors')
            from hyperbolic_seg.app.selection import Selection, select_images

            selection = Selection(tuple(include or ()), tuple(exclude or ()))
            files, notes = select_images([str(folder)], selection)
            labels = _labels(files, masks, clicks)
            inferencer = load(model, weights, None, device=device)
            from hyperbolic_seg.app.adapting import adapt as adapt_to

            adaptation, report = adapt_to(inferencer, files, labels)
            adaptation.save(out)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        fail(error)
    print_notes(dict(notes=notes), set())
    if as_json:
        print_json(report)
    else:
        typer.echo(_in_words(report))
    print_status(f'written: {printable(out)}')


def _labels(files: list[str], masks: Path | None, clicks: Path | None) -> 'dict[str, Labels]':
    from hyperbolic_seg.app.labels import mask_of_clicks, masks_of, read_clicks, read_mask

    if masks is not None:
        return {file: partial(read_mask, mask) for file, mask in masks_of(files, masks).items()}
    if clicks is not None:
        return {file: partial(mask_of_clicks, some, name=file) for file, some in read_clicks(clicks, files).items()}
    return {}


def _in_words(report: dict[str, Any]) -> str:
    """Return what speaks for an adaptation, and what does not."""
    if not report['labeled']:
        before, after = report['agreement']
        return (
            f'{report["pictures"]} pictures: their colors agree with the model on {before:.1%} of the pixels '
            f'before, {after:.1%} after. No labels were given, so nothing is measured'
        )
    own = 'the statistics of the camera' if report['statistics'] else 'the statistics of the model'
    before, after = report['held_out']
    if report['agreement'] is not None:
        return (
            f'{report["labeled"]} labeled pictures are too few to fit the odds of cloud, so {own} alone are taken: the '
            f'colors agree with the model on {report["agreement"][0]:.1%} of the pixels before, '
            f'{report["agreement"][1]:.1%} after, and the mean IoU of the labels is {before:.3f} before, '
            f'{after:.3f} after'
        )
    return (
        f'{report["labeled"]} labeled pictures, {own}: mean IoU of clear sky and cloud on labels held out {before:.3f} '
        f'before, {after:.3f} after'
    )
