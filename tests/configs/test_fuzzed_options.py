"""Nonsense in any option of a config is refused in words, where the part is built; or it is no nonsense, and works."""

import copy
import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmseg.registry import DATASETS, METRICS, MODELS, TRANSFORMS

import hyperbolic_seg.plugin  # noqa: F401

NONSENSE = st.one_of(
    st.sampled_from(
        [None, '', 'no such thing', [], {}, [1, 2], (0.5, -0.5), {'type': 'NoSuchThing'}, {'no_such': 1}, True, object]
    ),
    st.sampled_from([0, -1, 1, 3, 0.5, -0.5, 1e-30, 1e30, math.nan, math.inf, -math.inf]),
    st.text(max_size=8),
    st.integers(-5, 300),
    st.floats(),
)
HEAD = dict(
    type='HyperCLIPHead',
    vocabulary='leaves',
    taxonomy='sky',
    text_encoder=dict(type='OpenCLIPTextEncoder', model='offline'),
    text_dims=384,
    embed_dims=16,
    phrase_augmentation=dict(concentration=0.5, noise=0.3),
    prompt_smoothing=dict(weight=4.0, temperature=0.03),
    projection=True,
    logits='distance',
    curvature=dict(value=1.0, learned=True, bounds=(0.1, 10.0)),
    temperature=0.2,
    tuner=dict(block_size=128, shared_scale=True),
    in_channels=4,
    channels=4,
    num_convs=1,
    concat_input=False,
)
SEGMENTOR = dict(
    type='HyperCLIPSegmentor',
    backbone=dict(type='UNet', base_channels=4),
    decode_head=dict(HEAD, in_index=4),
    train_cfg=dict(),
    test_cfg=dict(
        mode='slide',
        crop_size=(32, 32),
        stride=(16, 16),
        class_chunk=4,
        window_batch=2,
        whole_view=(32, 32),
        guided=dict(radius=4, eps=1e-4),
        color_likelihood=dict(weight=1.0, rounds=2, temperature=2.0),
        background=dict(name='clear sky', below=0.4),
    ),
)
PARTS = {
    'head': (MODELS, HEAD),
    'segmentor': (MODELS, SEGMENTOR),
    'mlr': (MODELS, dict(type='HyperbolicMLR', in_channels=4, num_classes=3, c=1.0, learned=True)),
    'prototypes': (MODELS, dict(type='HyperbolicPrototypes', in_channels=4, num_classes=3, c=1.0, learned=False)),
    'cones': (MODELS, dict(type='EntailmentCones', in_channels=4, num_classes=3, c=1.0)),
    'convolution': (MODELS, dict(type='HyperbolicConv2d', in_channels=4, out_channels=4, kernel_size=3, c=1.0)),
    'norm': (MODELS, dict(type='HyperbolicBN', num_features=4, c=1.0, eps=1e-5, momentum=0.1)),
    'tuner': (MODELS, dict(type='RadiusTuner', embed_dims=384, block_size=128, shared_scale=True)),
    'loss': (
        MODELS,
        dict(
            type='HierarchicalCrossEntropyLoss',
            taxonomy='sky',
            classes='leaves',
            node_weight={'cumulus': 2.0},
            image_weight=1.0,
            parent_weight=0.5,
            unlabeled=['stratus'],
            loss_weight=1.0,
        ),
    ),
    'camera': (
        TRANSFORMS,
        dict(type='RandomCamera', exposure=0.4, white_balance=0.2, saturation=(0.5, 1.4), gamma=0.1, blur=1.0, jpeg=50),
    ),
    'sky': (
        DATASETS,
        dict(type='ProceduralSkyDataset', num_images=4, image_size=32, first_seed=0, scene=dict(time='day')),
    ),
    'metric': (METRICS, dict(type='HierarchicalMetric', taxonomy='sky')),
}


LAYERS = ('mlr', 'prototypes', 'cones', 'convolution', 'norm')
# Of MMSegmentation's and torch's own parts, which check them or do not.
THEIRS = {'backbone', 'in_channels', 'channels', 'num_convs', 'concat_input', 'in_index', 'train_cfg', 'kernel_size',
          'out_channels', 'padding', 'pipeline'}  # fmt: skip


def paths(config, *before):
    """Every option of ours in a config, as the keys that lead to it."""
    for key, value in config.items():
        if key in THEIRS and config['type'] not in ('HyperbolicMLR', 'HyperbolicPrototypes', 'EntailmentCones'):
            continue
        if key not in ('type', 'decode_head'):
            yield (*before, key)
        if isinstance(value, dict):
            yield from paths(dict(value, type=value.get('type')), *before, key)


def with_option(config, path, value):
    changed = copy.deepcopy(config)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize('part', PARTS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_of_an_option_works_or_is_refused_with_a_message(part, data):
    registry, config = PARTS[part]
    path = data.draw(st.sampled_from(sorted(paths(config))), label='option')
    value = data.draw(NONSENSE, label='value')
    try:
        built = registry.build(with_option(config, path, value))
    except (ValueError, TypeError, KeyError, FileNotFoundError, ImportError) as error:
        assert len(str(error)) > 10, f'{error!r} says nothing'
        return
    if part in LAYERS and path[-1] not in ('in_channels', 'num_features'):
        assert torch.isfinite(built(torch.randn(2, 4, 8, 8))).all(), 'it was built, and gives no numbers'


@pytest.mark.parametrize('part', PARTS)
def test_an_option_that_there_is_not_is_named(part):
    registry, config = PARTS[part]
    registry.build(copy.deepcopy(config))
    with pytest.raises(TypeError, match='no_such_option'):
        registry.build(dict(config, no_such_option=1))
