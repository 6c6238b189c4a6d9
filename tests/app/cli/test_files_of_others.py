"""Whatever is wrong with a file of others, the command says it in one message and leaves with 2."""

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from hyperbolic_seg.apis.released import load_release


class Trap:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def refused(command, images, tmp_path, monkeypatch):
    """Runs a command that must be refused, and leave nothing behind."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        before = set(tmp_path.iterdir())
        done = command(*arguments)
        assert done.code == 2 and not done.out
        assert done.err.count('error:') == 1 and 'Traceback' not in done.err and len(done.err) < 4000
        assert not (tmp_path / 'sprung').exists() and set(tmp_path.iterdir()) <= before | {tmp_path / 'predictions'}
        return done.err

    return run


@pytest.mark.parametrize('place', ['data_preprocessor', 'backbone', 'pipeline', 'model'])
def test_a_model_that_names_a_function_is_refused(refused, images, tmp_path, place):
    config = load_release('hyperclip-unet-sky')[0].to_dict()
    trap = dict(type='os.mkdir', path=str(tmp_path / 'sprung'))
    if place == 'model':
        config['model'] = trap
    elif place == 'pipeline':
        config['test_dataloader']['dataset']['pipeline'].insert(0, trap)
    else:
        config['model'][place] = trap
    save_file(dict(a=torch.zeros(1)), tmp_path / 'evil.safetensors', metadata=dict(config=repr(config)))
    assert "type='os.mkdir': expected one of" in refused('predict', images, '--model', 'evil.safetensors')


@pytest.mark.parametrize('damage', ['cut', 'header', 'empty', 'folder', 'garbage'])
def test_a_damaged_model_is_refused(refused, images, tmp_path, damage):
    content, path = load_release('hyperclip-unet-sky')[1].read_bytes(), tmp_path / 'bad.safetensors'
    if damage == 'folder':
        path.mkdir()
    else:
        kinds = dict(cut=content[:5000], header=b'\xff' * 8 + content[8:], empty=b'', garbage=b'x' * 999)
        path.write_bytes(kinds[damage])
    assert 'bad.safetensors is' in refused('predict', images, '--model', path)


@pytest.mark.parametrize('content', ['trap', None, {}, [], b'', b'garbage'], ids=str)
def test_a_bad_checkpoint_is_refused(refused, images, tmp_path, content):
    path = tmp_path / 'bad.pth'
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == 'trap':
        torch.save(Trap(tmp_path / 'sprung'), path)
    elif content is None:
        path.write_bytes(pickle.dumps(content, 2))
    else:
        torch.save(content, path)
    assert 'bad.pth' in refused('predict', images, '--model', 'unet_cloud.py', '--weights', path)


def test_weights_by_http_are_refused(refused, images):
    output = refused('predict', images, '--model', 'unet_cloud.py', '--weights', 'http://127.0.0.1:9/a.pth')
    assert 'a.pth' in output


def test_a_broken_config_is_refused(refused, images, tmp_path):
    for text, message in (
        ("model = dict(type='NoSuchModel')", 'NoSuchModel'),
        ("model = dict(type='EncoderDecoder', backbone=dict(type='NoSuch'), decode_head={})", 'NoSuch'),
        ("model = dict(type='os.nothing')", 'os.nothing'),
        ('model = dict()', 'type'),
        ('model = (', 'own.py'),
        ('assert False', 'own.py'),
        ('', 'model'),
        ("_base_ = 'gone.py'", 'gone.py'),
    ):
        (tmp_path / 'own.py').write_text(text)
        assert message in refused('predict', images, '--model', 'own.py', '--weights', 'none')


def test_hostile_vocabularies_are_refused(refused, images, tmp_path):
    (tmp_path / 'own.yaml').write_text('base: own\nselect: [stone]')
    (tmp_path / 'bomb.yaml').write_text('a: &a [x]\nb: &b [*a, *a]\nconcepts: [*b, *b]')
    (tmp_path / 'deep.yaml').write_text('[' * 10_000)
    (tmp_path / 'call.yaml').write_text(f'!!python/object/apply:os.mkdir [{tmp_path / "sprung"}]')
    (tmp_path / 'bytes.yaml').write_bytes(b'\xff\0')
    for name in ('own', 'bomb', 'deep', 'call', 'bytes'):
        assert f'{name}.yaml is not a valid vocabulary' in refused('vocab', f'{name}.yaml')
        assert f'{name}.yaml is not a valid vocabulary' in refused('predict', images, '--vocabulary', f'{name}.yaml')


def test_hostile_camera_files_are_refused(refused, images, tmp_path):
    for text in ('radius: .nan\ncenter: [1, 1]', '[' * 10_000, 'mask: .', 'calibration: camera.yaml', '\0'):
        (tmp_path / 'camera.yaml').write_text(text)
        assert 'camera.yaml' in refused('predict', images, '--camera', 'camera.yaml')
