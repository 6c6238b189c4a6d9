"""``hyperbolic-seg predict``: from images to masks and fractions."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hyperbolic_seg.app.cli.console import (
    fail,
    import_plugin,
    name_untimed,
    noticed_warnings,
    plain,
    print_json,
    print_notes,
    print_status,
    progress,
    quiet,
    without_prints,
)
from hyperbolic_seg.app.cli.runtimes import Runtime, load_onnx, runtime_of
from hyperbolic_seg.app.cli.tracebacks import Tracebacks, printing
from hyperbolic_seg.files import printable

if TYPE_CHECKING:  # these modules import torch, which takes seconds
    from hyperbolic_seg.apis import HyperSegInferencer, Inferencer
    from hyperbolic_seg.app.picture import OnPrediction
    from hyperbolic_seg.app.video import VideoWriter
    from hyperbolic_seg.sky.camera import SkyCamera

REQUIREMENTS = {'.csv': (), '.nc': ('xarray', 'netCDF4'), '.png': ('matplotlib',)}
"""Kinds of time series, and the packages that each needs."""

Model = Annotated[
    str, typer.Option('--model', '-m', help='A released model, a .safetensors file or a config with --weights.')
]
Weights = Annotated[
    Path | None,
    typer.Option('--weights', '-w', help='The checkpoint for a config; "none" for a config that needs no training.'),
]
Prompts = Annotated[
    list[str] | None,
    typer.Option('--prompts', '-p', help='Prompts separated by commas; synonyms of one after semicolons.'),
]
Vocabulary = Annotated[str | None, typer.Option(help='Prompts from a YAML file or a built-in vocabulary.')]
Adapted = Annotated[
    Path | None, typer.Option('--adaptation', help='What adapt has written for the camera and this model.')
]
Device = Annotated[str | None, typer.Option(help='Device such as cuda:0; default: a GPU where there is one.')]
Include = Annotated[
    list[str] | None,
    typer.Option(metavar='PATTERN', help='Images of folders to take that would be left out; repeatable.'),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar='PATTERN', help="Images of folders to leave out, such as 'night' or '*_raw.*'; repeatable."),
]
Backend = Annotated[
    Runtime | None,
    typer.Option('--runtime', help='onnx starts fast and needs no PyTorch; default: torch, or onnx for an .onnx file.'),
]
Maps = Annotated[
    bool, typer.Option('--maps/--no-maps', help='Write label maps and overlays; without, large images take less time.')
]
Json = Annotated[bool, typer.Option('--json', help='Print one line of JSON for each image to standard output.')]


def predict(
    images: Annotated[list[str], typer.Argument(help='Image files, folders or globs.')],
    prompts: Prompts = None,
    vocabulary: Vocabulary = None,
    out: Annotated[Path, typer.Option('--out', '-o', help='Folder of the results.')] = Path('predictions'),
    model: Model = 'hyperclip-unet-cloud',
    weights: Weights = None,
    adaptation: Adapted = None,
    cfg_options: Annotated[
        list[str] | None,
        typer.Option('--cfg-options', metavar='KEY=VALUE', help='A setting that overrides the config; repeatable.'),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help='Also name the deepest node of the taxonomy with at least this probability, above 0.5.'),
    ] = None,
    camera: Annotated[
        Path | None, typer.Option(help='YAML of the fisheye camera: cover by solid angle, oktas, time and sun.')
    ] = None,
    series: Annotated[
        list[Path] | None, typer.Option(help='With --camera, the time series: .csv, .nc (NetCDF), or .png (a plot).')
    ] = None,
    video: Annotated[
        Path | None, typer.Option(help='A labeled video (.mp4, .mkv, .mov), ordered by time if a camera tells it.')
    ] = None,
    frames_per_second: Annotated[
        float, typer.Option('--fps', min=0.1, max=120, help='Images per second of the video.')
    ] = 10,
    include: Include = None,
    exclude: Exclude = None,
    maps: Maps = True,
    device: Device = None,
    runtime: Backend = None,
    as_json: Json = False,
    tracebacks: Tracebacks = False,
) -> None:
    """Write masks, overlays and fractions of the prompts for every image.

    For example:

    hyperbolic-seg predict sky.jpg --prompts "clear sky, cumulus, cirrus"

    hyperbolic-seg predict images/ 'more/*.png' --out masks --threshold 0.6

    hyperbolic-seg predict sky.jpg --json --no-maps | jq .fractions

    hyperbolic-seg predict day/*.jpg --camera camera.yaml --series day.nc --series day.png

    hyperbolic-seg predict day/ --prompts "clear sky, cloud, sun" --video day.mp4 --fps 15

    hyperbolic-seg predict sky.jpg --model unet_cloud.py --weights work_dirs/unet_cloud/epoch_20.pth

    hyperbolic-seg predict images/ --exclude 'night' --include 'keogram-2024*'

    Of folders, thumbnails, keograms, star trails, panoramas, dark frames, and copies of the latest image are left out.

    Exit codes: 0 all images done, 1 some refused by name, 2 nothing could be done.
    """
    names = parse_prompts(prompts, vocabulary)
    check_series(series or [], camera)
    done: list[dict[str, Any]] = []
    with ExitStack() as stack:
        stack.enter_context(printing(tracebacks))
        try:
            with quiet():
                from hyperbolic_seg.app.selection import Selection, select_images

                own_camera = None if camera is None else load_camera(camera)
                selection = Selection(tuple(include or ()), tuple(exclude or ()))
                files, notes = select_images(images, selection, without=out)
                frames = None if video is None else stack.enter_context(video_writer(video, frames_per_second))
                settings = tuple(cfg_options or ())
                adapted = adaptation_of(own_camera, adaptation)
                options: dict[str, Any] = dict(device=device, cfg_options=settings, adaptation=adapted)
                inferencer = load_for(runtime, model, weights, names, **options)
                check_threshold(inferencer, threshold)
            print_notes(dict(notes=notes), set())
            on_prediction = None if frames is None else frames.add
            options = dict(threshold=threshold, camera=own_camera, maps=maps)
            options |= dict(on_prediction=on_prediction)
            records = predict_quietly(inferencer, files, out, **options)
            records = name_untimed(records, series=bool(series))
            refused = print_records(records, len(files), as_json=as_json, done=done)
        except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
            fail(error)
        print_status(f'{len(files) - refused} of {len(files)} images written to {printable(out)}')
        summaries = [partial(write_series, done, file, camera=own_camera) for file in series or ()]
        if frames is not None:
            summaries.append(partial(write_video, frames))
        failed = [write for write in summaries if done and not try_to_write(write)]
    raise typer.Exit(2 if refused == len(files) else 1 if refused or failed else 0)


def try_to_write(write: Callable[[], None]) -> bool:
    """Write a file about all images, and return whether it succeeded; an error is printed and undoes nothing else."""
    try:
        with quiet():
            write()
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        print_status(f'error: {error}')
        return False
    return True


def parse_prompts(prompts: list[str] | None, vocabulary: str | None) -> list[str] | str | None:
    """Return the prompts of the command line in the form that a model takes; ``None`` for those of the model."""
    if prompts and vocabulary:
        fail('--prompts and --vocabulary exclude each other: give one of them')
    names = [name.strip() for given in prompts or () for name in given.split(',')]
    return names or vocabulary


def adaptation_of(camera: 'SkyCamera | None', given: Path | None) -> Path | None:
    """Return the adaptation of the command line, or that of the camera file.

    Raises:
        ValueError: Both name one, and not the same.
    """
    own = None if camera is None or camera.adaptation is None else Path(camera.adaptation)
    if own is not None and given is not None and own.resolve() != given.resolve():
        raise ValueError(
            f'--adaptation names {printable(given)}, and the camera file {printable(own)}: leave one of them out'
        )
    return own or given


def load_for(
    runtime: Runtime | None,
    model: str,
    weights: Path | None,
    prompts: list[str] | str | None,
    *,
    device: str | None,
    cfg_options: Sequence[str] = (),
    adaptation: Path | None = None,
) -> 'Inferencer':
    """Return the model for a runtime, with its prompts set.

    Raises:
        FileNotFoundError: There is no such model, or it was not exported.
        ValueError: The prompts are not valid, or the options do not go together.
        ImportError: ONNX Runtime is not installed.
    """
    if runtime_of(model, runtime) is Runtime.TORCH:
        return load(model, weights, prompts, device=device, cfg_options=cfg_options, adaptation=adaptation)
    of_torch = {'--weights': weights, 'an adaptation': adaptation, '--device': device, '--cfg-options': cfg_options}
    return load_onnx(model, prompts, unfit=[name for name, given in of_torch.items() if given])


def load(
    model: str,
    weights: Path | None,
    prompts: list[str] | str | None,
    *,
    device: str | None,
    cfg_options: Sequence[str] = (),
    adaptation: Path | None = None,
) -> 'HyperSegInferencer':
    """Return the model with its prompts set.

    Raises:
        FileNotFoundError: There is no such model.
        ValueError: The prompts are not valid, a config comes without weights, a released model with options, or the
            adaptation does not fit the model.
    """
    import_plugin()
    from hyperbolic_seg.apis import HyperSegInferencer, find_config, list_configs

    is_config = Path(model).suffix == '.py' or model in list_configs()
    if is_config and weights is None:
        raise ValueError(f'{printable(model)} is a config: give its checkpoint by --weights, or --weights none')
    if cfg_options and not is_config:
        raise ValueError(f'--cfg-options are for configs: {printable(model)} is a complete model')
    checkpoint = None if str(weights) == 'none' else weights
    if cfg_options:
        from mmengine.config import Config

        from hyperbolic_seg.engine import parse_cfg_options

        config = Config.fromfile(find_config(model))
        config.merge_from_dict(parse_cfg_options(cfg_options))
        inferencer = HyperSegInferencer(config, checkpoint, device=device)
    else:
        inferencer = HyperSegInferencer(model, checkpoint, device=device)
    if adaptation is not None:
        inferencer.adapt(adaptation)
    inferencer.set_prompts(prompts)
    return inferencer


def load_camera(file: Path) -> 'SkyCamera':
    """Read the camera file.

    Raises:
        OSError: The file cannot be read.
        ValueError: A setting in it is not valid.
    """
    from hyperbolic_seg.sky.camera import SkyCamera

    return SkyCamera.load(file)


def video_writer(file: Path, frames_per_second: float) -> 'VideoWriter':
    """Return the writer of a video.

    Raises:
        ImportError: PyAV is missing.
        ValueError: The suffix is not supported.
    """
    from hyperbolic_seg.app.video import VideoWriter

    return VideoWriter(file, frames_per_second=frames_per_second)


def check_threshold(inferencer: 'Inferencer', threshold: float | None) -> None:
    """Check the threshold before any image is predicted.

    Raises:
        ValueError: It is out of range, or the model has no taxonomy.
    """
    if threshold is not None and not 0.5 < threshold <= 1:
        raise ValueError(f'--threshold {threshold}: expected more than 0.5, at most 1')
    if threshold is not None:
        _ = inferencer.taxonomy


def check_series(series: list[Path], camera: Path | None) -> None:
    """Check that the time series can be written, before any image is predicted."""
    if series and camera is None:
        fail('--series needs --camera, which says when and how the images were taken')
    for file in series:
        if file.suffix not in REQUIREMENTS:
            fail(f'--series {printable(file)}: expected a suffix of {", ".join(REQUIREMENTS)}')
        try:
            check_installed(*REQUIREMENTS[file.suffix], what=f'--series {printable(file)}')
        except ImportError as error:
            fail(error)


def check_installed(*packages: str, what: str, extra: str = 'app') -> None:
    """Check that packages are installed, before any image is predicted.

    Args:
        packages: Their import names.
        what: What needs them.
        extra: The extra that installs them.

    Raises:
        ImportError: One is missing.
    """
    if missing := [name for name in packages if find_spec(name) is None]:
        raise ImportError(f"{what} needs {' and '.join(missing)}: pip install 'hyperbolic-seg[{extra}]'")


def write_series(records: list[dict[str, Any]], file: Path, *, camera: 'SkyCamera | None') -> None:
    """Write the observations as a time series.

    Raises:
        ImportError: A package that the format needs is not installed.
        OSError: The file cannot be written.
        ValueError: No image has a time, or the format cannot hold the series.
    """
    from hyperbolic_seg.sky.camera import Series

    series = Series(records, camera=camera)
    file.parent.mkdir(parents=True, exist_ok=True)
    series.write(file)
    without = f'; {series.left_out} images without a time are left out' if series.left_out else ''
    print_status(f'{len(series.records)} times written to {printable(file)}{without}')


def write_video(frames: 'VideoWriter') -> None:
    """Write the video of the frames.

    Raises:
        OSError: The video cannot be written.
    """
    count = frames.write()
    print_status(f'{count} frames written to {printable(frames.file)}')


def predict_quietly(
    inferencer: 'Inferencer',
    files: list[str],
    out: Path,
    *,
    threshold: float | None,
    camera: 'SkyCamera | None' = None,
    maps: bool = True,
    on_prediction: 'OnPrediction | None' = None,
) -> Iterator[dict[str, Any]]:
    """Yield the record of each image, while the prints of libraries are kept off standard output."""
    from hyperbolic_seg.app.batch import predict_files

    options: dict[str, Any] = dict(threshold=threshold, camera=camera, maps=maps, on_prediction=on_prediction)
    records = predict_files(inferencer, files, out, **options)
    with noticed_warnings(set()) as print_warnings:  # threads that read ahead may warn while a record is printed
        while True:
            with without_prints():
                record = next(records, None)
            print_warnings()
            if record is None:
                return
            yield record


def print_records(records: Iterator[dict[str, Any]], count: int, *, as_json: bool, done: list[dict[str, Any]]) -> int:
    """Print records as they come, as JSON, or as a table at the end; return how many images were refused.

    Args:
        records: One for each image.
        count: Their number, for the progress bar.
        as_json: Print JSON.
        done: A list that the records of images are appended to, without those that have nothing but an error.
    """
    from rich.console import Console
    from rich.table import Table

    from hyperbolic_seg.app.failures import refusal

    refused, table, noted = 0, Table('image', 'fractions', 'confidence'), set[str]()
    with progress() as bar:
        task = bar.add_task('images', total=count)
        for record in records:
            why = refusal(record)
            refused += why is not None
            if as_json:
                print_json(record)
            print_notes(record, noted)
            if why is not None:
                print_status(f'refused {printable(record["image"])}: {printable(why)}')
            else:
                if why := doubt(record):
                    print_status(f'{printable(record["image"])} is {why}')
                name, confidence = Path(record['image']).name, f'{record["mean_confidence"]:.2f}'
                table.add_row(*(plain(printable(cell)) for cell in (name, summarize(record), confidence)))
            if 'error' not in record or 'time' in record:
                done.append(record)
            bar.advance(task)
    if not as_json and table.rows:
        Console().print(table)
    return refused


def doubt(record: dict[str, Any]) -> str:
    """Return why the quality of an image is doubtful, empty if it is not."""
    from hyperbolic_seg.sky.camera import Quality

    if record.get('quality') != 'doubtful':
        return ''
    return f'doubtful: {Quality.of(*record["quality_reasons"]).text}'


def summarize(record: dict[str, Any]) -> str:
    """Return the fractions of a record as a line, with oktas if a camera is known."""
    if record.get('cloud') is None:
        return format_fractions(fractions_of(record))
    from hyperbolic_seg.app.steps import cover_in_words

    return f'{cover_in_words(record)}: {format_fractions(fractions_of(record))}'


def fractions_of(record: dict[str, Any]) -> dict[str, float]:
    """Return the fractions by solid angle if a camera is known, else by pixels."""
    return {name: cover['fraction'] for name, cover in record.get('cover', {}).items()} or record['fractions']


def format_fractions(fractions: dict[str, float]) -> str:
    """Return fractions in percent as a line, the largest first, without those below half a percent."""
    visible = sorted(((share, name) for name, share in fractions.items() if share >= 0.005), reverse=True)
    return ', '.join(f'{name} {100 * share:.0f} %' for share, name in visible)
