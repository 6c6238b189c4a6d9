"""SED as a whole: a ConvNeXt of CLIP, costs, the decoder, losses of all steps."""

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from tests.tiny_clip import CONVNEXT, save_model

WORDS = ['a red barn', 'wet grass', 'two dogs', 'a white fence']
SMALL = dict(dims=16, decoder_dims=(16, 8, 8), fine_guidance_dims=(4, 2, 2), kernel=5)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp('clip'), CONVNEXT)


@pytest.fixture
def build(folder):
    def builder(**head):
        clip = dict(model=f'local-dir:{folder}', pretrained=None)
        settings = dict(
            type='SEDHead',
            vocabulary=WORDS,
            text_encoder=dict(type='OpenCLIPTextEncoder', templates=('{}', 'a photo of {}'), **clip),
            text_dims=32,
            in_channels=(160, 80, 40, 32),
            in_index=(2, 1, 0, 3),
            aggregation=SMALL,
            loss_decode=dict(type='MultilabelCrossEntropyLoss', ignored='negative'),
        )
        backbone = dict(type='OpenCLIPVisionBackbone', out_indices=(0, 1, 2), trainable=('',), **clip)
        torch.manual_seed(0)
        model = MODELS.build(
            dict(
                type='HyperCLIPSegmentor',
                backbone=backbone,
                decode_head=settings | head,
                test_cfg=ConfigDict(mode='whole'),
            )
        )
        model.init_weights()
        model.set_vocabulary(model.vocabulary)
        return model

    return builder


def batch(size=64):
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 4, (2, 1, size, size), generator=generator)
    meta = dict(img_shape=(size, size), ori_shape=(size, size))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=meta) for label in labels]
    return torch.randn(2, 3, size, size, generator=generator), samples


def test_every_step_has_a_loss_and_the_encoder_learns_by_the_costs(build):
    model = build().train()
    losses = model.loss(*batch())
    names = {f'decode.loss_multilabel{end}' for end in ('', '_early0', '_early1', '_early2')}
    assert names <= losses.keys() and all(losses[name] > 0 for name in names)
    sum(losses[name] for name in names).backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert all(not p.requires_grad for n, p in model.named_parameters() if '.text.' in n)


def test_rejection_is_an_option_of_the_head(build):
    with pytest.raises(TypeError, match='aggregation has rejection, .* set rejection of SEDHead'):
        build(aggregation=SMALL | dict(rejection=2))
    assert build(rejection=2).decode_head.aggregation.rejection == 2


def test_training_steps_lower_the_loss(build):
    model, (images, samples) = build().train(), batch()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
    values = []
    for _ in range(6):
        loss = sum(value for name, value in model.loss(images, samples).items() if 'loss' in name)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.95 * values[0]


def test_rejection_keeps_what_is_predicted_when_all_are_likely(build):
    images, samples = batch()
    with torch.no_grad():
        expected = build().eval().predict(images, samples)
        found = build(rejection=4).eval().predict(images, samples)
        fewer = build(rejection=1).eval().predict(images, samples)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.seg_logits.data, other.seg_logits.data)
    assert fewer[0].pred_sem_seg.data.shape == (1, 64, 64)


def test_the_number_of_maps_is_checked(build):
    with pytest.raises(ValueError, match='expected those of three feature maps and of the dense features'):
        build(in_channels=(80, 40, 32))


def test_the_config_has_the_sizes_of_the_released_one(repository):
    cfg = Config.fromfile(repository / 'configs' / 'sed' / 'sed_convnextb_768.py')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
        maps = model.backbone(torch.empty(1, 3, 640, 900))
    assert [tuple(m.shape[1:]) for m in maps] == [(128, 192, 192), (256, 96, 96), (512, 48, 48), (640, 24, 24)]
    decoder = model.decode_head.aggregation
    assert decoder.embed.weight.shape == (128, 80, 7, 7)
    assert [step.spatial.weight.shape[2] for step in decoder.steps] == [9, 9, 9]
    assert [project[0].weight.shape[:2] for project in decoder.fine] == [(32, 512), (16, 256), (8, 128)]
    assert model.num_classes == 171
    trained = {name.split('.')[0] for name, p in model.named_parameters() if p.requires_grad and '.text.' not in name}
    assert trained == {'backbone', 'decode_head'}
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult == 0.01
    crops = [step.crop_size for step in cfg.train_dataloader.dataset.pipeline if step.type == 'RandomCrop']
    assert crops == [(768, 768)]
