"""The packed development sets: the layout, the pixels and the embeddings of the folder."""

import sys
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from hyperbolic_seg.sky.renderer import render_sky
from hyperbolic_seg.text import minilm

SIZES = {'swimseg': 96, 'ccsn': 60}


@pytest.fixture(scope='module')
def development(tmp_path_factory):
    """Two sets in the layout of development.py: one of larger images, one of smaller ones."""
    root = tmp_path_factory.mktemp('development')
    for first, (name, size) in enumerate(SIZES.items()):
        for folder in ('images', 'masks', 'splits'):
            (root / name / folder).mkdir(parents=True)
        for number in range(3):
            sky = render_sky(10 * first + number, (size, size - 20))
            cv2.imwrite(str(root / name / 'images' / f'{number}.jpg'), sky.image, [cv2.IMWRITE_JPEG_QUALITY, 98])
            cv2.imwrite(str(root / name / 'masks' / f'{number}.png'), sky.labels)
        (root / name / 'splits' / 'train.txt').write_text('2\n0\n')
        (root / name / 'splits' / 'val.txt').write_text('1\n')
    return root


@pytest.fixture
def pack(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools'))
    sys.modules.pop('pack_development', None)
    import pack_development

    return pack_development


@pytest.fixture
def small_config(repository, tmp_path):
    """The config of the released model with few words."""
    cfg = Config.fromfile(repository / 'configs/released/hyperclip_unet_cloud.py')
    few = dict(vocabulary=['cloud', 'sky; blue sky'], taxonomy=None, prompt_smoothing=None, attribute_loss=None)
    few['loss_decode'] = dict(_delete_=True, type='CrossEntropyLoss')
    cfg.merge_from_dict(dict(model=dict(decode_head=few)))
    cfg.model.decode_head.update(in_channels=8, channels=8, in_index=-1)
    cfg.model.decode_head.text_encoder.templates = ('{}',)
    cfg.dump(tmp_path / 'small.py')
    return tmp_path / 'small.py'


def test_the_packed_sets_equal_the_folder(pack, development, small_config, tmp_path, monkeypatch):
    out = tmp_path / 'pack.zip'
    pack.main([str(development), str(out), '--size', '64', '--sets', *SIZES, '--config', str(small_config)])
    with ZipFile(out) as archive:
        archive.extractall(tmp_path / 'there')
    for name in SIZES:
        for split in ('train', 'val'):
            file = f'{name}/splits/{split}.txt'
            assert (tmp_path / 'there' / file).read_text() == (development / file).read_text()
        for number in range(3):
            image, mask = f'{name}/images/{number}.jpg', f'{name}/masks/{number}.png'
            got, labels = (cv2.imread(str(tmp_path / 'there' / file), cv2.IMREAD_UNCHANGED) for file in (image, mask))
            whole, known = (cv2.imread(str(development / file), cv2.IMREAD_UNCHANGED) for file in (image, mask))
            assert got.shape[:2] == labels.shape and max(labels.shape) == min(64, SIZES[name])
            if name == 'ccsn':  # small enough already
                assert np.array_equal(got, whole) and np.array_equal(labels, known)
                continue
            expected = cv2.resize(whole, got.shape[1::-1], interpolation=cv2.INTER_AREA)
            assert np.abs(got.astype(int) - expected).mean() < 3  # what JPEG changes
            nearest = cv2.resize(known, got.shape[1::-1], interpolation=cv2.INTER_NEAREST)
            assert np.array_equal(labels, nearest)

    # A training step finds all its words in the pack, where there is no text encoder.
    monkeypatch.setitem(sys.modules, minilm.PACKAGE, None)
    monkeypatch.setattr(minilm, 'find_spec', lambda name: None)
    options = Config.fromfile(small_config).model.decode_head
    options.text_encoder.cache_dir = str(tmp_path / 'there' / 'embeddings')
    head = MODELS.build(options)
    head.init_weights()
    words = head.sample_text_embeddings()
    logits, _ = head.forward_with_radius([torch.randn(1, 8, 4, 4)], words)
    assert logits.isfinite().all() and words.abs().sum() > 0


def test_a_pack_that_is_too_large_is_not_written(pack, development, small_config, tmp_path):
    options = ['--size', '64', '--sets', 'ccsn', '--config', str(small_config), '--max-megabytes', '0.01']
    with pytest.raises(SystemExit, match=r'would have [0-9.]+ MB, --max-megabytes is 0.01: lower --quality'):
        pack.main([str(development), str(tmp_path / 'pack.zip'), *options])
    assert not (tmp_path / 'pack.zip').exists()


def test_what_is_missing_is_named(pack, development, tmp_path, capsys):
    with pytest.raises(SystemExit):
        pack.main([str(development), str(tmp_path / 'pack.zip')])
    assert 'lacks swinseg, wsiseg: write it by tools/benchmarks/development.py' in capsys.readouterr().err
    damaged = tmp_path / 'damaged.jpg'
    damaged.write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'damaged\.jpg is not a readable image'):
        pack.pack_image(damaged, 64, 90)
