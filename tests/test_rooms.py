"""The plan of the house: imports only ever point down it."""

import ast
from pathlib import Path

import pytest

import hyperbolic_seg

# As docs/contributing.md has it, from the ground up; those of one storey know nothing of each other.
STOREYS = (
    {'version', 'options', 'lazy', 'files', 'images'},
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


def imported(file):
    """Rooms that a file imports from, and other packages."""
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
