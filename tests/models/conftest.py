import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmseg.registry import MODELS

import hyperbolic_seg.plugin  # noqa: F401

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
WIDTH = 4


def small_model(logits: str = 'distance', **head) -> ConfigDict:
    """The plain U-Net under HyperCLIP with four channels."""
    model = copy.deepcopy(Config.fromfile(CONFIGS / 'hyperclip_unet_cloud_swimseg.py').model)
    model.backbone.base_channels = WIDTH
    model.decode_head.pop('known_words', None)  # a test says what completes its prompts
    small = dict(in_channels=WIDTH, channels=WIDTH, logits=logits, vocabulary='binary')
    for key, value in (small | head).items():
        model.decode_head[key] = value
    return model


@pytest.fixture
def build():
    """Build and initialize the small model with options of its head."""

    def builder(logits: str = 'distance', **head):
        torch.manual_seed(0)
        config = small_model(logits, **head)
        model = MODELS.build(copy.deepcopy(config))
        model.small_config = config
        model.init_weights()
        model.set_vocabulary(model.vocabulary)
        return model

    return builder
