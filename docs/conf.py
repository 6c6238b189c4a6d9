"""Sphinx configuration."""

import sys
from pathlib import Path

from hyperbolic_seg.version import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = 'hyperbolic_seg'
author = 'The hyperbolic_seg developers'
copyright = '2026, the hyperbolic_seg developers'
release = version = __version__

extensions = [
    'myst_nb',
    'sphinx.ext.autodoc',
    'sphinx.ext.mathjax',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
    'sphinx_design',
]
exclude_patterns = ['_build']
html_theme = 'furo'
html_title = f'hyperbolic_seg {release}'
html_static_path = ['_static']

myst_enable_extensions = ['dollarmath', 'colon_fence', 'deflist', 'attrs_block']
myst_heading_anchors = 3

# Notebooks run once, and again when they change; what they show is what they print.
nb_execution_mode = 'cache'
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_show_tb = True
nb_merge_streams = True

copybutton_prompt_text = r'>>> |\.\.\. |\$ '
copybutton_prompt_is_regexp = True

# Sites that turn machines away, and pages that tools make.
linkcheck_ignore = [r'http://127\.0\.0\.1', r'http://localhost', r'https://doi\.org/']
linkcheck_anchors = False
linkcheck_timeout = 20
linkcheck_retries = 2

autodoc_default_options = {'members': True, 'show-inheritance': True}
autodoc_typehints = 'signature'
autodoc_member_order = 'bysource'
napoleon_google_docstring = True
napoleon_numpy_docstring = False
nitpicky = False


def setup(app):
    def draw(app):
        from figures import draw_all

        draw_all()

    app.connect('builder-inited', draw)
