"""The variants of the joint model: each changes what its name says and nothing else."""

import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from mmseg.registry import MODELS

from hyperbolic_seg.text import WHOLE_IMAGE, Taxonomy


@pytest.fixture
def ablations(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    for name in ('clouds', 'unseen', 'ablations'):
        sys.modules.pop(name, None)
    import ablations

    return ablations


@pytest.fixture
def args():
    return Namespace(development=Path('dev'), sky=[Path('sky_a'), Path('sky_b')], size=96, epochs=3)


def parts(cfg):
    return [part.get('dataset', part) for part in cfg.train_dataloader.dataset.datasets]


def roots(cfg):
    return {part.data_root for part in parts(cfg)}


REAL = {'dev/swimseg', 'dev/swinseg', 'dev/wsiseg', 'dev/ccsn'}
RENDERED = {'sky_a', 'sky_b'}


@pytest.mark.parametrize(
    'variant, expected',
    [
        ('cosine', REAL | RENDERED),
        ('without-swimseg', REAL - {'dev/swimseg'} | RENDERED),
        ('transfer-wsiseg', REAL - {'dev/wsiseg'} | RENDERED),
        ('sky', RENDERED),
        ('unseen-cirrus-stratus', REAL | RENDERED),
    ],
)
def test_a_variant_sees_its_sets_at_its_size(ablations, args, variant, expected):
    cfg = ablations.configure(args, variant, 5)
    assert roots(cfg) == expected
    steps = [step for part in parts(cfg) for step in part.pipeline]
    assert {tuple(step[key]) for step in steps for key in ('scale', 'crop_size') if key in step} == {(96, 96)}
    assert cfg.train_cfg.max_epochs == 3
    assert cfg.randomness.seed == 5


def test_variants_of_the_head_change_only_the_head(ablations, args):
    plain, other = (ablations.configure(args, variant, 0) for variant in ('distance', 'cosine-8'))
    assert (other.model.decode_head.logits, other.model.decode_head.embed_dims) == ('cosine', 8)
    other.model.decode_head.update(logits='distance', embed_dims=None)
    assert other.to_dict() == plain.to_dict()


def test_images_of_unseen_genera_have_no_loss(ablations, args):
    cfg = ablations.configure(args, 'unseen-altostratus-cirrus', 0)
    loss, tree = MODELS.build(cfg.model.decode_head.loss_decode), Taxonomy.load('sky')
    scores = torch.randn(1, len(loss.classes), 5, requires_grad=True)
    known = tree.ids(['altostratus', 'cirrus', 'high cloud'])
    label = torch.tensor([[*known, *(WHOLE_IMAGE + i for i in known[:2])]])
    assert loss(scores, label, reduction_override='none')[0].bool().tolist() == [False, False, True, False, False]
    assert all('dataset' not in part for part in cfg.train_dataloader.dataset.datasets)  # none is repeated


def test_transfer_starts_from_the_sky_with_a_frozen_encoder_and_any_camera(ablations, args):
    cfg = ablations.configure(args, 'transfer-swimseg', 0)
    assert Path(cfg.load_from).is_file()
    assert cfg.model.backbone.frozen
    assert cfg.model.data_preprocessor.type == 'DaylightPreProcessor'
    cameras = [step for part in parts(cfg) for step in part.pipeline if step['type'] == 'RandomCamera']
    assert len(cameras) == len(parts(cfg))
    assert {camera['exposure'] for camera in cameras} == {ablations.ANY_CAMERA['exposure']}
    assert ablations.configure(args, 'without-swimseg', 0).load_from is None


@pytest.mark.parametrize('variant', ['euclidean', 'without-hyta', 'transfer-moon', 'unseen-unicorn'])
def test_unknown_variants_are_named(ablations, args, variant):
    with pytest.raises(ValueError, match=variant.split('-')[-1]):
        ablations.configure(args, variant, 0)
