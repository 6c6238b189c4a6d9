"""Check of what a long run needs, before it starts: on a machine without a network each missing package costs a try."""

from collections.abc import Mapping
from importlib.util import find_spec

NEEDED = {
    'torch': 'torch',
    'torchvision': 'torchvision',
    'mmengine': 'onedl-mmengine',
    'mmcv': 'onedl-mmcv',
    'mmseg': 'onedl-mmsegmentation',
    'addict': 'addict',
    'termcolor': 'termcolor',
    'yapf': 'yapf',
    'rich': 'rich',
    'matplotlib': 'matplotlib',
    'prettytable': 'prettytable',
    'scipy': 'scipy',
    'open_clip': 'open_clip_torch',
    'ftfy': 'ftfy',
    'regex': 'regex',
    'timm': 'timm',
    'geoopt': 'geoopt',
    'cv2': 'opencv-python-headless',
    'safetensors': 'safetensors',
    'yaml': 'pyyaml',
    'tensorboard': 'tensorboard',
    'tqdm': 'tqdm',
    'cachetools': 'cachetools',
    'platformdirs': 'platformdirs',
}
"""What a training with MMSegmentation imports: the distribution by module."""


def require(modules: Mapping[str, str] = NEEDED) -> None:
    """Leave with all the packages that are missing, by name; nothing is imported.

    Args:
        modules: Name of the distribution by module.

    Raises:
        SystemExit: Some are missing.
    """
    missing = [name for module, name in modules.items() if find_spec(module) is None]
    if missing:
        names = ' '.join(missing)
        raise SystemExit(
            f'missing packages: {", ".join(missing)}. Install them: pip install {names}. Without a network there: '
            f'pip download --no-deps -d wheels {names}, and then pip install --no-index wheels/*.whl'
        )
