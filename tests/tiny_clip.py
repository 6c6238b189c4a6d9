"""Small models of open_clip, saved to disk as real ones are."""

import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

TEXT = dict(context_length=77, vocab_size=49408, width=32, heads=2, layers=2)
VIT = dict(
    embed_dim=32, vision_cfg=dict(image_size=48, layers=3, width=64, head_width=16, patch_size=16), text_cfg=TEXT
)
CONVNEXT = dict(
    embed_dim=32,
    vision_cfg=dict(timm_model_name='convnext_atto', timm_pool='', timm_proj='linear', image_size=64),
    text_cfg=TEXT,
)


def save_model(folder: Path, config: dict = VIT) -> Path:
    """Save a model with random weights in a folder, as open_clip itself does for a hub; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'open_clip_config.json').write_text(json.dumps(dict(model_cfg=config, preprocess_cfg={})))
    torch.manual_seed(0)
    options = dict(load_weights=False, pretrained_image=False, pretrained_text=False)
    name = register(folder, config)
    save_file(open_clip.create_model(name, **options).state_dict(), folder / 'open_clip_model.safetensors')
    return folder


def register(folder: Path, config: dict = VIT) -> str:
    """Make a config known to open_clip by the name of the folder; return the name."""
    name = f'tiny-{folder.name}'
    (folder / f'{name}.json').write_text(json.dumps(config))
    open_clip.add_model_config(folder / f'{name}.json')
    return name
