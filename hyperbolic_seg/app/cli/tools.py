"""``hyperbolic-seg train`` and ``test``: the tools and the configs inside the package."""

import importlib.util
from pathlib import Path
from types import ModuleType

import typer

import hyperbolic_seg
from hyperbolic_seg.app.cli.console import fail, import_plugin, print_status, quiet

TOOLS = Path(hyperbolic_seg.__file__).parent / '.mim' / 'tools'


def train(context: typer.Context) -> None:
    """Train a config of your own or of the package; the options are those of tools/train.py.

    For example:

    hyperbolic-seg train                                  lists the configs of the package

    hyperbolic-seg train unet_cloud --work-dir runs/first --cfg-options train_cfg.max_epochs=1

    hyperbolic-seg train my_config.py --resume
    """
    _run('train', context.args)


def test(context: typer.Context) -> None:
    """Evaluate a checkpoint; the options are those of tools/test.py.

    For example:

    hyperbolic-seg test unet_cloud runs/first/epoch_1.pth --show-dir figures

    hyperbolic-seg test my_config.py best.pth --prompts "clear sky" cloud
    """
    _run('test', context.args)


def _run(name: str, arguments: list[str]) -> None:
    """Run a tool in this process, with its config found by name; its exit code is that of the command."""
    tool = _load(name)
    if not arguments:
        _list_configs()
        raise typer.Exit(2)
    args = tool.parse_args(
        arguments, prog=f'hyperbolic-seg {name}'
    )  # exits at --help, before anything heavy is imported
    try:
        with quiet():
            from hyperbolic_seg.apis import find_config

            import_plugin()

        args.config = str(find_config(args.config))
    except FileNotFoundError as error:
        fail(error)
    tool.main(args)


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f'hyperbolic_seg_{name}', TOOLS / f'{name}.py')
    if spec is None or spec.loader is None:
        fail(f'the tool {name} is missing in {TOOLS}: install the package again')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def _list_configs() -> None:
    with quiet():
        from hyperbolic_seg.apis import list_configs
    print_status('\n'.join(['Give a config, your own file or one of the package:', *list_configs()]))
