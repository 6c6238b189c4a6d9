"""Trainings of a small HyperCLIP on a GPU."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from hyperbolic_seg.sky.renderer import render_sky
from tests.shrink import shrink


@pytest.fixture
def train(repository, tiny_sky, tmp_path, device):
    """Trains the main config, small, for some steps; returns its losses, on the CPU."""

    def run(logits, *, where, wrapper=(), steps=4):
        cfg = shrink(Config.fromfile(repository / 'configs' / 'hyperclip_unet_cloud.py'), tiny_sky, tmp_path)
        cfg.model.decode_head.update(logits=logits, phrase_augmentation=None, dropout_ratio=0.0)
        MODELS.build(cfg.model).init_weights()  # caches the words; their encoder draws random numbers
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        model.init_weights()
        model.to(where).train()
        optimizer = build_optim_wrapper(model, dict(cfg.optim_wrapper) | dict(wrapper))
        skies = [render_sky(seed, 64) for seed in range(2)]
        losses = []
        for _ in range(steps):
            samples = []
            for sky in skies:
                samples.append(SegDataSample(metainfo=dict(ori_shape=(64, 64), img_shape=(64, 64))))
                for key, values in (('gt_sem_seg', sky.labels), ('gt_attributes', sky.attributes)):
                    samples[-1].set_data({key: PixelData(data=torch.from_numpy(values)[None].long())})
            batch = dict(inputs=[torch.from_numpy(sky.image).permute(2, 0, 1) for sky in skies], data_samples=samples)
            losses.append(model.train_step(batch, optimizer)['loss'].detach().cpu())
        return torch.stack(losses)

    return run


@pytest.mark.parametrize('logits', ['distance', 'mlr', 'cosine'])
def test_a_training_equals_that_of_the_cpu(train, logits, device):
    found, expected = train(logits, where=device), train(logits, where='cpu')
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=1e-3)
    assert found[-1] < found[0]


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_mixed_precision_trains_almost_the_same(train, dtype, device):
    amp = dict(type='AmpOptimWrapper', dtype=dtype)  # MMEngine's is for accelerators alone
    wrapper = dict(type='CPUAmpOptimWrapper') if device.type == 'cpu' else amp
    found, expected = train('distance', where=device, wrapper=wrapper), train('distance', where=device)
    assert found.isfinite().all()
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.05)
