"""The configs of HyperCLIP and CAT-Seg: at full size on the meta device, and shrunk in training and testing."""

import json
import re
import runpy

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from scipy.io import savemat

from hyperbolic_seg.text import Vocabulary
from tests import processes
from tests.tiny_coco import write

TRAINED = ['hyperclip_vitb16_384', 'hyperclip_vitl14_336']
SHARDED = ['hyperclip_vitb16_384_deepspeed', 'hyperclip_vitb16_384_fsdp']  # test_sharded_configs.py
TRAINED_CATSEG = ['catseg_vitb16_384', 'catseg_vitl14_336']
TESTED = {'ade150': 150, 'pc59': 59, 'voc20': 20, 'voc20b': 21}


def config_file(repository, name):
    return repository / 'configs' / name.split('_')[0] / f'{name}.py'


def log_of(work_dir):
    return ''.join(path.read_text() for path in work_dir.glob('*/*.log'))


def test_every_config_is_tested(repository):
    names = {path.stem for kind in ('hyperclip', 'catseg') for path in (repository / 'configs' / kind).glob('*.py')}
    trained = [*TRAINED, *TRAINED_CATSEG]
    assert names == {
        *trained,
        *SHARDED,
        *(f'{model}_{name}' for model in trained for name in (*TESTED, 'pc459', 'ade847')),
    }


@pytest.mark.parametrize('name', TRAINED)
def test_trainable_parameters_are_those_of_the_paper(repository, name):
    cfg = Config.fromfile(repository / 'configs' / 'hyperclip' / f'{name}.py')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    trained = {n: p.numel() for n, p in model.named_parameters() if p.requires_grad}
    scaling = {n: count for n, count in trained.items() if n.endswith('.delta')}
    assert all(n in scaling or n.startswith('decode_head.aggregation') for n in trained)
    widths = (768, 512) if 'vitb16' in name else (1024, 768)
    per_layer = [3 * width // 128 * 128**2 for width in widths]
    # 12 layers of both towers; of ViT-L/14 those 12 of the image's 24 that the released code scales.
    assert sum(scaling.values()) == 12 * sum(per_layer)
    if 'vitb16' in name:
        assert sum(scaling.values()) == 5_898_240, 'as published'
    else:
        vision = {int(n.split('resblocks.')[1].split('.')[0]) for n in scaling if n.startswith('backbone')}
        assert vision == {*range(11), 23}
    assert model.num_classes == 171


@pytest.mark.parametrize('name', TRAINED_CATSEG)
def test_queries_and_values_train_in_catseg(repository, name):
    with torch.device('meta'):
        model = MODELS.build(Config.fromfile(config_file(repository, name)).model)
    of_towers = [n for n, p in model.named_parameters() if p.requires_grad and 'aggregation' not in n]
    # 0 are queries, 1 keys and 2 values.
    assert all(re.search(r'attn\.parametrizations\.in_proj_weight\.original[02]$', n) for n in of_towers)
    blocks = 12 + (12 if 'vitb16' in name else 24)
    assert len(of_towers) == 2 * blocks


@pytest.mark.parametrize('model', [*TRAINED, *TRAINED_CATSEG])
@pytest.mark.parametrize('name', TESTED)
def test_the_classes_are_those_of_the_data_set(repository, model, name):
    from mmseg.registry import DATASETS

    cfg = Config.fromfile(config_file(repository, f'{model}_{name}'))
    assert len(Vocabulary.load(cfg.model.decode_head.vocabulary)) == TESTED[name]
    dataset = cfg.test_dataloader.dataset
    metainfo = dataset.get('metainfo') or DATASETS.get(dataset.type).METAINFO
    assert [*Vocabulary.load(cfg.model.decode_head.vocabulary).names] == [c.strip() for c in metainfo['classes']]


def validated(folder):
    """The log of a training ends with a validation."""
    first, *_, last = map(json.loads, next(folder.rglob('scalars.json')).read_text().splitlines())
    return np.isfinite(first['loss']) and first['decode.radius_text'] == pytest.approx(2.0) and 'mIoU' in last


@pytest.mark.parametrize('name', ['hyperclip_vitl14_336', 'catseg_vitb16_384'])
def test_a_model_trains_and_validates(tool, shrunk, tmp_path, name):
    shrunk(name)
    tool('train', tmp_path / 'config.py', '--work-dir', tmp_path / 'one')
    assert validated(tmp_path / 'one')


def test_two_processes_train_as_one(repository, tool, shrunk, tmp_path):
    cfg = shrunk('hyperclip_vitb16_384')
    cfg.train_dataloader.update(batch_size=1, sampler=dict(type='InfiniteSampler', shuffle=False))
    cfg.train_dataloader.dataset.pipeline = cfg.val_dataloader.dataset.pipeline  # nothing random
    cfg.model.data_preprocessor.size = (80, 80)
    cfg.dump(tmp_path / 'config.py')
    train = (repository / 'tools' / 'train.py', tmp_path / 'config.py', '--work-dir', tmp_path / 'two')
    ranks = processes.run_ranks(2, *train, port=29641, cwd=repository)
    assert [rank.returncode for rank in ranks] == [0, 0], ranks[0].stderr[-3000:]
    cfg.train_dataloader.batch_size = 2
    cfg.dump(tmp_path / 'config.py')
    tool('train', tmp_path / 'config.py', '--work-dir', tmp_path / 'one')
    assert validated(tmp_path / 'one') and validated(tmp_path / 'two')
    one, two = (torch.load(tmp_path / n / 'iter_2.pth', weights_only=False)['state_dict'] for n in ('one', 'two'))
    moved = [key for key in one if key.endswith('delta')]
    assert len(moved) == 5 and all(one[key].any() for key in moved)
    first, second = (torch.cat([state[key].flatten() for key in moved]) for state in (one, two))
    assert (second - first).norm() < 0.05 * first.norm(), 'they start at zero'


def checkpoint(cfg, file):
    """Save what a training would start from."""
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), file)
    return file


def test_a_checkpoint_is_evaluated_on_another_vocabulary(repository, tool, shrunk, tmp_path):
    """A checkpoint of COCO-Stuff on Pascal VOC, whose background has the names of what lies below it."""
    weights = checkpoint(shrunk('hyperclip_vitb16_384'), tmp_path / 'coco.pth')
    random, root = np.random.default_rng(1), tmp_path / 'VOC2012'
    for number in range(2):
        write(root / 'JPEGImages' / f'{number}.jpg', random.integers(0, 256, (60, 70, 3), np.uint8))
        write(root / 'SegmentationClass' / f'{number}.png', random.integers(0, 21, (60, 70), np.uint8))
    (root / 'ImageSets' / 'Segmentation').mkdir(parents=True)
    (root / 'ImageSets' / 'Segmentation' / 'val.txt').write_text('0\n1\n')
    cfg = shrunk('hyperclip_vitb16_384_voc20b')
    cfg.test_dataloader.dataset.data_root = str(root)
    cfg.dump(tmp_path / 'config.py')
    assert tool('test', tmp_path / 'config.py', weights, '--work-dir', tmp_path).returncode == 0
    report = log_of(tmp_path)
    assert 'pottedplant' in report and 'background' in report
    logged = re.findall(r'mIoU: ([\d.]+)', report)
    benchmark = runpy.run_path(str(repository / 'tools/benchmarks/open_vocabulary.py'))
    assert benchmark['missing_paths'](cfg) == []
    assert f'{benchmark["test"](cfg, weights, tmp_path / "benchmark"):.4f}' == logged[-1]


def test_pascal_context_with_all_classes_is_converted_and_evaluated(repository, tool, shrunk, folder, tmp_path):
    """Converted from the annotations as they come, with labels beyond eight bits, and judged."""
    random, source = np.random.default_rng(1), tmp_path / 'VOC2010'
    for part in ('trainval', 'ImageSets/SegmentationContext'):
        (source / part).mkdir(parents=True)
    (source / 'labels.txt').write_text(''.join(f'{n}: thing {n}\n' for n in range(1, 460)))
    (source / 'ImageSets' / 'SegmentationContext' / 'val.txt').write_text('2008_1\n2008_2\n2008_3\n')
    for number in (1, 2):
        write(source / 'JPEGImages' / f'2008_{number}.jpg', random.integers(0, 256, (60, 70, 3), np.uint8))
        labels = random.integers(0, 460, (60, 70)).astype(np.uint16)
        savemat(source / 'trainval' / f'2008_{number}.mat', dict(LabelMap=labels))
    out = tmp_path / 'pc459'
    done = tool('dataset_converters/pascal_context459', source, out)
    assert done.returncode == 1 and 'refused 2008_3: 2008_3.mat is no annotation' in done.stdout, done.stderr[-2000:]
    found = cv2.imread(str(out / 'masks' / '2008_2.png'), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(found, labels - 1) and found.max() == 65535, 'what is 0 has no class'
    cfg = shrunk('hyperclip_vitb16_384_pc459')
    cfg.model.decode_head.vocabulary = cfg.test_dataloader.dataset.vocabulary = str(out / 'vocabulary.yaml')
    cfg.test_dataloader.dataset.data_root = str(out)
    cfg.dump(tmp_path / 'config.py')
    weights = checkpoint(cfg, tmp_path / 'weights.pth')
    assert tool('test', tmp_path / 'config.py', weights, '--work-dir', tmp_path).returncode == 0
    assert 'thing 459' in log_of(tmp_path)


def test_full_ade20k_is_converted_and_evaluated(repository, tool, shrunk, folder, tmp_path):
    """Classes are told by the colors of the annotations, large images are reduced, and 847 classes are judged."""
    random, source = np.random.default_rng(2), tmp_path / 'ADE20K_2021_17_01'
    scenes = source / 'images' / 'ADE' / 'validation' / 'urban'
    numbers = (repository / 'tools' / 'dataset_converters' / 'ade20k_full.txt').read_text().split()
    numbers = np.array(numbers, dtype=int)
    vocabulary = Vocabulary.load('ade20k_full')
    assert len(set(numbers)) == len(vocabulary) == 847
    for name, size in (('street/ADE_val_1', (60, 70)), ('alley/ADE_val_2', (600, 1200)), ('alley/ADE_val_3', (60, 70))):
        write(scenes / f'{name}.jpg', random.integers(0, 256, (*size, 3), np.uint8))
        classes = random.integers(0, 847, size)
        number = np.where(classes == 5, 1, numbers[classes])  # 1 is none of the 847
        blue = random.integers(0, 256, size)
        write(scenes / f'{name}_seg.png', np.stack([blue, number % 256, number // 256 * 10], -1).astype(np.uint8))
        if name[-1] == '1':
            expected = np.where(classes == 5, 65535, classes)
        if name[-1] == '2':
            large = np.where(classes == 5, 65535, classes)
    (scenes / 'alley' / 'ADE_val_3.jpg').write_bytes(b'no image')
    out = tmp_path / 'ade20k_full'
    done = tool('dataset_converters/ade20k_full', source, out)
    assert done.returncode == 1, done.stderr
    assert 'refused ADE_val_3: ADE_val_3.jpg is not a readable image' in done.stdout
    assert np.array_equal(cv2.imread(str(out / 'masks' / 'ADE_val_1.png'), cv2.IMREAD_UNCHANGED), expected)
    found = cv2.imread(str(out / 'masks' / 'ADE_val_2.png'), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(found, cv2.resize(large.astype(np.uint16), (1024, 512), interpolation=cv2.INTER_NEAREST))
    assert cv2.imread(str(out / 'images' / 'ADE_val_2.png')).shape == (512, 1024, 3)
    cfg = shrunk('hyperclip_vitb16_384_ade847')
    cfg.test_dataloader.dataset.data_root = str(out)
    cfg.dump(tmp_path / 'config.py')
    weights = checkpoint(cfg, tmp_path / 'weights.pth')
    assert tool('test', tmp_path / 'config.py', weights, '--work-dir', tmp_path).returncode == 0
    assert 'adding machine' in log_of(tmp_path)
