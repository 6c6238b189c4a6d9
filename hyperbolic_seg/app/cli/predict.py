"""``hyperbolic-seg predict``: pictures to masks and fractions."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hyperbolic_seg.app.cli.console import fail, plain, progress, quiet, say_json, tell
from hyperbolic_seg.files import printable

if TYPE_CHECKING:
    from hyperbolic_seg.apis import HyperSegInferencer
    from hyperbolic_seg.sky.camera.sky_camera import SkyCamera

WRITERS = {'.csv': 'write_csv', '.nc': 'write_netcdf', '.png': 'plot'}
NEEDED = {'.nc': ('xarray', 'netCDF4'), '.png': ('matplotlib',)}

Model = Annotated[
    str, typer.Option('--model', '-m', help='A released model, a .safetensors file or a config with --weights.')
]
Weights = Annotated[
    Path | None,
    typer.Option('--weights', '-w', help='The checkpoint for a config; none for one that needs no training.'),
]
Prompts = Annotated[
    list[str] | None,
    typer.Option('--prompts', '-p', help='What to look for, with commas between; synonyms after a semicolon.'),
]
Vocabulary = Annotated[str | None, typer.Option(help='The same from a YAML file, or the name of a built-in one.')]
Device = Annotated[str | None, typer.Option(help='Such as cuda:0; a GPU where there is one.')]
Json = Annotated[bool, typer.Option('--json', help='A line of JSON for each picture on standard output.')]


def predict(
    images: Annotated[list[str], typer.Argument(help='Pictures, folders or globs.')],
    prompts: Prompts = None,
    vocabulary: Vocabulary = None,
    out: Annotated[Path, typer.Option('--out', '-o', help='Folder of the results.')] = Path('predictions'),
    model: Model = 'hyperclip-unet-cloud',
    weights: Weights = None,
    threshold: Annotated[
        float | None, typer.Option(help='Also name the deepest node of the taxonomy that is as probable, above 0.5.')
    ] = None,
    camera: Annotated[
        Path | None, typer.Option(help='YAML of the fisheye camera: cover by solid angle, oktas, time and sun.')
    ] = None,
    series: Annotated[
        list[Path] | None, typer.Option(help='With --camera, the time series: .csv, .nc (NetCDF), or .png (a plot).')
    ] = None,
    video: Annotated[
        Path | None, typer.Option(help='A labelled video (.mp4, .mkv, .mov), pictures by time if a camera says it.')
    ] = None,
    frames_per_second: Annotated[float, typer.Option('--fps', min=0.1, max=120, help='Pictures a second of it.')] = 10,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Write masks, overlays and fractions of what is named, for every picture.

    [bold]Examples[/bold]

    hyperbolic-seg predict sky.jpg --prompts "clear sky, cumulus, cirrus"

    hyperbolic-seg predict pictures/ 'more/*.png' --out masks --threshold 0.6

    hyperbolic-seg predict sky.jpg --json | jq .fractions

    hyperbolic-seg predict day/*.jpg --camera camera.yaml --series day.nc --series day.png

    hyperbolic-seg predict day/ --prompts "clear sky, cloud, sun" --video day.mp4 --fps 15

    hyperbolic-seg predict sky.jpg --model unet_cloud.py --weights work_dirs/unet_cloud/epoch_20.pth

    Exit codes: 0 all pictures done, 1 some refused by name, 2 nothing could be done.
    """
    words = asked(prompts, vocabulary)
    check_series(series or [], camera)
    kept: list[dict[str, Any]] = []
    try:
        with quiet():
            from hyperbolic_seg.app.video import check_video
            from hyperbolic_seg.files import find_images
            from hyperbolic_seg.sky.camera.sky_camera import SkyCamera

            owned = None if camera is None else SkyCamera.load(camera)

            files = find_images(images, without=out)
            inferencer = load(model, weights, words, device=device)
            check_threshold(inferencer, threshold)
            if video is not None:
                check_video(video)
        records = predicted(inferencer, files, out, threshold=threshold, camera=owned)
        refused = show(records, len(files), as_json=as_json, kept=kept)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        fail(error)
    tell(f'{len(files) - refused} of {len(files)} pictures written to {printable(out)}')
    wanted = [partial(write_series, kept, file) for file in series or ()]
    if video is not None:
        wanted.append(partial(write_frames, kept, inferencer, video, frames_per_second))
    failed = [write for write in wanted if kept and not attempted(write)]
    raise typer.Exit(2 if refused == len(files) else 1 if refused or failed else 0)


def attempted(write: Callable[[], None]) -> bool:
    """Write what is made of all pictures; say what is wrong if it cannot be, which undoes nothing else."""
    try:
        write()
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        tell(f'error: {error}')
        return False
    return True


def asked(prompts: list[str] | None, vocabulary: str | None) -> list[str] | str | None:
    """Return what is asked for, in the form that a model takes."""
    if prompts and vocabulary:
        fail('--prompts and --vocabulary both say what to look for: give one')
    words = [word.strip() for given in prompts or () for word in given.split(',')]
    return words or vocabulary


def load(
    model: str, weights: Path | None, words: list[str] | str | None, *, device: str | None
) -> 'HyperSegInferencer':
    """Return the model with its prompts set.

    Raises:
        FileNotFoundError: There is no such model.
        ValueError: The prompts are not valid, or a config comes without weights.
    """
    from hyperbolic_seg.apis import HyperSegInferencer
    from hyperbolic_seg.apis.configs import configs

    if weights is None and (Path(model).suffix == '.py' or model in configs()):
        raise ValueError(f'{printable(model)} is a config: give its checkpoint by --weights, or --weights none')
    inferencer = HyperSegInferencer(model, None if str(weights) == 'none' else weights, device=device)
    inferencer.set_prompts(words)
    return inferencer


def check_threshold(inferencer: 'HyperSegInferencer', threshold: float | None) -> None:
    """Refuse a threshold before any picture.

    Raises:
        ValueError: It is out of range, or the model has no taxonomy.
    """
    if threshold is not None and not 0.5 < threshold <= 1:
        raise ValueError(f'--threshold {threshold}: expected more than 0.5, at most 1')
    if threshold is not None:
        _ = inferencer.taxonomy


def check_series(series: list[Path], camera: Path | None) -> None:
    """Refuse a series before any picture if it cannot be written."""
    if series and camera is None:
        fail('--series needs --camera, which says when and how pictures were taken')
    for file in series:
        if file.suffix not in WRITERS:
            fail(f'--series {printable(file)}: expected a suffix of {", ".join(WRITERS)}')
        if lacking := [name for name in NEEDED.get(file.suffix, ()) if find_spec(name) is None]:
            fail(f"--series {printable(file)} needs {' and '.join(lacking)}: pip install 'hyperbolic-seg[app]'")


def write_series(records: list[dict[str, Any]], file: Path) -> None:
    """Write what was observed as a time series.

    Raises:
        ImportError: What writes it is not installed.
        ValueError: No picture says when it was taken.
    """
    from hyperbolic_seg.sky.camera.series import Series

    series = Series(records)
    file.parent.mkdir(parents=True, exist_ok=True)
    getattr(series, WRITERS[file.suffix])(file)
    tell(f'{len(series.records)} times written to {printable(file)}')


def write_frames(
    records: list[dict[str, Any]], inferencer: 'HyperSegInferencer', file: Path, frames_per_second: float
) -> None:
    """Write a labelled video of what was predicted.

    Raises:
        ValueError: A label file is gone.
    """
    from hyperbolic_seg.app.video import write_video

    count = write_video(records, inferencer.palette, file, frames_per_second=frames_per_second)
    tell(f'{count} frames written to {printable(file)}')


def predicted(
    inferencer: 'HyperSegInferencer',
    files: list[str],
    out: Path,
    *,
    threshold: float | None,
    camera: 'SkyCamera | None' = None,
) -> Iterator[dict[str, Any]]:
    """Yield a record for every picture, while libraries keep off standard output."""
    from hyperbolic_seg.app.batch import predict_files

    records = predict_files(inferencer, files, out, threshold=threshold, camera=camera)
    while True:
        with quiet():
            record = next(records, None)
        if record is None:
            return
        yield record


def show(records: Iterator[dict[str, Any]], count: int, *, as_json: bool, kept: list[dict[str, Any]]) -> int:
    """Show records as they come, for machines or as a table for people; return how many were refused.

    Args:
        records: Of the pictures.
        count: How many there will be.
        as_json: For machines.
        kept: A list that takes those that were not refused.
    """
    refused, table = 0, Table('picture', 'sky', 'confidence')
    with progress() as bar:
        task = bar.add_task('pictures', total=count)
        for record in records:
            refused += 'error' in record
            if as_json:
                say_json(record)
            if 'error' in record:
                tell(f'refused {printable(record["image"])}: {printable(record["error"])}')
            else:
                name, confidence = Path(record['image']).name, f'{record["mean_confidence"]:.2f}'
                table.add_row(*(plain(printable(cell)) for cell in (name, said(record), confidence)))
                kept.append(record)
            bar.advance(task)
    if not as_json and table.rows:
        Console().print(table)
    return refused


def said(record: dict[str, Any]) -> str:
    """Return what a record says of the sky, with oktas if a camera is known."""
    if (cloud := record.get('cloud')) is None:
        return shares(
            {name: found['fraction'] for name, found in record.get('cover', {}).items()} or record['fractions']
        )
    interval = f'{100 * cloud["low"]:.0f} to {100 * cloud["high"]:.0f} %'
    each = shares({name: found['fraction'] for name, found in record['cover'].items()})
    return f'{cloud["oktas"]} oktas ({interval}): {each}'


def shares(fractions: dict[str, float]) -> str:
    """Return shares as a line, the largest first, without those below half a percent."""
    seen = sorted(((share, name) for name, share in fractions.items() if share >= 0.005), reverse=True)
    return ', '.join(f'{name} {100 * share:.0f} %' for share, name in seen)
