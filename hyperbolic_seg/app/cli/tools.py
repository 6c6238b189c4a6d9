"""``hyperbolic-seg train`` and ``test``: doors to the tools and configs inside the package."""

import runpy
import sys
import warnings

import typer

from hyperbolic_seg.app.cli.console import fail, quiet, tell


def train(context: typer.Context) -> None:
    """Train a config of your own or from the package; options are those of tools/train.py.

    [bold]Examples[/bold]

    hyperbolic-seg train                                  names the configs of the package

    hyperbolic-seg train unet_cloud --work-dir runs/first --cfg-options train_cfg.max_epochs=1

    hyperbolic-seg train my_config.py --resume
    """
    _run('train', context.args)


def test(context: typer.Context) -> None:
    """Evaluate a checkpoint; options are those of tools/test.py.

    [bold]Examples[/bold]

    hyperbolic-seg test unet_cloud runs/first/epoch_1.pth --show-dir figures

    hyperbolic-seg test my_config.py best.pth --prompts "clear sky" cloud
    """
    _run('test', context.args)


def _run(tool: str, arguments: list[str]) -> None:
    """Run a tool, in this process, with the config found; its exit code is that of the command."""
    with quiet():
        from hyperbolic_seg.apis.configs import INSIDE, configs, find_config
    if not arguments:
        tell('\n'.join(['A config, your own file or one of the package:', *configs()]))
        raise typer.Exit(2)
    if arguments[0] not in ('-h', '--help'):
        try:
            arguments = [str(find_config(arguments[0])), *arguments[1:]]
        except FileNotFoundError as error:
            fail(error)
    path, own = str(INSIDE / 'tools' / f'{tool}.py'), sys.argv
    sys.argv = [path, *arguments]
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter('default', UserWarning)  # which the other commands leave out
            runpy.run_path(path, run_name='__main__')
    finally:
        sys.argv = own
