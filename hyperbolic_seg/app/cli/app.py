"""The commands of ``hyperbolic-seg``, one file each."""

import typer

from hyperbolic_seg.app.cli.adapt import adapt
from hyperbolic_seg.app.cli.archive import archive
from hyperbolic_seg.app.cli.calibrate import calibrate
from hyperbolic_seg.app.cli.camera import camera
from hyperbolic_seg.app.cli.doctor import doctor
from hyperbolic_seg.app.cli.export import export
from hyperbolic_seg.app.cli.predict import predict
from hyperbolic_seg.app.cli.serve import serve
from hyperbolic_seg.app.cli.tools import test, train
from hyperbolic_seg.app.cli.vocab import vocab
from hyperbolic_seg.app.cli.watch import watch
from hyperbolic_seg.version import __version__

PASS_ON = dict(allow_extra_args=True, ignore_unknown_options=True, help_option_names=[])

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,  # help in plain text takes 0.4 s of processor time, with rich 0.6 s
    pretty_exceptions_enable=False,
    context_settings=dict(max_content_width=120),
)
app.command()(predict)
app.command()(watch)
app.command()(archive)
app.command()(camera)
app.command()(adapt)
app.command()(calibrate)
app.command()(serve)
app.command()(export)
app.command(context_settings=PASS_ON)(train)
app.command(context_settings=PASS_ON)(test)
app.command()(vocab)
app.command()(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f'hyperbolic-seg {__version__}')
        raise typer.Exit


@app.callback(epilog='Exit codes: 0 all done, 1 some could not be done, 2 nothing could be done.')
def hyperbolic_seg(
    version: bool = typer.Option(
        False, '--version', callback=_print_version, is_eager=True, help='Print the version and exit.'
    ),
) -> None:
    """Segment images of the sky by prompts."""
