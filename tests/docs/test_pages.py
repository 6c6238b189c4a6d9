"""Pages of the documentation: they leave nothing out, and what they point at exists."""

import ast
import importlib
import inspect
import itertools
import pkgutil
import re

import pytest

import hyperbolic_seg

# Modules whose parts only serve their own package.
INTERNAL = (
    *('models.refinement.elimination', 'models.refinement.levels', 'sky.renderer.'),
    *('app.cli.', 'app.web.', 'app.outputs.alpaca.', 'app.archive.'),
)


@pytest.fixture(scope='module')
def pages(repository):
    docs = repository / 'docs'
    found = [repository / 'README.md', *docs.glob('*.md'), *docs.glob('api/*.md'), *docs.glob('tutorials/*.md')]
    return {path: path.read_text(encoding='utf-8') for path in found}


def test_links_between_files_lead_somewhere(pages):
    for page, text in pages.items():
        for target in re.findall(r'\]\(([^)\s]+)\)', text):
            if re.match(r'[a-z]+:|#', target) or '_figures/' in target:
                continue
            assert (page.parent / target.partition('#')[0]).exists(), f'{page.name} points at {target}'


def test_every_config_is_named(repository, pages):
    reference = pages[repository / 'docs' / 'configs.md']
    for path in (repository / 'configs').rglob('*.py'):
        name = path.relative_to(repository / 'configs').with_suffix('').as_posix()
        assert name.startswith('_base_') or f'| `{name}` |' in reference, name
    for name in re.findall(r'^\| `([^`]+)` \|', reference, re.M):
        assert (repository / 'configs' / f'{name}.py').is_file(), name


def test_every_tool_is_named(repository, pages):
    reference = pages[repository / 'docs' / 'tools.md']
    for path in (repository / 'tools').rglob('*.*'):
        text = path.read_text(encoding='utf-8', errors='ignore')
        if path.suffix == '.sh' or (path.suffix == '.py' and "__name__ == '__main__'" in text):
            assert f'`{path.name}' in reference, path


def packages_and_modules():
    """Return every module of the package, imported, by its full name."""
    found = pkgutil.walk_packages(hyperbolic_seg.__path__, 'hyperbolic_seg.')
    names = [module.name for module in found if not module.name.startswith('hyperbolic_seg.app.')]
    return {name: importlib.import_module(name) for name in ['hyperbolic_seg', *names]}


def names_of(module):
    """Return the names that autodoc documents for a module: ``__all__``, or else what the module defines."""
    if hasattr(module, '__all__'):
        return set(module.__all__)
    return {name for name, value in vars(module).items() if name[0] != '_' and defined_in(value) == module.__name__}


def defined_in(value):
    """Return the module of a class or function; ``None`` for anything else, which has no docstring of its own."""
    return value.__module__ if inspect.isclass(value) or inspect.isroutine(value) else None


def commented_constants(module):
    """Return the constants of a module that have a docstring below them, which autodoc documents too."""
    body = ast.parse(inspect.getsource(module)).body
    below = {
        id(node)
        for node, after in itertools.pairwise(body)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
    }
    assigned = [node for node in body if isinstance(node, (ast.Assign, ast.AnnAssign)) and id(node) in below]
    return {
        target.id
        for node in assigned
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }


@pytest.fixture(scope='module')
def modules():
    return packages_and_modules()


@pytest.fixture(scope='module')
def reference(repository, modules):
    """What docs/api documents: full names, and the classes and functions behind them."""
    text = '\n'.join(path.read_text(encoding='utf-8') for path in (repository / 'docs' / 'api').glob('*.md'))
    named = {f'{module}.{name}' for name, module in re.findall(r'py:data:: (\S+)\n +:module: (\S+)', text)}
    objects = set()
    for name, options in re.findall(r'automodule:: (\S+)((?:\n +:.*)*)', text):
        if name.startswith('hyperbolic_seg.app.'):
            continue
        excluded = re.findall(r'\w+', ''.join(re.findall(r':exclude-members:(.*)', options)))
        module, constants = modules[name], commented_constants(modules[name])
        for member in names_of(module).difference(excluded):
            value = getattr(module, member)
            if defined_in(value) and inspect.getdoc(value):
                objects.add(value)
                named.add(f'{name}.{member}')
            elif member in constants:
                named.add(f'{name}.{member}')
    return named, objects


def test_every_exported_name_is_in_the_reference(modules, reference):
    named, objects = reference
    for module_name, module in modules.items():
        package = module_name.rpartition('.')[0]
        for name in getattr(module, '__all__', ()):
            value = getattr(module, name)
            by_name = {f'{module_name}.{name}', f'{package}.{name}'} & named
            documented = by_name or (defined_in(value) and value in objects)
            assert documented, f'{module_name}.{name} is exported, but not in docs/api'


def test_every_package_has_its_face_in_the_reference(modules, reference):
    named, _ = reference
    for module_name, module in modules.items():
        if module_name.count('.') == 1 and getattr(module, '__all__', ()) and hasattr(module, '__path__'):
            missing = [name for name in module.__all__ if f'{module_name}.{name}' not in named]
            assert not missing, f'docs/api does not document {missing} under {module_name}'


def test_every_module_has_its_place_in_the_reference(repository, pages, reference):
    package = repository / 'hyperbolic_seg'
    documented = {value.__module__ for value in reference[1]}
    documented |= set(re.findall(r'automodule:: (\S+)', ''.join(pages.values())))
    for path in package.rglob('*.py'):
        name = '.'.join(path.relative_to(package).with_suffix('').parts)
        if '.mim' in path.parts or path.name.startswith('_') or name.startswith(INTERNAL):
            continue
        if re.search(r'^(def|class) [a-zA-Z]', path.read_text(encoding='utf-8'), re.M):
            assert f'hyperbolic_seg.{name}' in documented, f'{name} is not in docs/api'


def test_every_constant_in_the_reference_is_exported(pages, modules):
    for name, module in re.findall(r'py:data:: (\S+)\n +:module: (\S+)', '\n'.join(pages.values())):
        assert name in modules[module].__all__, f'{module} exports no {name}'


def test_pages_refer_to_what_is_documented(pages, reference):
    named, objects = reference
    canonical = {f'{value.__module__}.{value.__qualname__}' for value in objects if inspect.isclass(value)}
    for page, text in pages.items():
        for target in re.findall(r'\{(?:func|class|data)\}`~?([\w.]+)`', text):
            assert target in named | canonical, f'{page.name} refers to {target}, which docs/api does not document'
