"""CLIP's vision towers: features of places, against a direct computation, and the weights through every door."""

import open_clip
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from safetensors.torch import load_file, save_file
from torch import nn

from hyperbolic_seg.layers.adapters import add_to_tower
from hyperbolic_seg.models import OpenCLIPVisionBackbone
from hyperbolic_seg.models.backbones.dense_attention import DENSE
from tests.tiny_clip import CONVNEXT, VIT, register, save_model

WEIGHTS = 'open_clip_model.safetensors'


@pytest.fixture(scope='module')
def vit(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp('vit'))


@pytest.fixture(scope='module')
def convnext(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp('convnext'), CONVNEXT)


def backbone(folder, **options):
    built = MODELS.build(dict(type='OpenCLIPVisionBackbone', model=f'local-dir:{folder}', pretrained=None, **options))
    built.init_weights()
    return built.double().eval()


def random_images(height, width, count=2):
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def layer_norm(state, name, x):
    return F.layer_norm(x, x.shape[-1:], state[f'{name}.weight'], state[f'{name}.bias'])


def directly(state, images, positions, how, heads=4):
    """What the papers say, one token and one head after the other."""
    state = {name.removeprefix('visual.'): value.double() for name, value in state.items() if 'visual' in name}
    patches = F.unfold(images, 16, stride=16).transpose(1, 2) @ state['conv1.weight'].flatten(1).t()
    x = torch.cat([state['class_embedding'].expand(len(images), 1, -1), patches], 1) + positions
    x = layer_norm(state, 'ln_pre', x)
    for i in range(3):
        name = f'transformer.resblocks.{i}'
        y = layer_norm(state, f'{name}.ln_1', x)
        qkv = y @ state[f'{name}.attn.in_proj_weight'].t() + state[f'{name}.attn.in_proj_bias']
        q, k, v = qkv.chunk(3, -1)
        parts = []
        for part in range(heads):
            of = slice(16 * part, 16 * (part + 1))
            pairs = {'tokens': [(q, k)], 'sclip': [(q, q), (k, k)], 'clearclip': [(q, q)], 'maskclip': [], 'catseg': []}
            weights = sum(
                (a[..., of] @ b[..., of].transpose(1, 2) / 4).softmax(-1) for a, b in pairs['tokens' if i < 2 else how]
            )
            parts.append(v[..., of] if isinstance(weights, int) else weights @ v[..., of])
        weight, bias = (state[f'{name}.attn.out_proj.{part}'] for part in ('weight', 'bias'))
        attended = torch.cat(parts, -1) @ weight.t() + bias
        if i == 2 and how == 'clearclip':
            x = attended
            break
        # The released code of CAT-Seg adds the residual of the class token to every place.
        x = (x[:, :1] if i == 2 and how == 'catseg' else x) + attended
        y = layer_norm(state, f'{name}.ln_2', x) @ state[f'{name}.mlp.c_fc.weight'].t() + state[f'{name}.mlp.c_fc.bias']
        x = x + F.gelu(y) @ state[f'{name}.mlp.c_proj.weight'].t() + state[f'{name}.mlp.c_proj.bias']
    return layer_norm(state, 'ln_post', x) @ state['proj']


@pytest.mark.parametrize('how', sorted({*DENSE} - {'naclip'}))  # that one is in test_proxy_clip.py
def test_dense_features_are_those_of_the_papers(vit, how):
    state = load_file(vit / WEIGHTS)
    found = backbone(vit, dense=how)(random_images(48, 48))[-1]
    expected = directly(state, random_images(48, 48), state['visual.positional_embedding'].double(), how)[:, 1:]
    torch.testing.assert_close(found, expected.transpose(1, 2).unflatten(2, (3, 3)))


def test_position_embeddings_are_resized_for_other_image_sizes(vit):
    state = load_file(vit / WEIGHTS)
    own = state['visual.positional_embedding']
    images = random_images(32, 70)
    found = backbone(vit)(images)[-1]
    assert found.shape == (2, 32, 2, 5)
    positions = resized(own.double(), (3, 3), (2, 5))
    whole = F.interpolate(images, (32, 80), mode='bilinear', align_corners=False, antialias=True)
    expected = directly(state, whole, positions, 'maskclip')[:, 1:]
    torch.testing.assert_close(found, expected.transpose(1, 2).unflatten(2, (2, 5)))


def resized(positions, old, new):
    """The class token as it is, then the grid, bicubically."""
    grid = positions[1:].t().reshape(1, -1, *old).float()
    grid = F.interpolate(grid, size=new, mode='bicubic', align_corners=False, antialias=False)
    return torch.cat([positions[:1], grid[0].flatten(1).t().to(positions)])


def test_the_last_block_as_it_is_gives_the_tokens_of_open_clip(vit):
    plain = backbone(vit, dense='tokens')
    found = plain(random_images(48, 48))[-1]
    plain.visual.output_tokens = True
    _, tokens = plain.visual(random_images(48, 48))
    torch.testing.assert_close(found.flatten(2).transpose(1, 2), tokens @ plain.visual.proj)


def test_a_single_position_of_a_convnext_is_the_image_embedding(convnext):
    images = random_images(32, 32)
    own = backbone(convnext)
    torch.testing.assert_close(own(images)[-1].flatten(1), own.visual(images))


def test_out_indices_returns_intermediate_maps(vit, convnext):
    own = backbone(vit, out_indices=(0, 1))
    first, second, last = own(random_images(48, 32))
    assert first.shape == second.shape == (2, 64, 3, 2) and last.shape == (2, 32, 3, 2)
    expected = own.visual.forward_intermediates(random_images(48, 48), indices=[0, 1])['image_intermediates']
    for found, wanted in zip(own(random_images(48, 48)), expected, strict=False):
        torch.testing.assert_close(found, wanted)
    stages = backbone(convnext, out_indices=(0, 2, 3))
    expected = stages.visual.trunk.forward_intermediates(
        random_images(64, 64), indices=[0, 2, 3], intermediates_only=True
    )
    *found, last = stages(random_images(64, 64))
    for one, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(one, wanted)
    assert last.shape == (2, 32, 2, 2)


def nested(state):
    """A module of modules with these tensors, without a forward pass, as OpenAI's archives are scripted from one."""
    module = nn.Module()
    for name, value in state.items():
        *path, last = name.split('.')
        place = module
        for part in path:
            if not hasattr(place, part):
                place.add_module(part, nn.Module())
            place = getattr(place, part)
        place.register_buffer(last, value)
    return module


@pytest.mark.parametrize('kind', ['file', 'file of a training', 'half precision', 'OpenAI', 'state of OpenAI'])
def test_weights_of_a_named_model_load_from_every_format(vit, tmp_path, kind):
    state = load_file(vit / WEIGHTS)
    path = tmp_path / 'weights.pt'
    if kind == 'file':
        path = vit / WEIGHTS
    elif kind == 'file of a training':
        torch.save(dict(epoch=3, state_dict={f'module.{name}': value for name, value in state.items()}), path)
    else:
        halves = {name: value.half() for name, value in state.items()}
        if 'OpenAI' in kind:
            sizes = dict(input_resolution=48, context_length=77, vocab_size=49408)
            halves |= {name: torch.tensor(value) for name, value in sizes.items()}
        torch.save(halves, path)
        if kind == 'OpenAI':
            torch.jit.save(torch.jit.script(nested(halves)), path)
    built = OpenCLIPVisionBackbone(register(vit, VIT), str(path), quick_gelu='OpenAI' in kind)
    built.init_weights()
    for name, value in built.visual.state_dict().items():
        wanted = state[f'visual.{name}']
        torch.testing.assert_close(value, wanted if 'file' in kind else wanted.half().float())


def test_code_in_a_file_of_weights_is_not_run(vit, tmp_path):
    class Code:
        def __reduce__(self):
            return (tmp_path / 'was here').touch, ()

    torch.save(dict(weight=Code()), tmp_path / 'weights.pt')
    built = OpenCLIPVisionBackbone(register(vit, VIT), str(tmp_path / 'weights.pt'))
    with pytest.raises(RuntimeError, match='could not be loaded'):
        built.init_weights()
    assert not (tmp_path / 'was here').exists()


def test_without_network_a_tag_names_what_can_be_done():
    with torch.device('meta'):
        built = OpenCLIPVisionBackbone('ViT-B-16', 'openai')
    with pytest.raises(RuntimeError, match='checkpoint file on this machine'):
        built.init_weights()


def test_trainable_patterns_freeze_the_other_parameters(vit):
    frozen = backbone(vit).train()
    assert not frozen.visual.training and not any(p.requires_grad for p in frozen.parameters())
    partly = backbone(vit, trainable=['attn', '^positional']).train()
    assert partly.visual.training
    training = {name for name, p in partly.visual.named_parameters() if p.requires_grad}
    assert training == {n for n, _ in partly.visual.named_parameters() if 'attn' in n or n == 'positional_embedding'}


@pytest.mark.parametrize('kind', ['vit', 'convnext'])
def test_recomputed_activations_give_the_same_gradients(kind, request):
    folder, gradients = request.getfixturevalue(kind), []
    for with_cp in (False, True):
        own = backbone(folder, trainable=[''], with_cp=with_cp).train()
        own(random_images(48, 48))[-1].square().sum().backward()
        gradients.append([p.grad for p in own.parameters() if p.grad is not None])
    assert len(gradients[0]) > 20
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    'name, tag, last', [('ViT-B-16', 'openai', 512), ('ViT-L-14-336', 'openai', 768), ('convnext_base_w', 'x', 640)]
)
def test_full_size_models_are_built_without_memory(name, tag, last):
    with torch.device('meta'):
        built = OpenCLIPVisionBackbone(name, tag)
        maps = built(torch.empty(1, 3, 336, 336))
    assert maps[-1].shape[:2] == (1, last)
    assert name == 'convnext_base_w' or type(built.visual.transformer.resblocks[0].mlp.gelu).__name__ == 'QuickGELU'


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(dense='values'), "dense='values': expected one of"),
        (dict(out_indices=[2]), r'out_indices=\(2,\): expected some of 0 to 1'),
        (dict(out_indices=[1, 0]), r'out_indices=\(1, 0\): expected .* in ascending order and each once'),
        (dict(out_indices=[0, 0]), r'out_indices=\(0, 0\): expected .* in ascending order and each once'),
        (dict(resolution=(0, 48)), 'resolution=0: expected at least 1'),
        (dict(trainable=['atn']), "trainable=\\['atn'\\] is found in no parameter"),
        (dict(pretrained='openai'), 'bring their own weights'),
    ],
)
def test_impossible_settings_are_refused(vit, options, message):
    with pytest.raises(ValueError, match=message):
        OpenCLIPVisionBackbone(**(dict(model=f'local-dir:{vit}', pretrained=None) | options))


@pytest.mark.parametrize('resolution', [48, (48,), (48.5, 48), '48'])
def test_a_resolution_that_is_no_size_is_refused(vit, resolution):
    with pytest.raises(TypeError, match='resolution='):
        OpenCLIPVisionBackbone(f'local-dir:{vit}', None, resolution=resolution)


WAYS = [('vit', how, options) for how in DENSE for options in (dict(trainable=['']), dict(trainable=['q_proj', 'mlp']))]
WAYS += [('vit', how, dict(adapter=dict(type='RadiusScaling', block_size=16))) for how in DENSE]
WAYS += [('convnext', 'maskclip', dict(trainable=['']))]


@pytest.mark.parametrize('kind, how, options', WAYS)
def test_all_that_trains_gets_a_gradient(kind, how, options, request):
    own = backbone(request.getfixturevalue(kind), dense=how, **options).train()
    own(random_images(48, 48))[-1].square().sum().backward()
    assert [name for name, p in own.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize('name', ['RN50', 'coca_ViT-B-32', 'MobileCLIP-B', 'ViTamin-S', 'swin_base_patch4_window7_224'])
def test_towers_without_dense_features_are_refused(name):
    with (
        torch.device('meta'),
        pytest.raises(ValueError, match=f'{name} has .* one of: vision transformers of open_clip'),
    ):
        OpenCLIPVisionBackbone(name, 'tag')


@pytest.mark.parametrize(
    'name, tag, quick',
    [
        ('ViT-B-16', 'datacomp_xl_s13b_b90k', False),
        ('ViT-B-16', 'dfn2b', True),
        ('ViT-L-14-quickgelu', 'dfn2b', True),
        ('ViT-H-14-378-quickgelu', 'dfn5b', True),
    ],
)
def test_the_activation_is_that_of_the_weights(name, tag, quick):
    with torch.device('meta'):
        built = OpenCLIPVisionBackbone(name, tag)
    activations = {type(block.mlp.gelu).__name__ for block in built.visual.transformer.resblocks}
    assert activations == {'QuickGELU' if quick else 'GELU'}


@pytest.mark.parametrize(
    'option', [dict(dense='catseg'), dict(positions='scale'), dict(activation='gelu'), dict(norm_eps=1e-6)]
)
def test_settings_of_transformers_are_refused_for_a_convnext(convnext, option):
    with pytest.raises(ValueError, match=f'{next(iter(option))}=.* is a ConvNeXt'):
        OpenCLIPVisionBackbone(f'local-dir:{convnext}', None, **option)


def test_a_model_that_open_clip_lacks_is_named():
    with pytest.raises(RuntimeError, match="open_clip cannot build 'ViT-Q-7'"):
        OpenCLIPVisionBackbone('ViT-Q-7', 'openai')


def test_scaled_weights_start_as_they_are_train_alone_and_merge(vit, tmp_path):
    plain, scaled = backbone(vit), backbone(vit, adapter=dict(type='RadiusScaling', block_size=16))
    images = random_images(48, 48)
    torch.testing.assert_close(scaled(images)[-1], plain(images)[-1])
    training = [name for name, p in scaled.named_parameters() if p.requires_grad]
    assert len(training) == 3 and all(name.endswith('in_proj_weight.0.delta') for name in training)
    for parameter in scaled.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.1)
    expected = scaled(images)[-1]
    assert not torch.allclose(expected, plain(images)[-1])
    merged = scaled.merge_adapter().visual.state_dict()
    assert set(merged) == set(plain.visual.state_dict())
    # open_clip itself goes on with the merged weights.
    model = open_clip.create_model(register(vit, VIT), load_weights=False, pretrained_text=False)
    whole = load_file(vit / WEIGHTS) | {f'visual.{name}': value.float() for name, value in merged.items()}
    save_file({name: value.contiguous() for name, value in whole.items()}, tmp_path / 'merged.safetensors')
    open_clip.load_checkpoint(model, str(tmp_path / 'merged.safetensors'))
    model.visual.double().output_tokens = True
    with_tokens = backbone(vit, dense='tokens')
    with_tokens.visual.load_state_dict(merged)
    _, tokens = model.visual(images)
    found = with_tokens(images)[-1].flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, tokens @ model.visual.proj, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(scaled(images)[-1], expected)


def test_trainable_parameters_are_as_many_as_in_the_paper():
    with torch.device('meta'):
        model = open_clip.create_model('ViT-B-16', load_weights=False, device='meta').requires_grad_(False)
        add_to_tower(model, 'RadiusScaling')
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 5_898_240


def test_a_convnext_has_nothing_to_scale(convnext):
    with pytest.raises(ValueError, match=r'has no nn\.MultiheadAttention'):
        OpenCLIPVisionBackbone(f'local-dir:{convnext}', None, adapter=dict(type='RadiusScaling', block_size=16))
