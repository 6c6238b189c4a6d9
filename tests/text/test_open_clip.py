"""A checkpoint file for open_clip runs nothing."""

import os
import zipfile

import open_clip
import pytest
import torch
from torch import nn

from hyperbolic_seg.text.open_clip import load_open_clip, load_tokenizer
from tests.tiny_clip import VIT, register, save_model

NUMBERS = dict(input_resolution=torch.tensor(32), context_length=torch.tensor(8), vocab_size=torch.tensor(16))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x):
        return x * self.weight


class Restored(Plain):
    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        self.weight, self.training = state
        print('sprung')


class Trap:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def saved(module, path):
    torch.jit.save(torch.jit.script(module), str(path))
    return str(path)


def shouting(path):
    """Copy an archive with its names in capitals, which torch reads too."""
    other = path.replace('.pt', '_2.pt')
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, 'w') as new:
        for name in old.namelist():
            folder, _, rest = name.partition('/')
            new.writestr(f'{folder}/{rest.upper()}', old.read(name))
    return other


def test_an_archive_that_runs_while_it_is_loaded_is_refused(tmp_path, capfd):
    packed = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(2, 2)), dtype=torch.qint8)
    for module, word in ((Restored(), '__setstate__'), (packed, 'torch.classes')):
        path = saved(module, tmp_path / 'bad.pt')
        for archive in (path, shouting(path)):
            with pytest.raises(RuntimeError, match=f'{word} in .*, which runs while it is loaded'):
                load_open_clip('ViT-B-32', archive)
    assert 'sprung' not in capfd.readouterr().out
    with pytest.raises(RuntimeError, match='could not be loaded'):  # by open_clip, for it is no CLIP
        load_open_clip('ViT-B-32', saved(Plain(), tmp_path / 'plain.pt'))


def test_code_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = saved(Plain(), tmp_path / 'large.pt')
    monkeypatch.setattr('hyperbolic_seg.text.open_clip._MAX_CODE', 100)
    with pytest.raises(RuntimeError, match='has more than 100 bytes of TorchScript'):
        load_open_clip('ViT-B-32', path)


@pytest.mark.parametrize('zipped', [True, False])
def test_code_in_a_pickle_is_not_run(tmp_path, zipped):
    path, sprung = tmp_path / 'evil.pt', tmp_path / 'sprung'
    torch.save(dict(NUMBERS, meta=Trap(sprung)), path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(RuntimeError, match='could not be loaded .UnpicklingError'):
        load_open_clip('ViT-B-32', str(path))
    assert not sprung.exists()


@pytest.mark.parametrize('content', [b'', b'nothing', b'PK\3\4 half a zip', b'\x80\x02N.'])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, content):
    (tmp_path / 'bad.pt').write_bytes(content)
    with pytest.raises(RuntimeError, match=r"bad\.pt' of 'ViT-B-32' could not be loaded"):
        load_open_clip('ViT-B-32', str(tmp_path / 'bad.pt'))


def test_a_tokenizer_that_cannot_be_had_is_named(tmp_path):
    # A folder without the files of its tokenizer fails as the hub does without network.
    text = VIT['text_cfg'] | dict(hf_tokenizer_name='timm/ViT-B-16-SigLIP2')
    folder = save_model(tmp_path / 'clip', VIT | dict(text_cfg=text))
    with pytest.raises(RuntimeError, match=r"tokenizer of 'local-dir:.* could not be loaded .*PE-Core-B-16"):
        load_tokenizer(f'local-dir:{folder}')
    assert load_tokenizer('PE-Core-B-16')(['a cloud']).shape == (1, 32)


def test_weights_of_openai_need_their_activation(tmp_path):
    name = register(tmp_path)
    model = open_clip.create_model(name, load_weights=False)
    torch.save(model.state_dict() | NUMBERS, tmp_path / 'openai.pt')
    with pytest.raises(ValueError, match='trained with QuickGELU: set quick_gelu=True where'):
        load_open_clip(name, str(tmp_path / 'openai.pt'))
    loaded = load_open_clip(name, str(tmp_path / 'openai.pt'), quick_gelu=True)
    assert torch.equal(loaded.visual.proj, model.visual.proj)
