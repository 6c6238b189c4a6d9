"""Inference, released models, configs by name and export, imported when they are first used."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.apis.adaptation import Adaptation, mix_statistics
    from hyperbolic_seg.apis.coarse import coarse_maps, is_local
    from hyperbolic_seg.apis.configs import find_config, list_configs
    from hyperbolic_seg.apis.export import (
        FORMATS,
        ONNX_OPSET,
        ExportableSegmentor,
        export_model,
    )
    from hyperbolic_seg.apis.exported_files import largest_difference, run_exported
    from hyperbolic_seg.apis.inferencer import HyperSegInferencer, load_model
    from hyperbolic_seg.apis.interface import Inferencer
    from hyperbolic_seg.apis.onnx_inferencer import OnnxInferencer
    from hyperbolic_seg.apis.outputs import PredictionWriter, record_of, write_files
    from hyperbolic_seg.apis.promptable import export_promptable
    from hyperbolic_seg.apis.quantization import halve_onnx, quantize_onnx
    from hyperbolic_seg.apis.radii import text_radius
    from hyperbolic_seg.apis.released import config_of, load_release, write_release
    from hyperbolic_seg.apis.releases import RELEASES, Release, find_exported, find_release, list_models

__all__ = [
    'FORMATS',
    'ONNX_OPSET',
    'RELEASES',
    'Adaptation',
    'ExportableSegmentor',
    'HyperSegInferencer',
    'Inferencer',
    'OnnxInferencer',
    'PredictionWriter',
    'Release',
    'coarse_maps',
    'config_of',
    'export_model',
    'export_promptable',
    'find_config',
    'find_exported',
    'find_release',
    'halve_onnx',
    'is_local',
    'largest_difference',
    'list_configs',
    'list_models',
    'load_model',
    'load_release',
    'mix_statistics',
    'quantize_onnx',
    'record_of',
    'run_exported',
    'text_radius',
    'write_files',
    'write_release',
]
__getattr__ = attach(
    __name__,
    dict(
        FORMATS='export',
        ONNX_OPSET='export',
        RELEASES='releases',
        Adaptation='adaptation',
        ExportableSegmentor='export',
        HyperSegInferencer='inferencer',
        Inferencer='interface',
        OnnxInferencer='onnx_inferencer',
        PredictionWriter='outputs',
        Release='releases',
        coarse_maps='coarse',
        config_of='released',
        export_model='export',
        export_promptable='promptable',
        find_config='configs',
        find_exported='releases',
        find_release='releases',
        halve_onnx='quantization',
        is_local='coarse',
        largest_difference='exported_files',
        list_configs='configs',
        list_models='releases',
        load_model='inferencer',
        load_release='released',
        mix_statistics='adaptation',
        quantize_onnx='quantization',
        record_of='outputs',
        run_exported='exported_files',
        text_radius='radii',
        write_files='outputs',
        write_release='released',
    ),
)
