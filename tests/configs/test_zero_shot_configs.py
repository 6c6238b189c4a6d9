"""Configs of methods without training: each builds, names the classes of its set and predicts."""

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS
from mmseg.structures import SegDataSample

METHODS = ('maskclip', 'sclip', 'clearclip', 'naclip', 'proxyclip')
CLASSES = dict(voc21=21, voc20=20, context60=60, context59=59, coco_object=81, coco_stuff=171, ade150=150)
# Queries of the released lists of names; without a number there is one for each class.
QUERIES = {
    ('sclip', 'voc21'): 21 + 25 + 6 + 4,
    ('sclip', 'voc20'): 20 + 6 + 4,
    ('sclip', 'coco_object'): 81 + 25 + 7,
    ('proxyclip', 'voc21'): 21 + 25,
    ('proxyclip', 'coco_object'): 81 + 16,
}
OF_SCLIP = ('maskclip', 'naclip')
OUTSIDE = {'voc21': 'background', 'context60': 'background', 'coco_object': 'background'}


@pytest.fixture
def read(repository, folder):
    def reader(name):
        cfg = Config.fromfile(repository / 'configs' / 'zero_shot' / f'{name}.py')
        cfg.model.backbone.update(model=f'local-dir:{folder}', pretrained=None)
        cfg.model.decode_head.text_encoder.update(model=f'local-dir:{folder}', pretrained=None)
        cfg.model.decode_head.update(text_dims=32, in_channels=32, channels=32)
        if 'proxy' in cfg.model.backbone:
            cfg.model.backbone.proxy.update(encoder='vit_tiny_patch16_224', weights=None)
        return cfg

    return reader


def test_every_method_has_a_config_for_every_set(repository):
    names = {path.stem for path in (repository / 'configs' / 'zero_shot').glob('*.py')}
    expected = {f'{method}_vitb16_{data}' for method in METHODS for data in CLASSES}
    others = {f'{method}_vitb16_sky' for method in METHODS[:3]} | {'clearclip_vitb16_voc20b'}
    assert names == expected | others


@pytest.mark.parametrize('data', CLASSES)
@pytest.mark.parametrize('method', METHODS)
def test_the_names_are_those_of_the_set(read, method, data, tmp_path):
    cfg = read(f'{method}_vitb16_{data}')
    assert cfg.model.decode_head.text_encoder.templates == 'imagenet' and cfg.model.decode_head.queries == 'phrase'
    model = MODELS.build(cfg.model)
    words = model.decode_head.text.vocabulary
    as_listed = 'sclip' if method in OF_SCLIP or (method, data) == ('clearclip', 'coco_object') else method
    assert model.num_classes == CLASSES[data]
    assert len(words) == QUERIES.get((as_listed, data), CLASSES[data])
    dataset = cfg.test_dataloader.dataset
    if data == 'coco_object':
        assert dataset.vocabulary == 'sclip_coco_object' and model.vocabulary.names[1:3] == ('person', 'bicycle')
    else:
        names = dataset.get('metainfo', DATASETS.get(dataset.type).METAINFO)['classes']
        assert model.vocabulary.names == tuple(name.strip() for name in names)
    background = cfg.model.test_cfg.get('background')
    assert (background and background.name) == OUTSIDE.get(data)
    if data == 'voc20' and method != 'maskclip':
        spoken = [concept.phrases[0] for concept in model.vocabulary]
        assert spoken[3] == 'ship' and spoken[10] == 'table'


@pytest.mark.parametrize(
    ('name', 'crop', 'stride', 'side', 'scale'),
    [
        ('sclip_vitb16_voc21', 224, 112, 336, 65),
        ('sclip_vitb16_context60', 224, 112, 336, 50),
        ('sclip_vitb16_coco_stuff', 224, 112, 448, 40),
        ('clearclip_vitb16_voc20', 448, 224, 448, 50),
        ('naclip_vitb16_voc21', 224, 112, 336, 40),
        ('proxyclip_vitb16_voc21', 336, 112, 336, 40),
        ('proxyclip_vitb16_ade150', 336, 112, 448, 40),
    ],
)
def test_settings_are_those_of_the_released_code(read, name, crop, stride, side, scale):
    cfg = read(name)
    assert tuple(cfg.model.test_cfg.crop_size) == (crop, crop) and tuple(cfg.model.test_cfg.stride) == (stride, stride)
    assert tuple(cfg.test_dataloader.dataset.pipeline[1].scale) == (2048, side)
    assert 1 / cfg.model.decode_head.temperature == pytest.approx(scale)
    assert cfg.model.backbone.get('positions', 'scale') == 'scale'  # the default of ProxyCLIPBackbone
    assert cfg.model.test_cfg.get('pamr') == (dict(steps=10, dilations=(8, 16)) if 'naclip' in name else None)
    assert cfg.model.test_cfg.get('min_area') == (0.1 if name == 'sclip_vitb16_voc21' else None)


@pytest.mark.parametrize('method', METHODS)
def test_it_predicts(read, method):
    cfg = read(f'{method}_vitb16_voc21')
    cfg.model.decode_head.text_encoder.templates = ('{}',)
    cfg.model.test_cfg.update(crop_size=(48, 48), stride=(24, 24))
    if method == 'maskclip':
        cfg.model.test_cfg = dict(mode='whole')
    model = MODELS.build(cfg.model).eval()
    model.init_weights()
    torch.manual_seed(0)
    image = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8)
    shape = (50, 70)
    sample = SegDataSample(metainfo=dict(ori_shape=(60, 84), img_shape=shape, pad_shape=shape))
    with torch.no_grad():
        (found,) = model.test_step(dict(inputs=[image], data_samples=[sample]))
    assert found.pred_sem_seg.data.shape == (1, 60, 84) and found.seg_logits.data.isfinite().all()
