"""Architecture: imports point down, the core knows no sky, and only the plug-in registers."""

import ast
from pathlib import Path

import pytest

import hyperbolic_seg

# As in docs/contributing.md, from the bottom up; packages on one level do not import each other.
STOREYS = (
    {'version', 'options', 'lazy', 'files'},
    {'images'},
    {'geometry'},
    {'layers'},
    {'text'},
    {'datasets'},
    {'models'},
    {'evaluation', 'engine', 'visualization'},
    {'apis'},
    {'sky'},
    {'plugin'},
    {'app'},
)
HEIGHT = {room: storey for storey, rooms in enumerate(STOREYS) for room in rooms}
PACKAGE = Path(hyperbolic_seg.__file__).parent
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / '__init__.py').is_file())
CORE = [
    file
    for file in sorted(PACKAGE.rglob('*.py'))
    # An installation from a checkout leaves copies of configs and tools in .mim.
    if '.mim' not in file.parts and file.relative_to(PACKAGE).parts[0] not in ('sky', 'app', 'plugin.py')
]


def imported(file):
    """Yield the modules that a file imports, as lists of names."""
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom):
            names = [node.module]
            if node.module == 'hyperbolic_seg':
                names = [f'hyperbolic_seg.{alias.name}' for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split('.') for name in names)


@pytest.mark.parametrize('room', ROOMS)
def test_imports_point_down(room):
    for file in (PACKAGE / room).rglob('*.py'):
        for name in imported(file):
            if name[0] == 'hyperbolic_seg' and len(name) > 1:
                other = name[1]
                allowed = other == room or HEIGHT[other] < HEIGHT[room]
                assert allowed, f'{file} imports {".".join(name)}'


@pytest.mark.parametrize('room', ['geometry', 'layers', 'text', 'sky/camera', 'sky/renderer'])
def test_lower_rooms_do_without_mmsegmentation(room):
    for file in (PACKAGE / room).rglob('*.py'):
        strangers = {name[0] for name in imported(file)} & {'mmseg', 'mmcv', 'mmengine'}
        assert not strangers, f'{file} imports {strangers}'


def names_of_modules(file):
    """Yield the full names that a file imports, with those of ``from package import module``."""
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f'{node.module}.{alias.name}' for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def path_of(module):
    """Return the file of a module of the package, ``None`` if it is none."""
    if module != 'hyperbolic_seg' and not module.startswith('hyperbolic_seg.'):
        return None
    path = PACKAGE.joinpath(*module.split('.')[1:])
    return next((file for file in (path.with_suffix('.py'), path / '__init__.py') if file.is_file()), None)


def reachable(start):
    """Return the files that importing a file imports, whether at once or later."""
    found, waiting = set(), [start]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [other for other in map(path_of, names_of_modules(file)) if other is not None]
    return found


def registers(file):
    """Whether a module adds to a registry when it is imported."""
    calls = {'register_module', 'register_scheme'}
    return any(isinstance(node, ast.Attribute) and node.attr in calls for node in ast.walk(ast.parse(file.read_text())))


def strings_by_default(file):
    """Yield the strings that are defaults of arguments, values of constants, or arguments of calls."""
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.arguments):
            values = [*node.defaults, *node.kw_defaults]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            values = [node.value]
        elif isinstance(node, ast.Call):
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
        else:
            continue
        for value in values:
            parts = value.elts if isinstance(value, (ast.Tuple, ast.List)) else [value]
            yield from (part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))


@pytest.mark.parametrize('file', CORE, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_the_core_imports_neither_sky_nor_app(file):
    for name in names_of_modules(file):
        assert not name.startswith(('hyperbolic_seg.sky', 'hyperbolic_seg.app')), f'{file} imports {name}'


# A file written before its config had a format means the sky where it names nothing.
KNOWS_THE_PAST = PACKAGE / 'apis' / 'released.py'


@pytest.mark.parametrize('file', CORE, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_default_of_the_core_is_the_sky(file):
    if file != KNOWS_THE_PAST:
        assert 'sky' not in set(strings_by_default(file))


def test_all_that_registers_is_imported_by_the_plugin():
    imported_by_plugin = reachable(PACKAGE / 'plugin.py')
    lost = [file for file in PACKAGE.rglob('*.py') if registers(file) and file not in imported_by_plugin]
    assert not lost, f'{lost} register parts, but plugin.py does not import them'
    assert any(registers(file) for file in imported_by_plugin)


REPOSITORY = PACKAGE.parent
OUTSIDE = sorted(
    file
    for folder in (REPOSITORY / 'tools', REPOSITORY / 'docs', REPOSITORY / 'configs', PACKAGE / 'app')
    for file in folder.rglob('*.py')
    if '_build' not in file.parts
)


@pytest.mark.parametrize('file', OUTSIDE, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_what_is_built_on_the_library_imports_from_the_faces_of_packages(file):
    for name in imported(file):
        if name[0] == 'hyperbolic_seg' and name[1:2] != ['app']:
            assert len(name) <= 2 or PACKAGE.joinpath(*name[1:]).is_dir(), f'{file} imports from {".".join(name)}'
