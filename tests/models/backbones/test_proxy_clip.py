"""ProxyCLIP and NACLIP beside their definitions, head by head in float64."""

import math

import pytest
import timm
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from safetensors.torch import save_file

from hyperbolic_seg.models.backbones.dense_attention import neighborhood
from hyperbolic_seg.models.backbones.proxy_clip import proxy_attention
from tests.tiny_clip import save_model

PROXY = 'vit_tiny_patch16_224'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp('clip'))


@pytest.fixture
def build(folder):
    def builder(kind='OpenCLIPVisionBackbone', **options):
        torch.manual_seed(0)
        config = dict(type=kind, model=f'local-dir:{folder}', pretrained=None, **options)
        backbone = MODELS.build(config).eval()
        for name, weight in backbone.named_parameters():
            if 'proxy' not in name:
                with torch.no_grad():
                    weight.add_(0.05 * torch.randn_like(weight))  # attention that tells patches apart
        return backbone

    return builder


def last_block_input(backbone, images):
    """Return the tokens before the last block, (N, 1 + h * w, D), of the tower of open_clip itself."""
    kept = {}
    last = backbone.visual.transformer.resblocks[-1]
    handle = last.register_forward_hook(lambda module, inputs, output: kept.update(tokens=inputs[0]))
    with torch.no_grad():
        backbone.visual(images)
    handle.remove()
    return kept['tokens']


def heads_of(block, tokens):
    """Return keys and values of the heads, (N, heads, L, d), of tokens before the block."""
    attention = block.attn
    _, key, value = F.linear(block.ln_1(tokens), attention.in_proj_weight, attention.in_proj_bias).chunk(3, -1)
    return [part.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for part in (key, value)]


def test_naclip_attends_to_keys_and_neighbors(build):
    backbone = build(dense='naclip').double()
    images = torch.randn(2, 3, 48, 48, dtype=torch.float64)
    with torch.no_grad():
        found = backbone(images)[-1]
        block = backbone.visual.transformer.resblocks[-1]
        key, value = heads_of(block, last_block_input(backbone, images))
        scores = key @ key.transpose(-1, -2) / math.sqrt(key.shape[-1])
        for i in range(9):
            for j in range(9):
                squared = (i // 3 - j // 3) ** 2 + (i % 3 - j % 3) ** 2
                scores[:, :, 1 + i, 1 + j] += math.exp(-squared / (2 * 5.0**2))
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        dense = backbone.visual.ln_post(block.attn.out_proj(mixed)) @ backbone.visual.proj
    torch.testing.assert_close(found, dense[:, 1:].transpose(1, 2).unflatten(2, (3, 3)), rtol=1e-6, atol=1e-6)
    other = build(dense='clearclip').double()
    assert (other(images)[-1] - found).abs().max() > 1e-3


def test_neighbors_of_a_wide_grid_are_near():
    near = neighborhood((2, 3), torch.zeros((), dtype=torch.float64), deviation=1.0)
    assert near.shape == (6, 6) and (near.diagonal() == 1).all()
    assert near[0, 2].item() == pytest.approx(math.exp(-2)) and near[0, 3].item() == pytest.approx(math.exp(-0.5))
    assert near[0, 4].item() == pytest.approx(math.exp(-1))


def test_a_trace_keeps_the_size_of_the_grid_free():
    class Near(torch.nn.Module):
        def forward(self, maps):
            return neighborhood(maps.shape[2:], maps)

    free = {2: torch.export.Dim('rows', min=2, max=64), 3: torch.export.Dim('columns', min=2, max=64)}
    program = torch.export.export(Near(), (torch.zeros(1, 1, 3, 4),), dynamic_shapes=(free,)).module()
    torch.testing.assert_close(program(torch.zeros(1, 1, 5, 2)), neighborhood((5, 2), torch.zeros(())))


def test_naclip_takes_any_grid(build):
    backbone = build(dense='naclip', positions='scale')
    with torch.no_grad():
        (dense,) = backbone(torch.randn(1, 3, 32, 80))
    assert dense.shape == (1, 32, 2, 5) and dense.isfinite().all()


def by_loops(features, beta, gamma):
    """The proxy attention of one image, (C, h, w), pair by pair."""
    places = features.flatten(1).t()
    cosine = torch.stack([torch.stack([F.cosine_similarity(a, b, dim=0) for b in places]) for a in places])
    score = gamma * (cosine - beta * cosine.mean())
    weights = torch.where(score >= 0, score.exp(), 0)
    return weights / weights.sum(1, keepdim=True)


def test_proxy_attention_is_its_definition():
    torch.manual_seed(0)
    features = torch.randn(2, 4, 3, 2, dtype=torch.float64) + 0.5
    found = proxy_attention(features, beta=1.2, gamma=3.0)
    for each, expected in zip(found, features, strict=True):
        expected = by_loops(expected, 1.2, 3.0)
        assert (expected == 0).any() and (expected == 0).float().mean() < 0.9
        torch.testing.assert_close(each.double(), expected, rtol=1e-5, atol=1e-6)


def test_a_flat_image_attends_to_itself():
    """If all patches are alike, no similarity is above the threshold, and the published softmax has no entries."""
    weights = proxy_attention(torch.ones(1, 4, 2, 2))
    torch.testing.assert_close(weights[0], torch.eye(4))


@pytest.mark.parametrize('size', [(48, 48), (64, 96)])
def test_values_of_clip_are_gathered_on_the_grid_of_the_proxy(build, size):
    proxy = dict(encoder='vit_tiny_patch16_224', weights=None)
    backbone = build('ProxyCLIPBackbone', proxy=proxy).double()
    backbone.proxy.patch_embed.proj.stride = (8, 8)  # a finer grid than that of CLIP
    images = torch.randn(1, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        (found,) = backbone(images)
        features = backbone.proxy_features(images)
        grid = features.shape[2:]
        plain = build(positions='scale', out_indices=(1,)).double()
        plain.load_state_dict({k: v for k, v in backbone.state_dict().items() if not k.startswith('proxy')})
        before = plain(images)[0]
        block = backbone.visual.transformer.resblocks[-1]
        _, value = heads_of(block, before.flatten(2).transpose(1, 2))
        weights = by_loops(features[0], 1.2, 3.0)
        mixed = []
        for head in value[0]:
            image = head.t().unflatten(1, before.shape[2:])[None]
            enlarged = F.interpolate(image, size=grid, mode='bilinear', align_corners=False)[0].flatten(1).t()
            mixed.append(weights @ enlarged)
        gathered = block.attn.out_proj(torch.cat(mixed, 1))
        dense = (backbone.visual.ln_post(gathered) @ backbone.visual.proj).t().unflatten(1, grid)
    assert tuple(grid) != tuple(before.shape[2:]) and found.shape == (1, 32, *grid)
    torch.testing.assert_close(found[0], dense, rtol=1e-4, atol=1e-5)


def test_the_proxy_sees_images_as_it_was_trained(build):
    backbone = build('ProxyCLIPBackbone', proxy=dict(encoder=PROXY))
    source = timm.create_model(PROXY, pretrained=False, num_classes=0).eval()
    source.load_state_dict(backbone.proxy.state_dict())
    pixels = torch.rand(1, 3, 224, 224)
    clip_mean, clip_std = (
        torch.tensor(values).view(3, 1, 1)
        for values in ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    )
    mean, std = (torch.tensor(source.pretrained_cfg[name]).view(3, 1, 1) for name in ('mean', 'std'))
    with torch.no_grad():
        found = backbone.proxy_features((pixels - clip_mean) / clip_std)
        expected = source.forward_features((pixels - mean) / std)[:, 1:].transpose(1, 2).unflatten(2, (14, 14))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in backbone.proxy.parameters())
    assert not backbone.train().proxy.training


def test_both_backbones_see_images_of_the_resolution(build):
    options = dict(proxy=dict(encoder=PROXY), antialias=False)
    images = torch.randn(1, 3, 50, 70)
    smaller = F.interpolate(images, size=(32, 48), mode='bilinear', align_corners=False)
    with torch.no_grad():
        (found,) = build('ProxyCLIPBackbone', resolution=(32, 48), **options)(images)
        (expected,) = build('ProxyCLIPBackbone', **options)(smaller)
        (averaged,) = build('ProxyCLIPBackbone', resolution=(32, 48), **options | dict(antialias=True))(images)
    torch.testing.assert_close(found, expected)
    assert found.shape == (1, 32, 2, 3) and (averaged - found).abs().max() > 1e-3


def test_the_last_block_of_clip_is_not_run(build):
    backbone, runs = build('ProxyCLIPBackbone', proxy=dict(encoder=PROXY)), []
    backbone.visual.transformer.resblocks[-1].ln_1.register_forward_hook(lambda *_: runs.append(1))
    with torch.no_grad():
        backbone(torch.randn(1, 3, 48, 48))
    assert len(runs) == 1, 'its values alone are taken'


def test_all_that_trains_gets_a_gradient(build):
    backbone = build('ProxyCLIPBackbone', proxy=dict(encoder=PROXY), trainable=['']).train()
    backbone(torch.randn(1, 3, 48, 48))[-1].square().sum().backward()
    assert [name for name, p in backbone.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_weights_come_from_a_file(build, tmp_path, suffix):
    torch.manual_seed(1)
    state = timm.create_model(PROXY, pretrained=False, num_classes=0).state_dict()
    path = tmp_path / f'dino.{suffix}'
    save_file(state, path) if suffix == 'safetensors' else torch.save(state, path)
    backbone = build('ProxyCLIPBackbone', proxy=dict(encoder=PROXY, weights=str(path)))
    assert not torch.equal(backbone.proxy.cls_token, state['cls_token'])
    backbone.init_weights()
    assert all(torch.equal(value, state[name]) for name, value in backbone.proxy.state_dict().items())


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(proxy=dict(encoder='resnet18')), ValueError, 'expected a plain vision transformer'),
        (dict(proxy=dict(model=PROXY)), TypeError, 'proxy has model'),
        (dict(proxy=dict(encoder=PROXY, positions='middle')), ValueError, 'proxy.positions'),
        (dict(proxy=dict(encoder=PROXY), gamma=0), ValueError, 'gamma=0'),
        (dict(proxy=dict(encoder=PROXY), dense='sclip'), TypeError, 'dense: the proxy makes'),
    ],
)
def test_what_does_not_fit_is_refused(build, options, error, message):
    with pytest.raises(error, match=message):
        build('ProxyCLIPBackbone', **options)


def test_a_missing_file_is_named(build, tmp_path):
    backbone = build('ProxyCLIPBackbone', proxy=dict(encoder=PROXY, weights=str(tmp_path / 'none.pth')))
    with pytest.raises(FileNotFoundError, match='none.pth'):
        backbone.init_weights()
