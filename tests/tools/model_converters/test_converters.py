"""Released checkpoints become checkpoints of this library, and those become released ones again."""

import os

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from tests.tiny_clip import save_model

KINDS = ['hyperclip', 'catseg']
SMALL = dict(dims=16, guidance_dims=8, fine_guidance_dims=(4, 2), decoder_dims=(16, 8), window=2)
PREFIX = 'sem_seg_head.predictor.'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp('clip'))


@pytest.fixture
def small(repository, folder, tmp_path):
    """Write a published config with small towers; return its file."""

    def write(kind):
        cfg = Config.fromfile(repository / f'configs/{kind}/{kind}_vitb16_384.py')
        clip = dict(model=f'local-dir:{folder}', pretrained=None)
        head = cfg.model.decode_head
        cfg.model.backbone.update(out_indices=(0, 1), **clip)
        head.text_encoder.update(clip)
        if kind == 'hyperclip':
            for part in (cfg.model.backbone, head.text_encoder):
                part.adapter.block_size = 16
        head.update(text_dims=32, in_channels=(64, 64, 32), vocabulary=['wet grass', 'a red barn', 'two dogs'])
        head.aggregation.update(SMALL)
        cfg.dump(tmp_path / f'{kind}.py')
        return tmp_path / f'{kind}.py'

    return write


def random_model(config):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(Config.fromfile(config).model)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


@pytest.fixture
def released(small, tool, tmp_path):
    """Write a released checkpoint of a random model; return the model, its config and the file."""

    def write(kind, suffix='.pth'):
        config = small(kind)
        model = random_model(config)
        torch.save(dict(state_dict=model.state_dict()), tmp_path / 'own.pth')
        done = tool(
            f'model_converters/{kind}', config, tmp_path / 'own.pth', tmp_path / f'released{suffix}', '--reverse'
        )
        assert done.returncode == 0, done.stderr
        return model, config, tmp_path / f'released{suffix}'

    return write


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('kind', KINDS)
def test_a_released_checkpoint_gives_the_model_that_wrote_it(kind, suffix, released, tool, tmp_path):
    model, config, file = released(kind, suffix)
    done = tool(f'model_converters/{kind}', config, file, tmp_path / 'back.pth')
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / 'back.pth', weights_only=True)['state_dict']
    for name, value in model.state_dict().items():
        if '.text.' in name and '.tower.' not in name:
            continue  # embeddings, which the converter has computed by these weights
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-7)
    with torch.no_grad():
        torch.testing.assert_close(found['decode_head.text.embeddings'], model.decode_head.text())


def test_names_are_those_of_the_released_files(released):
    for kind in KINDS:
        weights = torch.load(released(kind)[2], weights_only=True)['model']
        block = f'{PREFIX}clip_model.visual.transformer.resblocks.2'
        if kind == 'hyperclip':
            assert weights[f'{block}.hyperbolic_attn.adapter_attn_q.weights'].shape == (4, 16, 16)
            assert weights[f'{block}.attn.in_proj_weight'].shape == (192, 64)
        else:
            assert weights[f'{block}.attn.v_proj_weight'].shape == (64, 64)
            assert f'{block}.attn.in_proj_weight' not in weights
        assert weights[f'{PREFIX}transformer.layers.1.attention.padding_guidance'].shape == (1, 1, 8)
        assert weights[f'{PREFIX}transformer.layers.0.swin_block.block_2.attn.q.weight'].shape == (16, 24)
        assert weights['upsample2.weight'].shape == (64, 16, 4, 4)


@pytest.mark.parametrize('kind', KINDS)
def test_what_is_missing_left_over_or_of_another_shape_is_listed(kind, released, tool, tmp_path):
    _, config, file = released(kind)
    weights = torch.load(file, weights_only=True)['model']
    del weights[f'{PREFIX}transformer.head.weight']
    weights['sem_seg_head.somewhere.weight'] = torch.zeros(2)
    weights[f'{PREFIX}clip_model.visual.extra'] = torch.zeros(2)
    weights['upsample1.bias'] = torch.zeros(3)
    torch.save(dict(model=weights), file)
    done = tool(f'model_converters/{kind}', config, file, tmp_path / 'none.pth')
    assert done.returncode == 2 and not (tmp_path / 'none.pth').exists()
    assert '1 weights missing:\n  decode_head.aggregation.head.weight' in done.stderr
    assert '2 weights without a counterpart:' in done.stderr
    assert 'sem_seg_head.somewhere.weight' in done.stderr and 'backbone.visual.extra' in done.stderr
    assert 'decode_head.aggregation.fine.0.0.bias: (3,), expected (32,)' in done.stderr


def test_buffers_of_the_released_code_are_no_weights(released, tool, tmp_path):
    _, config, file = released('catseg')
    weights = torch.load(file, weights_only=True)['model']
    weights[f'{PREFIX}transformer.layers.0.swin_block.block_2.attn_mask'] = torch.zeros(4, 4, 4)
    weights[f'{PREFIX}clip_model.logit_scale'] = torch.zeros(())
    torch.save(dict(model=weights, optimizer={}, iteration=7), file)
    assert tool('model_converters/catseg', config, file, tmp_path / 'back.pth').returncode == 0


def test_a_scaled_checkpoint_is_no_plain_model(released, small, tool, tmp_path):
    """Its trained matrices would be lost."""
    _, _, file = released('hyperclip')
    weights = torch.load(file, weights_only=True)['model']
    plain = small('catseg')
    done = tool('model_converters/hyperclip', plain, file, tmp_path / 'none.pth')
    assert done.returncode == 2 and not (tmp_path / 'none.pth').exists()
    assert 'without a counterpart' in done.stderr and 'resblocks.0.attn.scaling' in done.stderr
    assert any('adapter_attn' in name for name in weights)


def test_missing_keys_are_listed_and_no_traceback(released, tool, tmp_path):
    _, config, file = released('catseg')
    weights = torch.load(file, weights_only=True)['model']
    del weights[f'{PREFIX}clip_model.visual.transformer.resblocks.1.attn.k_proj_weight']
    del weights[f'{PREFIX}transformer.layers.0.swin_block.block_1.attn.k.bias']
    torch.save(dict(model=weights), file)
    done = tool('model_converters/catseg', config, file, tmp_path / 'none.pth')
    assert done.returncode == 2
    assert 'backbone.visual.transformer.resblocks.1.attn.k_proj_weight' in done.stderr
    assert 'decode_head.aggregation.spatial.0.blocks.0.key.bias' in done.stderr


def test_other_adapters_have_no_released_names(small, tool, tmp_path):
    cfg = Config.fromfile(small('hyperclip'))
    cfg.model.backbone.adapter = dict(type='BlockRotation', block_size=16)
    cfg.dump(tmp_path / 'rotated.py')
    torch.save(dict(state_dict=random_model(tmp_path / 'rotated.py').state_dict()), tmp_path / 'own.pth')
    command = ('model_converters/hyperclip', tmp_path / 'rotated.py', tmp_path / 'own.pth', tmp_path / 'none.pth')
    done = tool(*command, '--reverse')
    assert done.returncode == 2 and 'without a counterpart' in done.stderr and '0.skew' in done.stderr


def test_weights_of_another_model_are_not_written_under_released_names(released, small, tool, tmp_path):
    _, _, _ = released('catseg')
    command = ('model_converters/hyperclip', small('hyperclip'), tmp_path / 'own.pth', tmp_path / 'none.pth')
    done = tool(*command, '--reverse')
    assert done.returncode == 2 and 'weights are not those of this config' in done.stderr


class Program:
    def __reduce__(self):
        return os.system, ('true',)


def test_no_program_in_a_checkpoint_runs(small, tool, tmp_path):
    torch.save(dict(model={'a': torch.zeros(1)}, more=Program()), tmp_path / 'file.pth')
    done = tool('model_converters/catseg', small('catseg'), tmp_path / 'file.pth', tmp_path / 'none.pth')
    assert done.returncode == 2 and 'Weights only load failed' in done.stderr


def test_a_file_without_weights_is_refused(small, tool, tmp_path):
    torch.save([1, 2], tmp_path / 'file.pth')
    done = tool('model_converters/catseg', small('catseg'), tmp_path / 'file.pth', tmp_path / 'none.pth')
    assert done.returncode == 2 and 'expected weights by name' in done.stderr
