"""``hyperbolic-seg watch``: prediction of a folder that a camera fills."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hyperbolic_seg.app.cli.console import fail, name_untimed, print_json, print_notes, print_status, quiet
from hyperbolic_seg.app.cli.observatory import Alpaca, check_alpaca, open_observatory
from hyperbolic_seg.app.cli.outputs import Mqtt, Series, Webhook, check_daily, daily_series, prepare_outputs
from hyperbolic_seg.app.cli.predict import (
    Adapted,
    Backend,
    Device,
    Exclude,
    Include,
    Json,
    Maps,
    Model,
    Prompts,
    Vocabulary,
    Weights,
    adaptation_of,
    doubt,
    load_camera,
    load_for,
    parse_prompts,
    summarize,
)
from hyperbolic_seg.app.cli.signals import ended_by_signals
from hyperbolic_seg.app.cli.tracebacks import Tracebacks, printing
from hyperbolic_seg.files import printable

if TYPE_CHECKING:
    from hyperbolic_seg.apis import Inferencer
    from hyperbolic_seg.app.outputs.base import Outputs
    from hyperbolic_seg.sky.camera import SkyCamera

GRACE = 3.0
"""Seconds for the current image and the outputs after Ctrl-C or SIGTERM. With the exit of Python, five at most."""
UNFINISHED = 'stopped: what was not finished, the current image or the files of a day, is done at the next start'


def watch(
    folder: Annotated[Path, typer.Argument(help='The folder that images arrive in.')],
    prompts: Prompts = None,
    vocabulary: Vocabulary = None,
    out: Annotated[Path, typer.Option('--out', '-o', help='Folder of the results, not inside the other.')] = Path(
        'watched'
    ),
    model: Model = 'hyperclip-unet-cloud',
    weights: Weights = None,
    adaptation: Adapted = None,
    camera: Annotated[Path | None, typer.Option(help='YAML of the fisheye camera; see predict.')] = None,
    series: Series = False,
    interval: Annotated[float, typer.Option(min=0.05, help='Seconds between two scans of the folder.')] = 2.0,
    settle: Annotated[
        float, typer.Option(min=0.0, help='Seconds without a change after which an image is complete.')
    ] = 1.0,
    include: Include = None,
    exclude: Exclude = None,
    maps: Maps = True,
    once: Annotated[bool, typer.Option('--once', help='End when there is no new image.')] = False,
    alpaca: Alpaca = None,
    mqtt: Mqtt = None,
    webhook: Webhook = None,
    device: Device = None,
    runtime: Backend = None,
    as_json: Json = False,
    tracebacks: Tracebacks = False,
) -> None:
    """Predict each new image of a folder once, until stopped; resume after a restart.

    The results are those of predict; journal.jsonl in their folder has a line for each image. Skipped by name are files
    that are not regular, and links that lead out of the folder or to another folder. Thumbnails, keograms, star trails,
    panoramas, dark frames, and copies of the latest image are left out.

    For example:

    hyperbolic-seg watch /srv/camera --out /srv/results --camera camera.yaml

    hyperbolic-seg watch images --once --prompts "clear sky, cloud"

    hyperbolic-seg watch /srv/camera --camera camera.yaml --alpaca 0.0.0.0:11111

    hyperbolic-seg watch /srv/camera --camera camera.yaml --mqtt mqtt://user@broker/sky/roof

    Exit codes: 0 stopped by Ctrl-C or SIGTERM, or --once done; 1 --once, and something is to be tried again, or the
    journal cannot be written; 2 it could not begin.
    """
    stop = threading.Event()
    with ended_by_signals(stop, grace=0, message='stopped during the start'):
        names = parse_prompts(prompts, vocabulary)
        try:
            with quiet():
                check_folders(folder, out)
                from hyperbolic_seg.app.outputs.base import Outputs
                from hyperbolic_seg.app.selection import Selection
                from hyperbolic_seg.app.watching import Journal
                from hyperbolic_seg.app.watching import watch as watch_folder

                if series:
                    check_daily(camera)
                if series and not maps:
                    print_status('note: no keogram is drawn: --no-maps leaves out the label maps that it is made of')
                open_outputs = prepare_outputs(mqtt=mqtt, webhook=webhook)
                alpaca_address = check_alpaca(alpaca, camera)
                selection = Selection(tuple(include or ()), tuple(exclude or ()))
                own_camera = None if camera is None else load_camera(camera)
                adapted = adaptation_of(own_camera, adaptation)
                inferencer = load_for(runtime, model, weights, names, device=device, adaptation=adapted)
                predict, failed = make_predict(inferencer, out, own_camera, maps=maps)
                journal = Journal(out)
                days = [daily_series(journal, inferencer, own_camera)] if series and own_camera is not None else []
                others = [*days, *open_outputs(out)]
                outputs = Outputs(open_observatory(own_camera, out, alpaca_address, others), print_status)
        except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
            fail(error)
        with ended_by_signals(stop, grace=GRACE, message=UNFINISHED), journal, outputs, printing(tracebacks):
            print_status(f'watching {printable(folder)}: {len(journal)} images are done already')
            options: dict[str, Any] = dict(interval=interval, settle=settle, stop=stop, once=once, selection=selection)
            options['failed'] = failed
            try:
                lines = name_untimed(watch_folder(folder, journal, predict, **options), series=series)
                to_retry = print_lines(lines, outputs, as_json=as_json)
            except OSError as error:
                print_status(f'error: {error}. Images that the journal does not list are processed at the next start')
                raise typer.Exit(1) from error
            print_status('stopped' if stop.is_set() else 'no new images')
    raise typer.Exit(1 if once and to_retry else 0)


def check_folders(folder: Path, out: Path) -> None:
    """Check that a folder can be watched.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: The folder of the results is inside it, so results would be taken for images.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'no folder {printable(folder)}')
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f'--out {printable(out)} is inside {printable(folder)}: results would be taken for images')


def make_predict(
    inferencer: 'Inferencer', out: Path, camera: 'SkyCamera | None', *, maps: bool
) -> tuple[Callable[[str, str], dict[str, Any]], Callable[[str, Exception], dict[str, Any]]]:
    """Return a function that predicts a file and writes under a name, and one for the record of a file that failed.

    The prints of libraries are kept off standard output.
    """
    from hyperbolic_seg.app.batch import predict_file
    from hyperbolic_seg.app.failures import failure
    from hyperbolic_seg.sky.camera import Repeats

    warned, repeats = set[str](), Repeats()

    def predict(file: str, name: str) -> dict[str, Any]:
        with quiet(warned):
            return predict_file(inferencer, file, out, name, camera=camera, repeats=repeats, maps=maps)

    def failed(file: str, error: Exception) -> dict[str, Any]:
        return failure(file, error, camera=camera, after=repeats.time)

    return predict, failed


def print_lines(lines: Iterator[dict[str, Any]], outputs: 'Outputs', *, as_json: bool) -> bool:
    """Print lines as they come and hand them to the outputs; return whether an image is to be tried again."""
    from hyperbolic_seg.app.failures import refusal

    to_retry, noted = set[str](), set[str]()
    for line in lines:
        if as_json:
            print_json(line)
        print_notes(line, noted)
        outputs.add(line)
        to_retry.discard(line['name'])
        if 'skipped' in line:
            text = f'skipped: {line["skipped"]}'
        elif (why := refusal(line)) is not None:
            to_retry.update([line['name']] if 'version' not in line else [])
            text = f'refused: {why}'
        else:
            text = '; '.join(filter(None, (summarize(line), doubt(line))))
        print_status(f'{printable(line["name"])}: {printable(text)}')
    return bool(to_retry)
