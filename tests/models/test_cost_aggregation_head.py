"""The cost volume against definitions, top classes, and the head within a model."""

import copy

import geoopt
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from hyperbolic_seg.models.decode_heads.cost_aggregation_head import ABSENT, COSTS
from hyperbolic_seg.text import Taxonomy
from tests.tiny_clip import save_model

WORDS = ['a red barn', 'wet grass', 'two dogs', 'a white fence']
SCALING = dict(type='RadiusScaling', block_size=16)
SMALL = dict(dims=16, guidance_dims=8, fine_guidance_dims=(4, 2), decoder_dims=(16, 8), window=2)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp('clip'))


@pytest.fixture
def build(folder):
    def builder(encoder=None, backbone=None, **head):
        clip = dict(model=f'local-dir:{folder}', pretrained=None)
        settings = dict(
            type='CostAggregationHead',
            vocabulary=WORDS,
            text_encoder=dict(type='OpenCLIPTextEncoder', templates=('{}', 'a photo of {}'), **clip, **(encoder or {})),
            text_dims=32,
            in_channels=(64, 64, 32),
            aggregation=SMALL,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
        )
        torch.manual_seed(0)
        model = MODELS.build(
            dict(
                type='HyperCLIPSegmentor',
                backbone=dict(type='OpenCLIPVisionBackbone', out_indices=(0, 1), **clip, **(backbone or {})),
                decode_head=settings | head,
                test_cfg=ConfigDict(mode='whole'),
            )
        )
        model.init_weights()
        model.set_vocabulary(model.vocabulary)
        return model

    return builder


def random_images(count=2, size=48):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def samples(count=2, size=48, classes=4):
    labels = torch.randint(0, classes, (count, 1, size, size), generator=torch.Generator().manual_seed(2))
    meta = dict(img_shape=(size, size), ori_shape=(size, size))
    return [SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=meta) for label in labels]


def test_the_cosine_is_of_every_template(build):
    head = build().decode_head.eval()
    dense, words = torch.randn(2, 32, 3, 3), head.text_embeddings()
    assert words.shape == (4, 2, 32)
    encoder = head.text.encoder
    for k, word in enumerate(WORDS):
        for p, template in enumerate(encoder.templates):
            torch.testing.assert_close(words[k, p], encoder.encode([template.format(word)])[0])
    expected = F.cosine_similarity(dense[:, None, None], words[None, ..., None, None], dim=3)
    torch.testing.assert_close(head.cost_volume(dense, words), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('c', [0.1, 1.0, 2.3])
def test_the_distance_is_that_of_geoopt(build, c):
    head = build(cost='distance', curvature=dict(value=c), tuner=dict(block_size=16)).double().decode_head.eval()
    with torch.no_grad():
        head.tuner.delta.normal_(std=0.1)
    dense = torch.randn(1, 32, 3, 3, dtype=torch.float64)
    words = head.text_embeddings().double()
    ball = geoopt.PoincareBall(c=torch.tensor(c, dtype=torch.float64))
    place, word = ball.expmap0(F.normalize(dense, dim=1).movedim(1, -1)), ball.expmap0(words)
    distance = ball.dist(place[:, None, None], word[None, :, :, None, None])
    torch.testing.assert_close(head.cost_volume(dense, words), 1 - distance / 2, rtol=1e-5, atol=1e-6)


def test_the_distance_cost_of_a_word_and_its_opposite_is_one_and_minus_one(build):
    head = build(cost='distance').decode_head.eval()
    words = head.text_embeddings()
    dense = torch.stack([words[0, 0], -words[0, 0]])[..., None, None]
    found = head.cost_volume(dense, words)[:, 0, 0, 0, 0]
    torch.testing.assert_close(found, torch.tensor([1.0, -1.0]), atol=1e-3, rtol=0)


@pytest.mark.parametrize('cost', COSTS)
@pytest.mark.parametrize('encoder', [{}, dict(adapter=SCALING)])
def test_every_parameter_that_trains_gets_a_gradient(build, cost, encoder):
    model = build(encoder, dict(adapter=SCALING), cost=cost).train()
    losses = model.loss(random_images(), samples())
    total = sum(value for name, value in losses.items() if 'loss' in name)
    total.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert ('decode.curvature' in losses) == (cost == 'distance')
    assert any('text.tower' in name for name, p in model.named_parameters() if p.requires_grad) == bool(encoder)


def test_only_the_most_likely_classes_are_aggregated(build):
    model = build(top_k=2, aggregation=SMALL | dict(padding=0)).eval()
    head = model.decode_head
    features = model.extract_feat(random_images())
    logits = head(features)
    likely = head.cost_volume(features[-1], head.text_embeddings()).amax((2, 3, 4)).topk(2).indices
    for number, (scores, chosen) in enumerate(zip(logits, likely, strict=True)):
        absent = [k for k in range(4) if k not in chosen]
        assert (scores[absent] == ABSENT).all()
        words = head.text_embeddings()[chosen]
        alone = [part[number : number + 1] for part in features]
        head.top_k = None
        torch.testing.assert_close(head.forward_with_radius(alone, words)[0][0], scores[chosen], rtol=1e-4, atol=1e-5)
        head.top_k = 2
    head.train()
    assert (head(features) != ABSENT).all(), 'a training aggregates all'


def test_an_inner_node_is_as_probable_as_its_leaves(build):
    model = build(
        taxonomy='sky', vocabulary='leaves', loss_decode=dict(type='HierarchicalCrossEntropyLoss', taxonomy='sky')
    ).eval()
    leaves = model.decode_head(model.extract_feat(random_images())).softmax(1)
    tree = Taxonomy.load('sky')
    model.set_vocabulary(['cloud', 'clear sky', 'sun', 'obstruction', 'outside the lens', 'moon'])
    with torch.no_grad():
        nodes = model.decode_head(model.extract_feat(random_images())).softmax(1)
    cloud = [i for i, leaf in enumerate(tree.leaves) if 'cloud' in leaf.lineage]
    torch.testing.assert_close(nodes[:, 0], leaves[:, cloud].sum(1), rtol=1e-3, atol=1e-5)
    hidden = [i for i, leaf in enumerate(tree.leaves) if 'obstruction' in leaf.lineage]
    assert len(hidden) == 7
    torch.testing.assert_close(nodes[:, 3], leaves[:, hidden].sum(1), rtol=1e-3, atol=1e-5)


def test_training_lowers_the_loss(build):
    model = build(dict(adapter=SCALING), dict(adapter=SCALING), tuner=dict(block_size=16))
    before = copy.deepcopy(model.decode_head.text_radius())
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    model.train()
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        parts = model.loss(random_images(), samples())
        parts['decode.loss_ce'].backward()
        losses.append(parts['decode.loss_ce'].item())
        optimizer.step()
    assert losses[-1] < losses[0]
    model.eval()
    found = model.predict(random_images(), samples())[0]
    assert found.seg_logits.data.shape == (4, 48, 48) and found.pred_radius.data.shape == (1, 48, 48)
    assert model.decode_head.text_radius() != before


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(cost='euclid'), "cost='euclid': expected one of"),
        (dict(in_channels=(64, 32)), r'in_channels=\(64, 32\): expected those of two feature maps and of the dense'),
        (dict(prompt_smoothing={}, taxonomy='sky'), 'prompt_smoothing works on means over templates'),
    ],
)
def test_impossible_settings_are_refused(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.parametrize('cost', COSTS)
def test_it_works_on_the_maps_of_a_unet(folder, cost):
    """Finer maps are there already, and dense features of another space are projected."""
    torch.manual_seed(0)
    encoder = dict(type='OpenCLIPTextEncoder', model=f'local-dir:{folder}', pretrained=None, templates=('{}',))
    head = MODELS.build(
        dict(
            type='CostAggregationHead',
            vocabulary=WORDS,
            text_encoder=encoder,
            text_dims=32,
            in_channels=(12, 10, 24),
            in_index=(2, 3, 1),
            cost=cost,
            aggregation=SMALL | dict(fine_scales=(1, 1)),
        )
    )
    head.init_weights()
    shapes = [(40, 2), (24, 4), (12, 8), (10, 16), (8, 32)]
    maps = [torch.randn(2, channels, size, size) for channels, size in shapes]
    logits, radius = head.forward_with_radius(maps)
    assert logits.shape == (2, 4, 16, 16) and radius.shape == (2, 1, 4, 4)
    logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
