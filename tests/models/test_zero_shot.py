"""CLIP without training: places of an image against words."""

import json

import cv2
import numpy as np
import open_clip
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.text import Taxonomy
from tests.tiny_clip import save_model

WORDS = ['a red barn', 'wet grass', 'two dogs']  # in no vocabulary, so said in these words alone


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp('clip'))


@pytest.fixture
def config(repository, folder):
    def read(name, **head):
        cfg = Config.fromfile(repository / 'configs' / 'zero_shot' / f'{name}_vitb16_sky.py')
        cfg.model.backbone.update(model=f'local-dir:{folder}', pretrained=None)
        cfg.model.decode_head.text_encoder.update(model=f'local-dir:{folder}', pretrained=None)
        cfg.model.decode_head.update(text_dims=32, in_channels=32, channels=32, **head)
        cfg.test_dataloader.dataset.pipeline[1].scale = (48, 48)
        return cfg

    return read


@pytest.mark.parametrize('name', ['maskclip', 'sclip', 'clearclip'])
def test_it_is_the_cosine_of_open_clip(config, folder, name):
    inferencer = HyperSegInferencer(config(name), None, device='cpu')
    image = torch.randint(0, 256, (48, 48, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8).numpy()
    found = inferencer([image], return_datasamples=True, prompts=WORDS)['predictions'][0]
    model = open_clip.create_model(f'local-dir:{folder}').eval()
    encoder = inferencer.model.decode_head.text.encoder
    with torch.no_grad():
        text = open_clip.build_zero_shot_classifier(
            model, open_clip.get_tokenizer('ViT-B-16'), WORDS, list(encoder.templates)
        )
        inputs = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        statistics = (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in statistics)
        dense = inferencer.model.backbone((inputs - mean) / std)[-1]
        cosine = torch.einsum('ndhw,dk->nkhw', torch.nn.functional.normalize(dense, dim=1), text)
    expected = torch.nn.functional.interpolate(100 * cosine, size=(48, 48), mode='bilinear', align_corners=False)
    torch.testing.assert_close(found.seg_logits.data, expected[0], rtol=1e-3, atol=1e-2)
    assert (found.pred_sem_seg.data[0] == expected[0].argmax(0)).float().mean() > 0.99


def test_nothing_is_left_to_train_but_the_temperature(config):
    model = MODELS.build(config('maskclip').model)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ['decode_head.log_scale']


def test_features_of_another_space_are_refused(config):
    with pytest.raises(ValueError, match='projection=False takes features of 32 channels for embeddings of 16'):
        MODELS.build(config('maskclip', embed_dims=16).model)


def test_it_is_judged_without_a_checkpoint(config, tool, tiny_sky, tmp_path):
    cfg = config('maskclip')
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader.dataset.data_root = str(tiny_sky)
    cfg.dump(tmp_path / 'config.py')
    assert tool('test', tmp_path / 'config.py', 'none', '--work-dir', tmp_path).returncode == 0
    (metrics,) = [json.loads(path.read_text()) for path in tmp_path.glob('*/*.json')]
    model, nodes, right = HyperSegInferencer(cfg, None, device='cpu'), Taxonomy.load('sky').nodes.names, []
    for number in (6, 7):
        labels = cv2.imread(str(tiny_sky / 'masks' / f'{number}.png'), 0)
        found = model(str(tiny_sky / 'images' / f'{number}.png'))['predictions'][0]
        right.append(np.array(found['classes'])[found['labels']] == np.array(nodes)[labels])
    assert metrics['aAcc'] == pytest.approx(100 * np.mean(right), abs=0.01)


@pytest.mark.parametrize(('name', 'classes'), [('voc20', 20), ('voc20b', 21), ('voc21', 21)])
def test_configs_of_pascal_voc_are_evaluated(repository, tool, folder, tmp_path, name, classes):
    cfg = Config.fromfile(repository / 'configs' / 'zero_shot' / f'clearclip_vitb16_{name}.py')
    cfg.model.backbone.update(model=f'local-dir:{folder}', pretrained=None)
    cfg.model.decode_head.text_encoder.update(model=f'local-dir:{folder}', pretrained=None)
    cfg.model.decode_head.update(text_dims=32, in_channels=32, channels=32)
    cfg.model.test_cfg.update(crop_size=(48, 48), stride=(24, 24))
    assert MODELS.build(cfg.model).num_classes == classes
    if name == 'voc20b':  # judged as the others are
        return
    random, root = np.random.default_rng(1), tmp_path / 'VOC2012'
    for part, shape in (('JPEGImages', (60, 70, 3)), ('SegmentationClass', (60, 70))):
        (root / part).mkdir(parents=True)
        suffix = 'jpg' if len(shape) == 3 else 'png'
        assert cv2.imwrite(str(root / part / f'0.{suffix}'), random.integers(0, 21, shape, np.uint8))
    (root / 'ImageSets' / 'Segmentation').mkdir(parents=True)
    (root / 'ImageSets' / 'Segmentation' / 'val.txt').write_text('0\n')
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader.dataset.data_root = str(root)
    cfg.test_dataloader.dataset.pipeline[1].scale = (100, 64)
    cfg.dump(tmp_path / 'config.py')
    assert tool('test', tmp_path / 'config.py', 'none', '--work-dir', tmp_path).returncode == 0
    report = ''.join(path.read_text() for path in tmp_path.glob('*/*.log'))
    assert 'pottedplant' in report and ('| background' in report.replace('|  ', '| ')) == (classes == 21)
