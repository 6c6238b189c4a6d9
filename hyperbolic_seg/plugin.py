"""What plugs into MMSegmentation: importing this module registers everything that a config can name.

A config asks for it by one line::

    custom_imports = dict(imports=['hyperbolic_seg.plugin'], allow_failed_imports=False)
"""

import io
import sys
import warnings
from contextlib import redirect_stdout

_UNHELPFUL = ('`torch.jit.script` is deprecated', 'Fail to import ``MultiScaleDeformableAttention``')
"""What libraries say when they are imported that nobody can do anything about."""

if not sys.warnoptions:
    for start in _UNHELPFUL:
        warnings.filterwarnings('ignore', message=start)
with redirect_stdout(io.StringIO()):  # MMSegmentation prints notes on what it does without
    from hyperbolic_seg import datasets, engine, evaluation, models, visualization  # noqa: F401
    from hyperbolic_seg.sky import ground_cloud, rendered_dataset  # noqa: F401
