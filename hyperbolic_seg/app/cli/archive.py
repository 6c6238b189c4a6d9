"""``hyperbolic-seg archive``: an archive of any size, by the workers of a Dask cluster."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hyperbolic_seg.app.cli.console import fail, print_json, print_status, progress, quiet
from hyperbolic_seg.app.cli.predict import (
    Adapted,
    Device,
    Exclude,
    Include,
    Model,
    Prompts,
    Vocabulary,
    Weights,
    adaptation_of,
    check_installed,
    check_threshold,
    load,
    load_camera,
    parse_prompts,
)
from hyperbolic_seg.files import printable

if TYPE_CHECKING:
    from hyperbolic_seg.apis import HyperSegInferencer
    from hyperbolic_seg.app.archive import Progress, SkyRecipe, Summary

REQUIRED = ('distributed', 'pyarrow', 'fsspec', 'zarr')
"""Modules that the extra ``archive`` installs."""


def archive(
    source: Annotated[str, typer.Argument(help='Folder, s3://bucket/folder or .tar shards; any address of fsspec.')],
    destination: Annotated[str, typer.Argument(help='Folder or address of the results.')],
    scheduler: Annotated[
        str,
        typer.Option(help='threads or processes of this machine; else the address or .json file of a Dask scheduler.'),
    ] = 'threads',
    workers: Annotated[int, typer.Option(min=1, help='Threads or processes, where they are started here.')] = 1,
    partition: Annotated[int, typer.Option(min=1, help='Usual number of images in a task and a file.')] = 256,
    prompts: Prompts = None,
    vocabulary: Vocabulary = None,
    model: Model = 'hyperclip-unet-cloud',
    weights: Weights = None,
    cfg_options: Annotated[
        list[str] | None,
        typer.Option('--cfg-options', metavar='KEY=VALUE', help='A setting that overrides the config; repeatable.'),
    ] = None,
    adaptation: Adapted = None,
    threshold: Annotated[float | None, typer.Option(help='As of the command predict.')] = None,
    camera: Annotated[
        Path | None, typer.Option(help='YAML of the fisheye camera: cover by solid angle, oktas, time and sun.')
    ] = None,
    labels: Annotated[
        bool, typer.Option('--labels', help='With --camera, also write label maps as Zarr, a store for each day.')
    ] = False,
    include: Include = None,
    exclude: Exclude = None,
    device: Device = None,
    as_json: Annotated[bool, typer.Option('--json', help='Print the summary as JSON.')] = False,
) -> None:
    """Write a record of every image of an archive, once each, as Parquet; go on where a run before was ended.

    For example:

    hyperbolic-seg archive /data/camera /data/results --camera camera.yaml

    hyperbolic-seg archive s3://sky/2024 s3://results/2024 --scheduler tcp://login1:8786

    hyperbolic-seg archive shards/ results/ --scheduler processes --workers 4 --camera camera.yaml --labels

    Exit codes: 0 all images done, 1 some refused by name or failed, 2 nothing could be done.
    """
    if labels and camera is None:
        fail('--labels needs --camera, which says when the images were taken')
    names = parse_prompts(prompts, vocabulary)
    options: dict[str, Any] = dict(size=partition, with_labels=labels)
    try:
        check_installed(*REQUIRED, what='archive', extra='archive')
        with quiet():
            from hyperbolic_seg.app.archive import SkyRecipe
            from hyperbolic_seg.app.selection import Selection

            options['selection'] = Selection(tuple(include or ()), tuple(exclude or ()))
            own_camera = None if camera is None else load_camera(camera)
            adapted = adaptation_of(own_camera, adaptation)
            settings = dict(device=device, cfg_options=tuple(cfg_options or ()), adaptation=adapted)
            build = partial(load_checked, model, weights, names, threshold, **settings)
            recipe = SkyRecipe(build, threshold, own_camera)
            summary = run(source, destination, recipe, scheduler, workers, options)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        fail(error)
    show(summary, destination, as_json=as_json)
    raise typer.Exit(code_of(summary))


def load_checked(
    model: str,
    weights: Path | None,
    prompts: list[str] | str | None,
    threshold: float | None,
    **settings: Any,
) -> 'HyperSegInferencer':
    """Return the model with its prompts set, which takes the threshold; every worker calls it.

    Raises:
        FileNotFoundError: There is no such model or adaptation.
        ValueError: The prompts, the threshold or the adaptation are not valid, see
            :func:`~hyperbolic_seg.app.cli.predict.load`.
    """
    inferencer = load(model, weights, prompts, **settings)
    check_threshold(inferencer, threshold)
    return inferencer


def run(
    source: str, destination: str, recipe: 'SkyRecipe', scheduler: str, workers: int, options: dict[str, Any]
) -> 'Summary':
    """Predict the archive, with a progress bar and the rate.

    Raises:
        OSError: No scheduler answers, or see :func:`~hyperbolic_seg.app.archive.archive`.
        ValueError: See there.
        RuntimeError: See there.
    """
    from hyperbolic_seg.app.archive import archive as predict_archive
    from hyperbolic_seg.app.archive import connected

    with progress() as bar, connected(scheduler, workers) as client:
        task = bar.add_task('images', total=None)

        def advance(state: 'Progress') -> None:
            text = f'images, {state.rate:.1f} per second, {state.workers} workers'
            bar.update(task, completed=state.pictures, total=state.total, description=text)

        return predict_archive(source, destination, recipe, client, on_note=note, on_progress=advance, **options)


def note(text: str) -> None:
    """Print a note."""
    print_status(f'note: {text}')


def show(summary: 'Summary', destination: str, *, as_json: bool) -> None:
    """Print what was done, and what was not."""
    for failure in summary.failures:
        print_status(f'failed: {printable(failure.what)}: {printable(failure.reason)}')
    where = printable(destination)
    if summary.refused:
        print_status(f'refused: {summary.refused} images, each with the reason in {where}/refusals.csv')
    print_status(
        f'{summary.done} of {summary.pictures} images written to {where}, {summary.predicted} of them now '
        f'({summary.rate:.1f} per second)'
    )
    if summary.failures:
        print_status('run the same command again: it tries only what is not done')
    if as_json:
        print_json(summary.as_dict())


def code_of(summary: 'Summary') -> int:
    """Return the exit code of a run."""
    if summary.refused == summary.done:  # also nothing at all
        return 2
    return int(bool(summary.refused or summary.failures))
