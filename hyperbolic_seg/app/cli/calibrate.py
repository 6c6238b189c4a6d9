"""``hyperbolic-seg calibrate``: intervals of the cloud cover that hold as often as they say."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hyperbolic_seg.app.cli.console import fail, print_json, print_status, quiet
from hyperbolic_seg.files import printable

if TYPE_CHECKING:
    from hyperbolic_seg.app.true_covers import Pairs
    from hyperbolic_seg.sky.camera import CoverCalibration


def calibrate(
    records: Annotated[Path, typer.Argument(help='Lines of predict --json --camera, or journal.jsonl of watch.')],
    truth: Annotated[Path, typer.Argument(help='Table (.csv) of image and cover or oktas; or a folder of masks.')],
    out: Annotated[Path, typer.Option('--out', '-o', help='File to write.')] = Path('cover.yaml'),
    confidence: Annotated[
        float, typer.Option(help='Share of pictures whose true cover is to be in the interval, 0 to 1.')
    ] = 0.9,
    camera: Annotated[Path | None, typer.Option(help='Camera file, for a folder of masks.')] = None,
    as_json: Annotated[bool, typer.Option('--json', help='Print a line of JSON to standard output.')] = False,
) -> None:
    """Calibrate the intervals of the cloud cover on days of your camera whose true cover you know.

    Name the file that it writes in camera.yaml: cover_calibration: cover.yaml. The intervals of predict, watch and
    serve then hold the true cover of a picture of a new day with at least the confidence, if the days to come are like
    those of the calibration. A picture that is unlike them is named.

    For example:

    hyperbolic-seg predict days/ --camera camera.yaml --prompts "clear sky, cloud" --json > records.jsonl

    hyperbolic-seg calibrate records.jsonl observed.csv --out cover.yaml

    Exit codes: 0 written, 2 nothing could be done.
    """
    try:
        with quiet():
            from hyperbolic_seg.app.true_covers import pair, read_masks, read_records, read_table
            from hyperbolic_seg.sky.camera import CoverCalibration, SkyCamera, least_days

            least_days(confidence)
            known = read_records(records)
            if truth.is_dir():
                if camera is None:
                    raise ValueError(f'{truth} is a folder of masks: give --camera, whose lens weighs their pixels')
                pairs = pair(known, read_masks(truth, known, SkyCamera.load(camera)))
            else:
                pairs = pair(known, read_table(truth))
            found = CoverCalibration.of(pairs.records, pairs.covers, pairs.days, confidence=confidence)
            found.save(out)
            report = _report(found, pairs)
    except (OSError, ValueError, ImportError) as error:
        fail(error)
    for note in pairs.notes:
        print_status(note)
    if as_json:
        print_json(report)
    else:
        typer.echo(
            f'{found.pictures} pictures of {found.days} days: the true cover was in {report["held"]:.0%} of the '
            f'intervals of the model, of a mean width of {report["width"]:.2f}; calibrated intervals for '
            f'{found.confidence:.0%} have a mean width of {report["calibrated_width"]:.2f}'
        )
    print_status(f'written: {printable(out)}')


def _report(found: 'CoverCalibration', pairs: 'Pairs') -> dict[str, float]:
    """Return how the intervals did on the days of the calibration, each day counting alike."""
    import numpy as np

    from hyperbolic_seg.sky.camera import day_weights, ends_of

    own, weights = [ends_of(record) for record in pairs.records], day_weights(pairs.days)
    stretched = [each.stretched(found.factor) for each in own]
    held = [float(each.low <= truth <= each.high) for each, truth in zip(own, pairs.covers, strict=True)]
    widths = [[each.high - each.low for each in several] for several in (own, stretched)]
    values = zip(('held', 'width', 'calibrated_width'), (held, *widths), strict=True)
    means = {name: float((weights * np.array(each)).sum()) for name, each in values}
    return dict(days=found.days, pictures=found.pictures, confidence=found.confidence, factor=found.factor) | means
