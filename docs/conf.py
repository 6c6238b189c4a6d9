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
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.mathjax',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
]
exclude_patterns = ['_build']
html_theme = 'furo'
html_title = f'hyperbolic_seg {release}'
html_static_path = ['_static']

myst_enable_extensions = ['dollarmath', 'colon_fence', 'deflist']
myst_heading_anchors = 3

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
