"""No checkpoint runs code, wherever it is loaded."""

import io
import os
import pickle
import shutil
import ssl
import struct
import subprocess
import sys
import threading
import zipfile
from collections import OrderedDict
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, load_checkpoint
from mmseg.registry import MODELS
from safetensors.torch import save_file
from torch import nn

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.engine import check_checkpoint, checkpoints
from hyperbolic_seg.engine.checkpoints import load_weights
from tests.shrink import shrink
from tests.stack import needs_safe_loading

pytestmark = needs_safe_loading


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


@pytest.fixture
def trap(tmp_path):
    path, sprung = tmp_path / 'evil.pth', tmp_path / 'sprung'
    torch.save(dict(state_dict=OrderedDict(weight=torch.ones(2)), meta=Trap(sprung)), path)
    return path, sprung


def text(word):
    return b'X' + struct.pack('<I', len(word)) + word.encode()


def by_getattr(code):
    """A pickle that reaches exec by getattr alone: by its module, and by the globals of a function of torch."""
    getter, rebuild = b'cbuiltins\ngetattr\n', b'ctorch._utils\n_rebuild_parameter\n'
    namespace = b'ccollections\nOrderedDict\n)R}'
    steps = [
        b'\x80\x02]',
        getter + getter + text('__self__') + b'\x86Rq\x00a',
        getter + b'h\x00' + text('exec') + b'\x86Rq\x01a',
        getter + rebuild + text('__globals__') + b'\x86R',
        text('torch') + namespace + text('nn') + namespace + text('Parameter') + b'h\x01sbsbsa',
        rebuild + text(code) + b'}}\x87Ra.',
    ]
    return b''.join(steps)


@pytest.fixture
def getattr_trap(tmp_path):
    path, sprung = tmp_path / 'getattr.pth', tmp_path / 'sprung'
    torch.save(dict(weight=torch.ones(2)), tmp_path / 'plain.pth')
    with zipfile.ZipFile(tmp_path / 'plain.pth') as plain, zipfile.ZipFile(path, 'w') as bad:
        for name in plain.namelist():
            code = f'import os; os.mkdir({str(sprung)!r})'
            bad.writestr(name, by_getattr(code) if name.endswith('data.pkl') else plain.read(name))
    return path, sprung


def test_checkpoints_of_mmengine_pass(tmp_path, capfd):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
    history = HistoryBuffer()
    history.update(0.5)
    kinds = (np.float16, np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_)
    scores = OrderedDict((kind.__name__, kind(1)) for kind in kinds)
    saved = dict(
        state_dict=OrderedDict(weight=torch.ones(2)),
        optimizer=optimizer.state_dict(),
        message_hub=dict(log_scalars=OrderedDict(loss=history), runtime_info=scores),
        meta=dict(epoch=1, seed=0, experiment_name='x', dataset_meta=dict(classes=('a', 'b'), palette=[[0, 0, 0]])),
    )
    for zipped in (True, False):
        torch.save(saved, tmp_path / 'epoch_1.pth', _use_new_zipfile_serialization=zipped)
        check_checkpoint(tmp_path / 'epoch_1.pth')
        loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'epoch_1.pth'), 'cpu')
        assert loaded['message_hub']['runtime_info'] == scores
        assert loaded['message_hub']['log_scalars']['loss'].statistics('mean') == 0.5
        # A torch that cannot restrict unpickling goes this way.
        loaded = torch.load(tmp_path / 'epoch_1.pth', pickle_module=checkpoints._ALLOWED_ALONE, weights_only=False)
        assert loaded['message_hub']['runtime_info'] == scores
        assert loaded['state_dict']['weight'].tolist() == [1, 1] and loaded['meta'] == saved['meta']
    assert 'Could not safely load' not in ''.join(capfd.readouterr())


def test_code_in_a_checkpoint_is_refused_and_not_run(trap):
    path, sprung = trap
    with pytest.raises(ValueError, match=r'evil\.pth is no plain checkpoint: loading it could run code.*mkdir'):
        check_checkpoint(path)
    with pytest.raises(ValueError, match='could run code'):
        HyperSegInferencer('unet_cloud.py', path)
    assert not sprung.exists()


@pytest.mark.parametrize('name', ['test', 'train'])
def test_train_and_test_run_no_code_of_a_checkpoint(repository, tool, tmp_path, trap, name):
    path, sprung = trap
    config, work = repository / 'configs' / 'unet_cloud.py', ['--work-dir', tmp_path / 'work']
    arguments = [path, *work] if name == 'test' else [*work, '--cfg-options', f'load_from={path}']
    with pytest.raises(ValueError, match='could run code'):
        tool(name, config, *arguments)
    assert not sprung.exists()


def test_average_runs_no_code_of_a_checkpoint(tool, tmp_path, trap):
    path, sprung = trap
    done = tool('average', tmp_path / 'out.pth', path, path)
    assert done.returncode == 2 and 'could run code' in done.stderr and not sprung.exists()


@pytest.mark.parametrize('content', [b'', b'no checkpoint', b'PK\x03\x04 half a zip', pickle.dumps([1, 2])[:-3]])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, content):
    (tmp_path / 'bad.pth').write_bytes(content)
    with pytest.raises(ValueError, match=r'bad\.pth is no'):
        check_checkpoint(tmp_path / 'bad.pth')
    with pytest.raises(FileNotFoundError, match='gone'):
        check_checkpoint(tmp_path / 'gone.pth')


def test_getattr_opens_no_way_to_exec(getattr_trap):
    path, sprung = getattr_trap
    for load in (check_checkpoint, CheckpointLoader.load_checkpoint, partial(load_checkpoint, nn.Linear(2, 2))):
        with pytest.raises(ValueError, match="could run code.*GLOBAL getattr of '__self__'"):
            load(str(path))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, pickle_module=checkpoints._ALLOWED_ALONE, weights_only=False)
    assert not sprung.exists()


@pytest.mark.parametrize('zipped', [True, False])
def test_an_older_torch_runs_no_code_of_a_checkpoint(tmp_path, zipped):
    for number, module in enumerate(['os.system', 'builtins.eval', 'torch.load', 'torch.hub.load', 'numpy.load']):
        path, sprung = tmp_path / f'{number}.pth', tmp_path / 'sprung'
        torch.save(dict(weight=torch.ones(2), meta=Trap(sprung)), path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(pickle.UnpicklingError, match='mkdir is not allowed'):
            torch.load(path, pickle_module=checkpoints._ALLOWED_ALONE, weights_only=False)
        name, attribute = module.rsplit('.', 1)
        with pytest.raises(pickle.UnpicklingError, match='is not allowed'):
            checkpoints._Unpickler(io.BytesIO()).find_class(name, attribute)
        assert not sprung.exists()


@pytest.mark.parametrize(
    'content', [None, {}, [], [torch.ones(1)], dict(state_dict={}), dict(state_dict=None), {1: torch.ones(1)}, 'text',
                dict(model=dict(weight=torch.ones(1))), torch.ones(1), dict(state_dict=dict(weight=1.0))]
)  # fmt: skip
def test_a_file_without_weights_is_named(tmp_path, content):
    torch.save(content, tmp_path / 'bad.pth')
    with pytest.raises(ValueError, match=r'bad\.pth holds .*expected names of weights with their tensors'):
        check_checkpoint(tmp_path / 'bad.pth')


@pytest.mark.parametrize('content', [pickle.dumps(None), pickle.dumps({}), b'\0' * 64, b'PK\5\6' + b'\0' * 18])
def test_pickles_not_written_by_torch_are_refused(tmp_path, content):
    (tmp_path / 'bad.pth').write_bytes(content)
    with pytest.raises(ValueError, match=r'bad\.pth is no'):
        check_checkpoint(tmp_path / 'bad.pth')


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no FIFOs here')
def test_fifos_and_folders_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'pipe.pth')
    os.mkfifo(tmp_path / 'pipe.safetensors')
    for path, kind in ((tmp_path / 'pipe.pth', 'a FIFO'), (tmp_path, 'a folder')):
        with pytest.raises(ValueError, match=kind):
            check_checkpoint(path)
    with pytest.raises(ValueError, match='a FIFO'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'pipe.safetensors'))


@pytest.fixture
def served(tmp_path, trap, monkeypatch):
    """A folder served by a port of this machine, with a trap in it; the cache of torch hub is empty."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = HTTPServer(('127.0.0.1', 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    yield server, thread
    if thread.is_alive():
        server.shutdown()
        thread.join()
    server.server_close()


def test_nothing_comes_by_http(served, trap, tmp_path):
    server, thread = served
    thread.start()
    address = f'http://127.0.0.1:{server.server_port}/evil.pth'
    pretrained = dict(type='Pretrained', checkpoint=address)
    for use in (
        check_checkpoint,
        CheckpointLoader.load_checkpoint,
        partial(load_checkpoint, nn.Linear(2, 2)),
        partial(HyperSegInferencer, 'unet_cloud.py'),
    ):
        with pytest.raises(ValueError, match=r'/evil\.pth: weights are downloaded from https:// addresses alone'):
            use(address)
    head = MODELS.build(dict(type='FCNHead', in_channels=4, channels=4, num_classes=3, init_cfg=pretrained))
    with pytest.raises(ValueError, match='https:// addresses alone'):
        head.init_weights()
    assert not (tmp_path / 'torch').exists() and not trap[1].exists()


@pytest.mark.parametrize('scheme', ['s3', 'my:s3', 'petrel', 'pavi', 'ftp', 'file', 'HTTP'])
def test_other_schemes_are_refused(scheme):
    with pytest.raises(ValueError, match='https:// addresses alone'):
        check_checkpoint(f'{scheme}://bucket/weights.pth')
    if scheme in ('s3', 'my:s3', 'petrel', 'pavi'):
        with pytest.raises(ValueError, match='https:// addresses alone'):
            CheckpointLoader.load_checkpoint(f'{scheme}://bucket/weights.pth')


@pytest.mark.skipif(shutil.which('openssl') is None, reason='no openssl to make a certificate')
def test_what_comes_by_https_is_looked_into(served, trap, tmp_path, monkeypatch):
    server, thread = served
    key, certificate = tmp_path / 'key.pem', tmp_path / 'certificate.pem'
    made = ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost']
    names = ['-addext', 'subjectAltName=DNS:localhost', '-keyout', str(key), '-out', str(certificate)]
    subprocess.run([*made, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread.start()
    monkeypatch.setenv('SSL_CERT_FILE', str(certificate))
    root = f'https://localhost:{server.server_port}'
    torch.save(dict(weight=torch.ones(2, 2), bias=torch.ones(2)), tmp_path / 'good.pth')
    save_file(dict(weight=torch.ones(2, 2), bias=torch.ones(2)), tmp_path / 'good.safetensors')
    for name in ('good.pth', 'good.safetensors'):
        model = nn.Linear(2, 2)
        check_checkpoint(f'{root}/{name}')
        load_checkpoint(model, f'{root}/{name}?version=1')
        assert model.weight.tolist() == [[1, 1], [1, 1]]
        assert (tmp_path / 'torch' / 'hub' / 'checkpoints' / name).is_file()
    for load in (check_checkpoint, CheckpointLoader.load_checkpoint):
        with pytest.raises(ValueError, match='could run code'):
            load(f'{root}/evil.pth')
    with pytest.raises(OSError, match='404'):
        check_checkpoint(f'{root}/gone.pth')
    with pytest.raises(ValueError, match='names no file'):
        check_checkpoint(f'{root}/')
    assert not trap[1].exists()


def test_a_short_name_of_mmengine_is_an_address(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    cache = tmp_path / 'hub' / 'checkpoints'
    cache.mkdir(parents=True)
    address = checkpoints.of_mmengine.get_torchvision_models()['resnet18']
    torch.save(dict(weight=torch.ones(2)), cache / address.rsplit('/', 1)[1])
    assert CheckpointLoader.load_checkpoint('torchvision://resnet18')['weight'].tolist() == [1, 1]
    with pytest.raises(ValueError, match='is none of the .* models that MMEngine knows'):
        CheckpointLoader.load_checkpoint('open-mmlab://none')
    with pytest.raises(ValueError, match='https:// addresses alone'):
        check_checkpoint('torchvision://resnet18')


def test_code_in_a_checkpoint_that_a_config_starts_from_is_not_run(trap):
    path, sprung = trap
    start = dict(type='Pretrained', checkpoint=str(path))
    head = MODELS.build(dict(type='FCNHead', in_channels=4, channels=4, num_classes=3, init_cfg=start))
    with pytest.raises(ValueError, match='could run code'):
        head.init_weights()
    assert not sprung.exists()


def test_missing_and_additional_weights_are_named(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    state = OrderedDict((f'module.{name}', value + 1) for name, value in model.state_dict().items())
    load_weights(model, dict(state_dict=state, meta={}), 'a.pth', whole=True)
    assert model[0].bias.equal(state['module.0.bias'])
    state.pop('module.1.num_batches_tracked')
    load_weights(model, state, 'a.pth', whole=True)
    load_weights(model, state | dict(more=torch.ones(1)), 'a.pth')
    with pytest.raises(ValueError, match='a.pth is not of this model: it also holds more$'):
        load_weights(model, state | dict(more=torch.ones(1)), 'a.pth', whole=True)
    with pytest.raises(ValueError, match='no checkpoint of this model: it lacks 0.bias'):
        load_weights(model, {name: value for name, value in state.items() if name != 'module.0.bias'}, 'a.pth')
    with pytest.raises(ValueError, match='it lacks 0.bias, 0.weight, 1.bias, 1.running_mean, 1.running_var and 1 more'):
        load_weights(model, dict(other=torch.ones(1)), 'a.pth')
    with pytest.raises(ValueError, match='do not fit the model: size mismatch for 0.bias'):
        load_weights(model, state | {'module.0.bias': torch.ones(3)}, 'a.pth')


def test_a_model_is_not_run_with_random_weights(repository, tiny_sky, tmp_path):
    config = shrink(Config.fromfile(repository / 'configs' / 'hyperclip_unet_cloud.py'), tiny_sky, tmp_path)
    with pytest.warns(UserWarning, match='randomly initialized'):
        state = HyperSegInferencer(config.copy(), device='cpu').model.state_dict()
    torch.save(dict(state_dict=state), tmp_path / 'whole.pth')
    assert HyperSegInferencer(config.copy(), tmp_path / 'whole.pth', device='cpu').classes
    without_words = {name: value for name, value in state.items() if not name.startswith('decode_head.text.')}
    torch.save(dict(state_dict=without_words), tmp_path / 'words.pth')
    model = HyperSegInferencer(config.copy(), tmp_path / 'words.pth', device='cpu').model  # it encodes the words itself
    assert model.decode_head.text().norm(dim=-1).min() > 0.99
    state.pop('decode_head.projection.weight')
    torch.save(dict(state_dict=state), tmp_path / 'part.pth')
    with pytest.raises(ValueError, match='part.pth is no checkpoint of this model: it lacks decode_head.projection'):
        HyperSegInferencer(config.copy(), tmp_path / 'part.pth', device='cpu')
    torch.save(dict(state_dict=dict(other=torch.ones(1))), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='other.pth is no checkpoint of this model'):
        HyperSegInferencer(config.copy(), tmp_path / 'other.pth', device='cpu')


def test_a_config_in_a_checkpoint_is_not_run(repository, tiny_sky, tmp_path, tool):
    """MMEngine runs the config of a checkpoint when a training is resumed, and when a config is empty."""
    sprung = tmp_path / 'sprung'
    program = f'import os\nos.mkdir({str(sprung)!r})\n'
    weights = dict(weight=torch.ones(2))
    meta = dict(epoch='1', iter='1', config=program, cfg=program)
    torch.save(
        dict(state_dict=weights, meta=meta, message_hub=dict(runtime_info=dict(cfg=program))), tmp_path / 'a.pth'
    )
    save_file(weights, tmp_path / 'a.safetensors', metadata=meta)
    for name in ('a.pth', 'a.safetensors'):
        assert 'config' not in CheckpointLoader.load_checkpoint(str(tmp_path / name))['meta']
        with pytest.raises(ValueError, match='the config has no model'):
            HyperSegInferencer(Config(), tmp_path / name, device='cpu')
    config = shrink(Config.fromfile(repository / 'configs' / 'unet_cloud.py'), tiny_sky, tmp_path / 'work')
    config.dump(tmp_path / 'own.py')
    for name in ('a.pth', 'a.safetensors'):
        options = ['--work-dir', tmp_path / 'work', '--cfg-options', f'load_from={tmp_path / name}', 'resume=True']
        with pytest.raises((AssertionError, KeyError, TypeError, ValueError)):  # the checkpoint is not enough to resume
            tool('train', tmp_path / 'own.py', *options)
    assert not sprung.exists()


@pytest.fixture
def deepspeed_folder(trap, tmp_path):
    """A checkpoint as DeepSpeed writes it, one of whose files would run code."""
    folder = tmp_path / 'iter_2.pth'
    folder.mkdir()
    torch.save(dict(module={}), folder / 'mp_rank_00_model_states.pt')
    shutil.copy(trap[0], folder / 'zero_pp_rank_0_mp_rank_00_optim_states.pt')
    return folder


def test_a_folder_of_deepspeed_needs_deepspeed(deepspeed_folder, monkeypatch):
    for name in ('deepspeed', 'deepspeed.runtime.fp16.loss_scaler'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'hyperbolic-seg\[deepspeed\]'"):
        check_checkpoint(deepspeed_folder)


def test_a_folder_of_deepspeed_is_looked_into(deepspeed_folder, trap):
    pytest.importorskip('deepspeed', reason="pip install 'hyperbolic-seg[deepspeed]'")
    with pytest.raises(ValueError, match='optim_states.pt is no plain checkpoint: loading it could run code'):
        check_checkpoint(deepspeed_folder)
    assert not trap[1].exists()
    (deepspeed_folder / 'zero_pp_rank_0_mp_rank_00_optim_states.pt').unlink()
    check_checkpoint(deepspeed_folder)
