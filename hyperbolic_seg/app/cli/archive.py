"""``hyperbolic-seg archive``: an archive of any size, by the workers of a Dask cluster."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hyperbolic_seg.app.cli.console import fail, print_json, print_status, progress, quiet
from hyperbolic_seg.app.cli.predict import (
    Device,
    Exclude,
    Include,
    Model,
    Prompts,
    Vocabulary,
    Weights,
    check_threshold,
    load,
    load_camera,
    parse_prompts,
)
from hyperbolic_seg.files import printable

if TYPE_CHECKING:
    from hyperbolic_seg.app.archive import Progress, SkyRecipe, Summary
    from hyperbolic_seg.app.selection import Selection

REQUIRED = ('distributed', 'pyarrow', 'fsspec', 'zarr')


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
    try:
        check_installed()
        with quiet():
            from hyperbolic_seg.app.archive import SkyRecipe, list_pictures  # noqa: F401
            from hyperbolic_seg.app.archive.recipe import predictor_of
            from hyperbolic_seg.app.selection import Selection

            build = partial(load, model, weights, names, device=device, cfg_options=tuple(cfg_options or ()))
            recipe = SkyRecipe(build, threshold, None if camera is None else load_camera(camera))
            predictor = predictor_of(recipe)
            check_threshold(predictor.inferencer, threshold)
        selection = Selection(tuple(include or ()), tuple(exclude or ()))
        summary = run(source, destination, recipe, scheduler, workers, selection, size=partition, with_labels=labels)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        fail(error)
    for failure in summary.failures:
        print_status(f'failed: {printable(failure.what)}: {printable(failure.reason)}')
    tell(summary, destination, as_json=as_json)
    raise typer.Exit(code_of(summary))
