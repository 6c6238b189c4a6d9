"""The two small models of the recorded numbers, built here and filled with the released weights."""

import json
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from safetensors import safe_open
from safetensors.torch import load_file

from tests.tiny_clip import register

CONVERTERS = Path(__file__).resolve().parents[2] / 'tools' / 'model_converters'
sys.path.insert(0, str(CONVERTERS))
import released_checkpoints as conversion  # noqa: E402

sys.path.remove(str(CONVERTERS))

KINDS = {
    # name: widths of the towers, of the feature maps that guide, and the seed of the token embedding
    'hyperclip': dict(width=128, seed=20261126),
    'catseg': dict(width=64, seed=20261127),
}
AGGREGATION = dict(dims=32, guidance_dims=16, fine_guidance_dims=(8, 4), decoder_dims=(32, 16))


def clip_config(width):
    """A CLIP of 12 blocks in both towers, whose heads have 64 dimensions."""
    heads = width // 64
    return dict(
        embed_dim=32,
        quick_gelu=True,
        vision_cfg=dict(image_size=224, layers=12, width=width, head_width=64, patch_size=16),
        text_cfg=dict(context_length=77, vocab_size=49408, width=width, heads=heads, layers=12),
    )


def released_weights(folder, kind):
    """The recorded weights, with the token embedding that its recipe draws."""
    weights = {n: v.float() for n, v in load_file(folder / f'{kind}_released_format.safetensors').items()}
    generator = torch.Generator().manual_seed(KINDS[kind]['seed'])
    tokens = torch.randn(49408, KINDS[kind]['width'], generator=generator) * 0.5
    return weights | {'sem_seg_head.predictor.clip_model.token_embedding.weight': tokens}


def record(folder, name):
    """The recorded tensors and, from the metadata, what is written in JSON."""
    with safe_open(folder / f'{name}.safetensors', 'pt') as file:
        metadata = {k: json.loads(v) for k, v in (file.metadata() or {}).items() if v[:1] == '['}
    return load_file(folder / f'{name}.safetensors'), metadata


def read_config(repository, kind, tmp_path, classes, **aggregation):
    """The published config of a kind, with towers and aggregation of the size that was recorded."""
    tmp_path.mkdir(parents=True, exist_ok=True)
    name = register(tmp_path, clip_config(KINDS[kind]['width']))
    cfg = Config.fromfile(repository / f'configs/{kind}/{kind}_vitb16_384.py')
    clip = dict(model=name, pretrained=str(tmp_path / 'none.pt'))  # never read: the weights are converted
    head, width = cfg.model.decode_head, KINDS[kind]['width']
    cfg.model.backbone.update(clip)
    head.text_encoder.update(clip)
    head.update(text_dims=32, in_channels=(width, width, 32), vocabulary=classes)
    head.setdefault('aggregation', {}).update(AGGREGATION, **aggregation)
    return cfg


def build(cfg, weights):
    """The segmentor in evaluation, with converted weights."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    model.load_state_dict(conversion.convert(cfg, weights))
    return model.eval()
