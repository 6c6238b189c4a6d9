"""``hyperbolic-seg doctor``: what is installed, and how to repair what is wrong."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from hyperbolic_seg.app.cli.console import plain, print_json, quiet
from hyperbolic_seg.app.cli.extras import EXTRAS, USES, Extra, Use, absent_of

if TYPE_CHECKING:
    from rich.table import Table


class Finding(NamedTuple):
    """One line of the report; ``state`` is ``'ok'``, ``'absent'`` for an optional part, or ``'wrong'``."""

    subject: str
    found: str
    state: str = 'ok'
    mend: str = ''


def doctor(as_json: Annotated[bool, typer.Option('--json', help='Print the findings as JSON.')] = False) -> None:
    """Say what this installation is for, check its versions, extras, weights and devices, and say how to repair it.

    Each extra that is absent is named with what it adds. A small machine needs no PyTorch: the extra onnx is complete.

    Exit codes: 0 what is installed works, 1 something is wrong.
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


def examine(*, uses: Mapping[str, Use] = USES, extras: Mapping[str, Extra] = EXTRAS) -> Iterator[Finding]:
    """Yield the findings one by one.

    Args:
        uses: What an installation may be for, by the extra.
        extras: What adds to it, by the extra.
    """
    import platform

    yield Finding('Python', f'{platform.python_version()}, {platform.platform()}')
    begun = {extra: use for extra, use in uses.items() if use.begun}
    yield _examine_uses(begun, uses)
    wanted = {'numpy': 'pip install numpy'}
    for extra, use in begun.items():
        wanted |= {module: _install(extra) for module in use.modules if module not in wanted}
    for module, mend in wanted.items():
        yield _examine_module(module, mend=mend)
    if 'mmseg' in begun:
        yield _examine_distributions()
    for extra, use in uses.items():
        if not wanted.keys() >= set(use.modules):
            yield Finding(f'[{extra}]', f'not installed; adds {use.purpose}', 'absent', _install(extra))
    for extra, added in extras.items():
        yield _examine_extra(extra, added)
    yield _guard('devices', _devices if 'torch' in begun else _cores)
    yield from _examine_weights() if 'mmseg' in begun else _examine_files()
    if 'mmseg' in begun:
        yield _guard('configs', _configs)


def _install(extra: str) -> str:
    return f"pip install 'hyperbolic-seg[{extra}]'"


def _examine_uses(begun: Mapping[str, Use], uses: Mapping[str, Use]) -> Finding:
    """Say what an installation is for."""
    if purposes := [use.purpose for use in begun.values() if not absent_of(use.modules)]:
        return Finding('complete for', '; '.join(purposes))
    choices = ', or '.join(f'{_install(extra)} for {use.purpose}' for extra, use in (begun or uses).items())
    return Finding('complete for', 'nothing', 'wrong', choices)


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
    return sorted(set(_all_distributions().get(module, ())))


@cache
def _all_distributions() -> Mapping[str, list[str]]:
    from importlib.metadata import packages_distributions

    return packages_distributions()  # reads the files of every distribution


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


def _examine_extra(extra: str, added: Extra) -> Finding:
    if missing := absent_of(added.modules):
        return Finding(f'[{extra}]', f'without {", ".join(missing)}; adds {added.adds}', 'absent', _install(extra))
    names = dict.fromkeys(name for module in added.modules for name in _distributions(module))
    return Finding(f'[{extra}]', _versions(names))


def _guard(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, look())
    except (ImportError, OSError, RuntimeError, ValueError) as error:  # PackageNotFoundError is an ImportError
        return Finding(subject, str(error), 'wrong', 'install the package again')


def _devices() -> str:
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return ', '.join([*gpus, f'CPU with {torch.get_num_threads()} threads'])


def _cores() -> str:
    import os

    return f'CPU with {os.cpu_count()} cores'


def _examine_files() -> Iterator[Finding]:
    """Check the exported files of the released models, which need no PyTorch."""
    from hyperbolic_seg.apis import RELEASES
    from hyperbolic_seg.app.cli.runtimes import exported_file, load_onnx

    for name in RELEASES:
        subject, export = f'{name}.onnx', f'hyperbolic-seg export {name} --out {name}.onnx'
        try:
            file = exported_file(name)
        except FileNotFoundError:
            mend = f'where PyTorch is: {export}; here: predict --model {name}.onnx'
            yield Finding(subject, 'not here; any exported file can be given by --model', 'absent', mend)
            continue
        try:
            inferencer = load_onnx(name, None)
        except (ImportError, OSError, ValueError) as error:
            yield Finding(subject, str(error), 'wrong', f'where PyTorch is: {export}; then replace {file}')
        else:
            yield Finding(subject, f'whole, license {inferencer.license}')


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
