"""``hyperbolic-seg watch``: a folder that a camera fills."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hyperbolic_seg.app.cli.console import fail, quiet, say_json, tell
from hyperbolic_seg.app.cli.predict import Device, Json, Model, Prompts, Vocabulary, Weights, asked, load, said
from hyperbolic_seg.app.cli.signals import ended_by_signals
from hyperbolic_seg.files import printable

if TYPE_CHECKING:
    from hyperbolic_seg.apis import HyperSegInferencer
    from hyperbolic_seg.sky.camera.sky_camera import SkyCamera

GRACE = 3.0
"""Seconds for the picture at hand after Ctrl-C or SIGTERM; with what Python takes to leave, it ends within five."""
UNFINISHED = 'stopped: the picture at hand took too long, and is done again at the next start'


def watch(
    folder: Annotated[Path, typer.Argument(help='Where the pictures arrive.')],
    prompts: Prompts = None,
    vocabulary: Vocabulary = None,
    out: Annotated[Path, typer.Option('--out', '-o', help='Folder of the results, not below the other.')] = Path(
        'watched'
    ),
    model: Model = 'hyperclip-unet-cloud',
    weights: Weights = None,
    camera: Annotated[Path | None, typer.Option(help='YAML of the fisheye camera; see predict.')] = None,
    interval: Annotated[float, typer.Option(min=0.05, help='Seconds between two looks.')] = 2.0,
    settle: Annotated[float, typer.Option(min=0.0, help='A picture is whole after so many seconds.')] = 1.0,
    once: Annotated[bool, typer.Option('--once', help='End when there is nothing new.')] = False,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Predict each new picture of a folder once, until it is stopped; go on where it stopped.

    Results are those of predict; journal.jsonl in their folder has a line for every picture. What is no regular file,
    and a link that leads out of the folder or to another one, is left alone by name.

    [bold]Examples[/bold]

    hyperbolic-seg watch /srv/camera --out /srv/results --camera camera.yaml

    hyperbolic-seg watch pictures --once --prompts "clear sky, cloud"

    Exit codes: 0 stopped by Ctrl-C or SIGTERM, or --once done; 1 --once, and something is to be tried again, or the
    journal cannot be written; 2 it could not begin.
    """
    stop = threading.Event()
    with ended_by_signals(stop, grace=0, last_words='stopped while it started'):
        words = asked(prompts, vocabulary)
        try:
            with quiet():
                check_folders(folder, out)
                from hyperbolic_seg.app.watching import Journal
                from hyperbolic_seg.app.watching import watch as watch_folder
                from hyperbolic_seg.sky.camera.sky_camera import SkyCamera

                owned = None if camera is None else SkyCamera.load(camera)
                predict = predictor(load(model, weights, words, device=device), out, owned)
                journal = Journal(out)
        except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
            fail(error)
        with ended_by_signals(stop, grace=GRACE, last_words=UNFINISHED), journal:
            tell(f'watching {printable(folder)}: {len(journal)} pictures are done already')
            waiting: dict[str, Any] = dict(interval=interval, settle=settle, stop=stop, once=once)
            try:
                again = follow(watch_folder(folder, journal, predict, **waiting), as_json=as_json)
            except OSError as error:
                tell(f'error: {error}. What the journal does not have is done again at the next start')
                raise typer.Exit(1) from error
            tell('stopped' if stop.is_set() else 'nothing new')
    raise typer.Exit(1 if once and again else 0)


def check_folders(folder: Path, out: Path) -> None:
    """Refuse folders that cannot be watched.

    Raises:
        FileNotFoundError: There are no pictures to come.
        ValueError: Results would be taken for pictures.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'no folder {printable(folder)}')
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f'--out {printable(out)} lies in {printable(folder)}: results would be taken for pictures')


def predictor(
    inferencer: 'HyperSegInferencer', out: Path, camera: 'SkyCamera | None'
) -> Callable[[str, str], dict[str, Any]]:
    """Return what predicts a file and writes under a name, while libraries keep off standard output."""
    from hyperbolic_seg.app.batch import predict_file

    def predict(file: str, name: str) -> dict[str, Any]:
        with quiet():
            return predict_file(inferencer, file, out, name, camera=camera)

    return predict


def follow(lines: Iterator[dict[str, Any]], *, as_json: bool) -> bool:
    """Say lines as they come; return whether some picture is to be tried again."""
    again = False
    for line in lines:
        if as_json:
            say_json(line)
        if 'left_alone' in line:
            text = f'left alone: {line["left_alone"]}'
        elif 'error' in line:
            again |= 'version' not in line
            text = f'refused: {line["error"]}'
        else:
            text = said(line)
        tell(f'{printable(line["picture"])}: {printable(text)}')
    return again
