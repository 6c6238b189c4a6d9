"""Vision transformers of timm as towers of open_clip: dense features against plain tensor algebra in float64."""

from dataclasses import dataclass

import open_clip
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmseg.registry import MODELS

from hyperbolic_seg.models import OpenCLIPVisionBackbone
from hyperbolic_seg.models.backbones.dense_attention import dense_timm_block
from tests.tiny_clip import register
from tests.tiny_timm import CONFIGS

HEADS, WIDTH, PATCH = 4, 64, 16


@dataclass
class Family:
    """Differences between the families of towers, as in their papers and weights."""

    first: tuple[str, ...] = ('cls_token',)
    first_has_positions: bool = True
    eps: float = 1e-6
    norm_pre: bool = False
    norm_after: bool = False
    rotary: dict | None = None
    pool: bool = False
    norms_after: tuple[str, ...] = ('norm',)
    projects: bool = True


FAMILIES = dict(
    siglip=Family(first=(), pool=True, projects=False),
    mean=Family(first=('reg_token',), first_has_positions=False, norms_after=('fc_norm',)),
    pe_core=Family(eps=1e-5, norm_pre=True, rotary=dict(offset=1, order=('x', 'y')), pool=True),
    eva02=Family(rotary=dict(offset=0, order=('y', 'x'))),
    eva02_enormous=Family(norm_after=True),
)


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
    return {family: register(tmp_path_factory.mktemp(family), config) for family, config in CONFIGS.items()}


@pytest.fixture
def build(sources):
    def builder(family, **options):
        built = MODELS.build(
            dict(type='OpenCLIPVisionBackbone', model=sources[family], pretrained='none.pt', **options)
        )
        # The weights that timm starts with hide half of the tower: heads near zero, norms and biases that do nothing.
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, parameter in sorted(built.visual.named_parameters()):
                if 'parametrizations' not in name or name.endswith('original'):
                    parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
        return built.double().eval()

    return builder


def random_images(height, width, count=2):
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Direct:
    """The tower from its weights, one head after the other."""

    def __init__(self, built, family, how):
        self.state = {name.removeprefix('trunk.'): value for name, value in built.visual.state_dict().items()}
        self.family, self.how = FAMILIES[family], how

    def linear(self, name, x):
        x = x @ self.state[f'{name}.weight'].t()
        return x + self.state[f'{name}.bias'] if f'{name}.bias' in self.state else x

    def norm(self, name, x):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + self.family.eps).sqrt()
        return x * self.state[f'{name}.weight'] + self.state[f'{name}.bias']

    def mlp(self, name, x):
        if f'{name}.fc1_g.weight' not in self.state:
            return self.linear(f'{name}.fc2', F.gelu(self.linear(f'{name}.fc1', x)))
        gate = self.linear(f'{name}.fc1_g', x)
        x = self.linear(f'{name}.fc1_x', x) * gate * gate.sigmoid()
        return self.linear(f'{name}.fc2', self.norm(f'{name}.norm', x))

    def projections(self, name, x):
        if f'{name}.q_proj.weight' in self.state:
            return [self.linear(f'{name}.{letter}_proj', x) for letter in 'qkv']
        q, k, v = self.linear(f'{name}.qkv', x).chunk(3, -1)
        if f'{name}.q_bias' in self.state:
            q, v = q + self.state[f'{name}.q_bias'], v + self.state[f'{name}.v_bias']
        return [q, k, v]

    def turned(self, x, grid):
        """Turn pairs of channels of the patches as complex numbers; the first half by one coordinate."""
        if self.family.rotary is None:
            return x
        (h, w), pairs = grid, x.shape[-1] // 2
        rows, columns = torch.arange(h * w) // w, torch.arange(h * w) % w
        places = dict(
            y=(rows + self.family.rotary['offset']) / h * 4, x=(columns + self.family.rotary['offset']) / w * 4
        )
        bands = 10000.0 ** (-torch.arange(pairs // 2, dtype=torch.float64) / (pairs // 2))
        angles = torch.cat([places[axis].double()[:, None] * bands for axis in self.family.rotary['order']], 1)
        first = x.shape[1] - h * w
        numbers = torch.view_as_complex(x[:, first:].unflatten(-1, (pairs, 2)).contiguous())
        turned = torch.view_as_real(numbers * torch.polar(torch.ones_like(angles), angles)).flatten(-2)
        return torch.cat([x[:, :first], turned], 1)

    def attended(self, name, x, how, grid):
        parts = []
        for of in torch.arange(WIDTH).chunk(HEADS):
            q, k, v = (part[..., of] for part in self.projections(name, x))
            q, k = self.turned(q, grid), self.turned(k, grid)
            pairs = dict(tokens=[(q, k)], sclip=[(q, q), (k, k)], clearclip=[(q, q)]).get(how)
            scale = (WIDTH / HEADS) ** 0.5
            parts.append(v if pairs is None else sum((a @ b.mT / scale).softmax(-1) for a, b in pairs) @ v)
        x = torch.cat(parts, -1)
        return self.linear(f'{name}.proj', self.norm(f'{name}.norm', x) if f'{name}.norm.weight' in self.state else x)

    def branch(self, name, number, function, x):
        """Attention or feed-forward part, with its norm before or after."""
        norm, scale = f'{name}.norm{number}', f'{name}.ls{number}.gamma'
        x = self.norm(norm, function(x)) if self.family.norm_after else function(self.norm(norm, x))
        return x * self.state.get(scale, 1)

    def __call__(self, images, positions):
        grid = (images.shape[2] // PATCH, images.shape[3] // PATCH)
        kernel = self.state['patch_embed.proj.weight'].flatten(1).t()
        x = F.unfold(images, PATCH, stride=PATCH).transpose(1, 2) @ kernel + self.state.get('patch_embed.proj.bias', 0)
        first = [self.state[name].expand(len(images), -1, -1) for name in self.family.first]
        if self.family.first_has_positions:
            x = torch.cat([*first, x], 1) + positions
        else:
            x = torch.cat([*first, x + positions], 1)
        x = self.norm('norm_pre', x) if self.family.norm_pre else x
        for i in range(3):
            name, how = f'blocks.{i}', 'tokens' if i < 2 else self.how
            change = self.branch(name, 1, lambda y, n=name, h=how: self.attended(f'{n}.attn', y, h, grid), x)
            if how == 'clearclip':
                x = change
                break
            x = (x[:, :1] if how == 'catseg' else x) + change
            x = x + self.branch(name, 2, lambda y, n=name: self.mlp(f'{n}.mlp', y), x)
        for name in self.family.norms_after:
            if name != 'fc_norm':
                x = self.norm(name, x)
        if self.family.pool:  # of one key: its weight is 1, so queries and keys do not count
            value = x @ self.state['attn_pool.kv.weight'][WIDTH:].t() + self.state['attn_pool.kv.bias'][WIDTH:]
            x = self.linear('attn_pool.proj', value)
            x = x + self.mlp('attn_pool.mlp', self.norm('attn_pool.norm', x))
        x = self.norm('fc_norm', x) if 'fc_norm' in self.family.norms_after else x
        x = self.linear('head', x) if self.family.projects else x
        prefix = x.shape[1] - grid[0] * grid[1]
        return x[:, prefix:].transpose(1, 2).unflatten(2, grid)


def resized(positions, old, new, prefix):
    grid = positions[:, prefix:].mT.unflatten(2, old).float()
    grid = F.interpolate(grid, size=new, mode='bicubic', align_corners=False, antialias=True)
    return torch.cat([positions[:, :prefix], grid.flatten(2).mT.to(positions)], 1)


def close(found, expected):
    assert expected.std() > 0.05
    # timm computes the angles of rotary embeddings in float32.
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


FORMS = ('maskclip', 'sclip', 'clearclip', 'tokens')
CASES = [(family, how) for family in FAMILIES for how in FORMS]
CASES += [(family, 'catseg') for family in FAMILIES if FAMILIES[family].first == ('cls_token',)]


@pytest.mark.parametrize('family, how', CASES)
def test_dense_features_are_those_of_a_direct_computation(build, family, how):
    built, images = build(family, dense=how), random_images(48, 48)
    with torch.no_grad():
        close(built(images)[-1], Direct(built, family, how)(images, built.visual.trunk.pos_embed))


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('size, grid', [((32, 70), (2, 5)), ((96, 48), (6, 3))])
def test_positions_follow_the_size_of_the_image(build, family, size, grid):
    built, images = build(family, dense='sclip'), random_images(*size)
    prefix = len(FAMILIES[family].first) if FAMILIES[family].first_has_positions else 0
    with torch.no_grad():
        found = built(images)[-1]
        positions = resized(built.visual.trunk.pos_embed, (3, 3), grid, prefix)
        whole = tuple(PATCH * side for side in grid)
        if whole != size:
            images = F.interpolate(images, whole, mode='bilinear', align_corners=False, antialias=True)
        close(found, Direct(built, family, 'sclip')(images, positions))


def test_one_patch_is_pooled_to_the_image_embedding(build):
    built, image = build('siglip', dense='tokens'), random_images(16, 16)
    with torch.no_grad():
        found = built(image)[-1].flatten(1)
        built.visual.trunk.set_input_size((16, 16))
        close(found, built.visual(image))


def test_position_embeddings_are_scaled_as_in_sclip(build):
    built = build('siglip', positions='scale', dense='sclip')
    images = random_images(32, 80)
    own = built.visual.trunk.pos_embed.detach()
    scale = (2.1 / 3, 5.1 / 3)
    grid = F.interpolate(own.mT.unflatten(2, (3, 3)), scale_factor=scale, mode='bicubic', align_corners=False)
    with torch.no_grad():
        close(built(images)[-1], Direct(built, 'siglip', 'sclip')(images, grid.flatten(2).mT))


@pytest.mark.parametrize('family', FAMILIES)
def test_out_indices_are_maps_of_timm(build, family):
    built = build(family, out_indices=(0, 1))
    images = random_images(48, 80)
    with torch.no_grad():
        *found, last = built(images)
        trunk = built.visual.trunk
        trunk.set_input_size((48, 80))
        expected = trunk.forward_intermediates(images, indices=[0, 1], intermediates_only=True)
    assert last.shape == (2, 64 if family == 'siglip' else 32, 3, 5)
    for one, wanted in zip(found, expected, strict=True):
        assert one.shape == (2, WIDTH, 3, 5)
        close(one, wanted)


@pytest.mark.parametrize('family', FAMILIES)
def test_gradients_reach_what_the_dense_map_is_made_of(build, family):
    gradients = []
    for with_cp in (False, True):
        built = build(family, dense='sclip', trainable=[''], with_cp=with_cp).train()
        built(random_images(48, 32))[-1].square().mean().backward()
        gradients.append({name: p.grad for name, p in built.visual.named_parameters() if p.grad is not None})
    torch.testing.assert_close(*gradients)
    without = {name for name, _ in built.visual.named_parameters()} - set(gradients[0])
    unused = {'trunk.attn_pool.latent', 'trunk.attn_pool.q.weight', 'trunk.attn_pool.q.bias'}
    assert without == (unused if FAMILIES[family].pool else set())
    assert all(gradient.abs().max() > 0 for gradient in gradients[0].values())


@pytest.mark.parametrize('family, how', CASES)
@pytest.mark.parametrize('options', [dict(trainable=['']), dict(adapter=dict(type='LowRank', rank=2, out_proj=True))])
def test_all_that_trains_gets_a_gradient(build, family, how, options):
    built = build(family, dense=how, **options).train()
    built(random_images(48, 32))[-1].square().mean().backward()
    training = {name: p.grad for name, p in built.named_parameters() if p.requires_grad}
    assert training and all(gradient is not None for gradient in training.values())


def test_naclip_is_refused_by_the_block_too(build):
    block = build('siglip').visual.trunk.blocks[-1]
    with pytest.raises(ValueError, match="how='naclip' is for blocks of open_clip itself"):
        dense_timm_block(block, torch.zeros(1, 9, WIDTH, dtype=torch.float64), 'naclip')


def test_an_exported_tower_takes_images_of_any_size(build):
    built, images = build('pe_core', dense='sclip'), random_images(48, 64)
    rows, columns = (torch.export.Dim(name, min=2, max=40) for name in ('rows', 'columns'))
    sizes = ({2: PATCH * rows, 3: PATCH * columns},)
    exported = torch.export.export(built, (images,), dynamic_shapes=sizes).module()
    with torch.no_grad():
        close(exported(random_images(96, 80))[-1], built(random_images(96, 80))[-1])


@pytest.mark.parametrize('family', ['siglip', 'pe_core', 'eva02'])
def test_adapters_start_as_nothing_train_alone_and_merge(build, family):
    adapter = dict(type='RadiusScaling', block_size=16)
    plain, adapted = build(family, dense='sclip'), build(family, dense='sclip', adapter=adapter)
    images, separate = random_images(48, 48), family == 'eva02'
    torch.testing.assert_close(adapted(images)[-1], plain(images)[-1])
    training = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert len(training) == (9 if separate else 3) and all(name.endswith('weight.0.delta') for name in training)
    # As many parameters for queries, keys and values whether their weights are packed or not.
    assert sum(p.numel() for p in adapted.parameters() if p.requires_grad) == 3 * 3 * 64 * 16
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.1)
    expected = adapted(images)[-1]
    assert not torch.allclose(expected, plain(images)[-1])
    plain.visual.load_state_dict(adapted.merge_adapter().visual.state_dict())
    torch.testing.assert_close(plain(images)[-1], expected)


def test_output_projections_of_timm_are_adapted(build):
    adapted = build('siglip', adapter=dict(type='LowRank', rank=2, out_proj=True))
    training = {name.partition('parametrizations')[0] for name, p in adapted.named_parameters() if p.requires_grad}
    assert training == {f'visual.trunk.blocks.{i}.attn.{layer}.' for i in range(3) for layer in ('qkv', 'proj')}


def test_settings_of_other_kinds_of_towers_are_refused(build, sources):
    for family, options, message in [
        ('siglip', dict(dense='catseg'), 'has no class token: expected'),
        ('siglip', dict(dense='naclip'), 'is of timm: expected'),
        ('eva02', dict(activation='gelu'), 'have gates with SiLU'),
        ('pe_core', dict(out_indices=(2,)), r'out_indices=\(2,\): expected some of 0 to 1'),
        ('pe_core', dict(trainable=['q_proj']), 'is found in no parameter'),
    ]:
        with pytest.raises(ValueError, match=message):
            OpenCLIPVisionBackbone(sources[family], 'none.pt', **options)


def test_details_of_the_model_can_be_replaced(build):
    changed, plain = build('pe_core', norm_eps=0.5), build('pe_core')
    with torch.no_grad():
        found, before = changed(random_images(48, 48))[-1], plain(random_images(48, 48))[-1]
        assert not torch.allclose(found, before)
        direct = Direct(plain, 'pe_core', 'maskclip')
        direct.family = Family(**{**vars(direct.family), 'eps': 0.5})
        close(found, direct(random_images(48, 48), plain.visual.trunk.pos_embed))
    assert type(build('siglip', activation='gelu').visual.trunk.blocks[0].mlp.act) is torch.nn.GELU


@pytest.mark.parametrize('name, channels', [('ViT-B-16-SigLIP2', 768), ('PE-Core-T-16-384', 512), ('EVA02-B-16', 512)])
def test_full_size_models_are_built_without_memory(name, channels):
    with torch.device('meta'):
        maps = OpenCLIPVisionBackbone(name, 'tag', out_indices=(3,))(torch.empty(1, 3, 250, 330))
    assert [m.shape[2:] for m in maps] == [(16, 21)] * 2 and maps[-1].shape[1] == channels


@pytest.mark.parametrize('name', ['clip_siglip2', 'clip_pe_core', 'clip_eva02'])
def test_base_configs_fit_what_open_clip_says_of_the_weights(repository, name):
    model = Config.fromfile(repository / 'configs' / '_base_' / 'models' / f'{name}.py').model
    source = dict(model=model.backbone.model, pretrained=model.backbone.pretrained)
    assert all(model.decode_head.text_encoder[key] == value for key, value in source.items())
    weights = open_clip.get_pretrained_cfg(source['model'], source['pretrained'])
    for key in ('mean', 'std'):
        assert model.data_preprocessor[key] == pytest.approx([255 * value for value in weights[key]])
    dims = open_clip.get_model_config(source['model'])['embed_dim']
    head = model.decode_head
    assert head.in_channels == head.channels == head.text_dims == dims
    assert model.data_preprocessor.size_divisor == 16
