"""``hyperbolic-seg train`` and ``test``: doors to the tools and configs inside the package."""

import difflib
import subprocess
import sys
from pathlib import Path

import typer

from hyperbolic_seg.cli.console import fail, tell

INSIDE = Path(__file__).resolve().parents[1] / '.mim'


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


def configs() -> dict[str, Path]:
    """Return the configs inside the package by name: that of the file, below its folder where there is one."""
    root = INSIDE / 'configs'
    paths = sorted(path.relative_to(root) for path in root.rglob('*.py'))
    return {path.with_suffix('').as_posix(): root / path for path in paths if path.parts[0] != '_base_'}


def find_config(name: str) -> Path:
    """Return the file of a config: as given, or the one of this name inside the package.

    Raises:
        FileNotFoundError: There is none; the message names some that are like it.
    """
    if Path(name).is_file():
        return Path(name)
    known = configs()
    wanted = Path(name).with_suffix('').as_posix()
    found = [path for own, path in known.items() if own == wanted or own.rpartition('/')[2] == wanted]
    if len(found) == 1:
        return found[0]
    close = difflib.get_close_matches(wanted.rpartition('/')[2], known, n=3, cutoff=0.5) or list(known)[:3]
    raise FileNotFoundError(
        f'{name} is neither a file nor a config of the package. Those are like {", ".join(close)}; '
        '"hyperbolic-seg train" names all'
    )


def _run(tool: str, arguments: list[str]) -> None:
    """Run a tool with the config found, and leave with its exit code."""
    if not arguments:
        tell('\n'.join(['A config, your own file or one of the package:', *configs()]))
        raise typer.Exit(2)
    if arguments[0] not in ('-h', '--help'):
        try:
            arguments = [str(find_config(arguments[0])), *arguments[1:]]
        except FileNotFoundError as error:
            fail(error)
    done = subprocess.run([sys.executable, str(INSIDE / 'tools' / f'{tool}.py'), *arguments])
    raise typer.Exit(done.returncode)
