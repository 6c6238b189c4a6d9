"""Lazy exports of packages: a name is imported when it is first used."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def attach(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package (PEP 562), and list the names in its ``dir()``.

    Args:
        package: ``__name__`` of the package.
        names: Module of each name, relative to the package.
    """
    sys.modules[package].__dict__['__dir__'] = lambda: sorted({*vars(sys.modules[package]), *names})

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        return getattr(importlib.import_module(f'{package}.{names[name]}'), name)

    return __getattr__
