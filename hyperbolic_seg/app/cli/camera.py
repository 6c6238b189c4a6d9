"""``hyperbolic-seg camera``: from pictures of a camera to its camera file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hyperbolic_seg.app.cli.console import fail, plain, print_json, print_notes, print_status, progress, quiet
from hyperbolic_seg.app.cli.predict import Exclude, Include
from hyperbolic_seg.files import printable

if TYPE_CHECKING:
    from hyperbolic_seg.sky.camera.calibration import Calibration


def camera(
    pictures: Annotated[list[str], typer.Argument(help='Pictures of one camera: files, folders or globs.')],
    out: Annotated[Path, typer.Option('--out', '-o', help='Folder for camera.yaml, mask.png and camera.png.')] = Path(
        'camera'
    ),
    latitude: Annotated[float | None, typer.Option(help='Degrees north; by default from EXIF data.')] = None,
    longitude: Annotated[float | None, typer.Option(help='Degrees east; by default from EXIF data.')] = None,
    altitude: Annotated[float, typer.Option(help='Meters above sea level.')] = 0.0,
    time_format: Annotated[
        str | None, typer.Option(help='The time in file names, such as "%Y%m%d_%H%M%S"; by default from EXIF data.')
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help='Time zone of these times, such as UTC or +01:00; see docs/sky_camera.md.')
    ] = None,
    leaning: Annotated[
        bool, typer.Option('--leaning', help='The camera is known to lean by more than 5 degrees.')
    ] = False,
    most: Annotated[int, typer.Option(min=1, help='Pictures to read, spread evenly over those given.')] = 400,
    include: Include = None,
    exclude: Exclude = None,
    overwrite: Annotated[bool, typer.Option('--overwrite', help='Replace these files in the folder.')] = False,
    as_json: Annotated[bool, typer.Option('--json', help='Print a line of JSON to standard output.')] = False,
) -> None:
    """Make a camera file from pictures of some days: dome, lens, north, tilt and mask.

    The sun, and by night the moon, planets and bright stars, tell where the camera looks. What cannot be determined is
    named and left out; what is not known to half a degree is called uncertain.

    For example:

    hyperbolic-seg camera /srv/camera --latitude 59.94 --longitude 10.72 --time-format "%Y%m%d_%H%M%S" --timezone UTC

    Exit codes: 0 all parts determined, 1 some left out or uncertain by name, 2 nothing could be done.
    """
    given = dict(latitude=latitude, longitude=longitude, altitude=altitude, time_format=time_format, timezone=timezone)
    try:
        with quiet():
            from hyperbolic_seg.app.selection import Selection, select_images

            check_free(out, overwrite=overwrite)
            selection = Selection(tuple(include or ()), tuple(exclude or ()))
            files, notes = select_images(pictures, selection, without=out)
        print_notes(dict(notes=notes), set())
        with quiet():
            calibration = _calibrate(files, given, most=most, leaning=leaning)
            from hyperbolic_seg.sky.camera.calibration import as_record, write_calibration

            written = write_calibration(calibration, out)
    except (OSError, ValueError, ImportError) as error:
        fail(error)
    if as_json:
        print_json(as_record(calibration))
    else:
        _print_table(calibration)
    for file, why in calibration.pictures.refused.items():
        print_status(f'refused {printable(file)}: {printable(why)}')
    for words in calibration.warnings:
        print_status(f'warning: {printable(words)}')
    print_status(f'written: {", ".join(printable(path) for path in written)}')
    determined = any(part.settings for part in calibration.parts)
    raise typer.Exit(0 if calibration.complete else 1 if determined else 2)


def check_free(out: Path, *, overwrite: bool) -> None:
    """Check that no file would be replaced, such as a mask that somebody has drawn, before any picture is read.

    Raises:
        FileExistsError: One would.
    """
    from hyperbolic_seg.sky.camera.calibration import FILES

    if not overwrite and (there := [out / name for name in FILES if (out / name).exists()]):
        names = ', '.join(map(printable, there))
        raise FileExistsError(f'there is {names}: give another folder by --out, or --overwrite to replace these files')


def _calibrate(files: list[str], given: dict[str, Any], *, most: int, leaning: bool) -> 'Calibration':
    """Read the pictures, with a progress bar.

    Raises:
        ValueError: A setting is not valid, or the pictures cannot be used.
        ImportError: A package is missing.
    """
    from hyperbolic_seg.sky.camera import SkyCamera
    from hyperbolic_seg.sky.camera.calibration import calibrate

    chosen = [files[number * len(files) // most] for number in range(most)] if len(files) > most else files
    with progress() as bar:
        task = bar.add_task('pictures', total=len(chosen))
        return calibrate(chosen, SkyCamera(**given), leaning=leaning, on_picture=lambda: bar.advance(task))


def _print_table(calibration: 'Calibration') -> None:
    """Print each part with its settings and its figure of merit."""
    from rich.console import Console
    from rich.table import Table

    from hyperbolic_seg.sky.camera.calibration import agreement_words

    table = Table('part', 'settings', 'how well')
    for part in calibration.parts:
        settings = '\n'.join(f'{name}: {value}' for name, value in part.settings.items()) or 'left out'
        table.add_row(part.name, plain(settings, indent=''), plain(part.merit))
    if (found := calibration.orientation) is not None:
        table.add_row(
            'fit',
            agreement_words(calibration),
            f'error {found.fit.rms:.2f} degrees over an arc of {found.arc:.0f} degrees',
        )
    if calibration.leeway is not None:
        table.add_row('times', 'as given', calibration.leeway.words)
    Console().print(table)
