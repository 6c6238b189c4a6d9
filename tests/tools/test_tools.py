"""The command-line tools, run as a user runs them."""

import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.text import Taxonomy
from tests import processes
from tests.learned import assert_learned_alike


def call(repository, *arguments, **environment):
    return subprocess.run(
        [*map(str, arguments)],
        cwd=repository,
        env=os.environ
        | {'PYTHONWARNINGS': 'ignore', 'PYTHONPATH': str(repository), 'PYTHON': sys.executable}
        | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def command(repository, *arguments):
    return processes.run('hyperbolic_seg.app.cli.main', *arguments, cwd=repository)


@pytest.fixture(scope='module')
def trained(repository, config):
    """The checkpoint of tools/train.py."""
    work_dir = config.parent / 'trained'
    done = processes.run(repository / 'tools' / 'train.py', config, '--work-dir', work_dir, cwd=repository)
    assert done.returncode == 0, done.stderr[-3000:]
    return work_dir / 'epoch_1.pth'


def test_train_writes_log_scalars_tensorboard_and_figures(trained):
    folder = trained.parent
    scalars = [json.loads(line) for line in next(folder.rglob('scalars.json')).read_text().splitlines()]
    assert {'loss', 'decode.radius_text', 'decode.radius_pixel', 'decode.curvature'} <= set(scalars[0])
    assert 'mIoU' in scalars[-1]
    assert list(folder.rglob('events.out.tfevents.*'))
    assert list(folder.rglob('vis_image/*.png'))


def test_training_prints_progress_and_results_and_logs_everything(repository, config, tmp_path):
    train = (repository / 'tools' / 'train.py', config, '--work-dir')
    short = processes.run(*train, tmp_path / 'short', cwd=repository)
    assert short.returncode == 0, short.stderr[-3000:]
    lines = short.stdout.splitlines()
    assert [line for line in lines if line.startswith('epoch 1 of 1, iteration 2 of 3: loss ')]
    assert [line for line in lines if line.startswith('validation after epoch 1: mIoU ')]
    assert [line for line in lines if line.startswith('  clear sky ')], 'IoU of a class'
    assert str(tmp_path / 'short') in lines[-1] and len(lines) < 30, short.stdout
    full = processes.run(*train, tmp_path / 'full', '--verbose', cwd=repository)
    assert 'Hooks will be executed' in full.stdout and 'Config:' in full.stdout
    logs = [next((tmp_path / name).rglob('*.log')).read_text() for name in ('short', 'full')]
    assert all('Hooks will be executed' in log and 'Epoch(val) [1][2/2]' in log for log in logs)
    assert len(logs[0].splitlines()) == pytest.approx(len(logs[1].splitlines()), abs=20)


@pytest.mark.parametrize('name', ['train', 'test', 'browse_dataset'])
def test_help_imports_no_torch(repository, name):
    code = f"import runpy, sys; sys.argv = ['{name}', '--help']\ntry:\n    runpy.run_path('tools/{name}.py', "
    code += "run_name='__main__')\nfinally:\n    print('heavy', {'torch', 'mmengine', 'mmseg'} & set(sys.modules))"
    done = call(repository, sys.executable, '-c', code)
    assert done.returncode == 0 and '--cfg-options' in done.stdout and 'heavy set()' in done.stdout, done.stderr


def test_resume_and_mixed_precision(tool, config, trained, tmp_path):
    folder = shutil.copytree(trained.parent, tmp_path / 'resumed')
    options = ['--cfg-options', 'train_cfg.max_epochs=2', 'param_scheduler.1.T_max=2', 'param_scheduler.1.end=2']
    done = tool('train', config, '--work-dir', folder, '--resume', '--amp', *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'resumed after iteration 3, epoch 1' in done.stdout
    state = torch.load(folder / 'epoch_2.pth', weights_only=False)
    assert all(value.isfinite().all() for value in state['state_dict'].values() if value.is_floating_point())


def test_test_prints_metrics_and_writes_labels_and_figures(tool, config, trained, tmp_path):
    out = tmp_path / 'labels'
    done = tool('test', config, trained, '--work-dir', tmp_path, '--out', out, '--show-dir', tmp_path / 'figures')
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'mIoU' in done.stdout + done.stderr
    assert len(list(out.glob('*.png'))) == 2
    assert len(list((tmp_path / 'figures').rglob('test_*.png'))) == 2


def test_a_test_averages_an_image_and_its_mirror_image(tool, config, trained, tiny_sky, tmp_path):
    done = tool('test', config, trained, '--work-dir', tmp_path, '--tta', '--out', tmp_path / 'labels')
    assert done.returncode == 0, done.stderr[-3000:]
    model = HyperSegInferencer(str(config), str(trained), device='cpu')
    ids = np.array(Taxonomy.load('sky').ids(model.vocabulary.names))
    for number in (6, 7):
        image = cv2.imread(str(tiny_sky / 'images' / f'{number}.png'))
        views = model([image, np.ascontiguousarray(image[:, ::-1])], return_datasamples=True)['predictions']
        plain, mirrored = (view.seg_logits.data.softmax(0) for view in views)
        shares = (plain + mirrored.flip(2)).topk(2, dim=0)
        told = (shares.values[0] - shares.values[1] > 1e-3).numpy()  # rounding decides between equals
        found = cv2.imread(str(tmp_path / 'labels' / f'{number}.png'), cv2.IMREAD_UNCHANGED)
        assert told.mean() > 0.9 and (found == ids[shares.indices[0].numpy()])[told].all()


def test_prompts_count_for_their_ancestors(tool, config, trained, tmp_path):
    binary = ['--cfg-options', 'test_dataloader.dataset.metainfo.classes=binary']
    prompts = ['--prompts', 'clear sky', 'cumulus', 'cirrus']
    done = tool('test', config, trained, '--work-dir', tmp_path, *prompts, *binary)
    assert done.returncode == 0, done.stderr[-3000:]
    assert '  clear sky ' in done.stdout
    with pytest.raises(ValueError, match="the prompt 'a' has no counterpart among the classes"):
        tool('test', config, trained, '--work-dir', tmp_path, '--prompts', 'a', 'b', *binary)


def test_the_command_predicts_with_a_trained_config(repository, config, trained, tmp_path):
    images = tmp_path / 'images'
    images.mkdir()
    cv2.imwrite(str(images / 'strip.png'), np.zeros((2, 2000, 3), np.uint8))
    for i, shape in enumerate([(40, 60, 3), (33, 35, 3), (30, 20)]):
        cv2.imwrite(str(images / f'{i}.png'), np.linspace(60, 200 + 20 * i, math.prod(shape)).reshape(shape))
    (images / 'broken.jpg').write_bytes(b'no image')
    out, prompts = tmp_path / 'out', ['clear sky', 'cumulus', 'a red balloon']
    options = ['--model', config, '--weights', trained, '--prompts', ', '.join(prompts), '--out', out]
    done = command(repository, 'predict', images, tmp_path / 'lost.png', *options)
    assert done.returncode == 1, done.stderr[-3000:]
    assert 'broken.jpg is not a readable image' in done.stderr
    rows = list(csv.DictReader((out / 'summary.csv').open()))
    assert len(rows) == 6
    good = [row for row in rows if not row['error']]
    assert len(good) == 3 and any('no picture of the sky: black' in row['error'] for row in rows)
    for row in good:
        assert sum(float(row[f'fraction {prompt}']) for prompt in prompts) == pytest.approx(1, abs=1e-3)
        assert 1 / 3 <= float(row['mean confidence']) <= 1
        stem = row['image'].rsplit('/', 1)[1][0]
        labels = cv2.imread(str(out / 'labels' / f'{stem}.png'), cv2.IMREAD_UNCHANGED)
        assert labels.shape == (int(row['height']), int(row['width']))
        assert labels.max() <= 2
        assert cv2.imread(str(out / 'overlays' / f'{stem}.png')).shape[0] > labels.shape[0]


def test_the_command_warns_of_a_config_without_weights(repository, config, tiny_sky, tmp_path):
    options = ['--model', config, '--weights', 'none', '--out', tmp_path / 'out']
    done = command(repository, 'predict', tiny_sky / 'images' / '0.png', *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count('randomly initialized') == 1 and '.py:' not in done.stderr, 'without source lines'


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['nowhere/*.jpg', '--weights', 'none'], 'nothing matches nowhere/'),
        (['IMAGE', '--weights', 'none', '--prompts', 'cloud'], 'at least two prompts'),
        (['IMAGE', '--weights', 'no_such_checkpoint.pth'], 'no_such_checkpoint.pth'),
        (
            ['IMAGE', '--weights', 'none', '--cfg-options', 'model.decode_head.text_dims=256'],
            'set text_dims=384',
        ),
    ],
)
def test_the_command_names_what_is_wrong_with_a_config(repository, config, tiny_sky, tmp_path, arguments, message):
    arguments = [str(tiny_sky / 'images' / '0.png') if a == 'IMAGE' else a for a in arguments]
    done = command(repository, 'predict', *arguments, '--model', config, '--out', tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_browse_draws_contact_sheets(tool, config, tmp_path):
    sheet = tmp_path / 'sheet.png'
    arguments = ['--out', sheet, '--num-images', '5', '--columns', '2', '--rows', '2', '--height', '64']
    done = tool('browse_dataset', config, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert '4 of 6 samples drawn in' in done.stdout
    assert cv2.imread(str(sheet)).shape[1] == 2 * 3 * 68
    assert cv2.imread(str(tmp_path / 'sheet_2.png')) is not None


def test_two_processes_learn_the_same_as_one(repository, tool, config, tmp_path):
    whole = tool('train', config, '--work-dir', tmp_path / 'one', '--cfg-options', 'train_dataloader.batch_size=4')
    assert whole.returncode == 0, whole.stderr[-3000:]
    parts = call(
        repository, 'tools/dist_train.sh', config, 2, '--work-dir', tmp_path / 'two', PORT='29611', OMP_NUM_THREADS='1'
    )
    assert parts.returncode == 0, parts.stderr[-3000:]
    assert_learned_alike(config, tmp_path / 'one' / 'epoch_1.pth', tmp_path / 'two' / 'epoch_1.pth')


@pytest.fixture
def stand_in(tmp_path):
    """A stand-in for Python that prints its arguments and Slurm's variables, and runs nothing."""
    path = tmp_path / 'python'
    path.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\nenv | grep -E "^(SLURM|MASTER)_" || true\n')
    path.chmod(0o755)
    return path


def test_two_processes_test_as_one(repository, tool, config, trained, stand_in, tmp_path):
    """dist_test.sh asks torch.distributed.run for two processes; two, started alike, measure what one does."""
    done = call(repository, 'tools/dist_test.sh', config, trained, 2, '--out', 'x', PORT='29612', PYTHON=str(stand_in))
    launcher, program = done.stdout.split('--nproc_per_node=2\n')
    assert launcher.startswith('-m\ntorch.distributed.run\n') and '--master_port=29612' in launcher
    assert program.split()[1:] == [str(config), str(trained), '--launcher', 'pytorch', '--out', 'x']
    arguments = (config, trained, '--work-dir')
    ranks = processes.run_ranks(2, program.split()[0], *arguments, tmp_path / 'two', port=29612, cwd=repository)
    assert [rank.returncode for rank in ranks] == [0, 0], ranks[0].stderr[-3000:]
    assert tool('test', *arguments, tmp_path / 'one').returncode == 0
    one, two = (next((tmp_path / name).glob('*/*.log')).read_text() for name in ('one', 'two'))
    assert re.findall(r'mIoU: [\d.]+', one) == re.findall(r'mIoU: [\d.]+', two) != []


def test_slurm_train_starts_the_processes_and_sets_their_address(repository, config, stand_in, tmp_path):
    """A stand-in for srun runs one task with the variables that Slurm sets."""
    (tmp_path / 'srun').write_text(
        '#!/bin/bash\necho "srun $@" >"$LOG"\n'
        'while [ "$1" != bash ]; do shift; done\n'
        'export SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NTASKS=1 SLURM_JOB_NODELIST=here\nexec "$@"\n'
    )
    (tmp_path / 'scontrol').write_text('#!/bin/bash\necho 127.0.0.1\necho 127.0.0.2\n')
    for name in ('srun', 'scontrol'):
        (tmp_path / name).chmod(0o755)
    done = call(
        repository,
        *('tools/slurm_train.sh', 'cpu', 'clouds', config, tmp_path / 'work'),
        PATH=f'{tmp_path}:{os.environ["PATH"]}',
        LOG=str(tmp_path / 'log'),
        GPUS='1',
        GPUS_PER_NODE='0',
        PORT='29613',
        PYTHON=str(stand_in),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    environment = dict(line.split('=', 1) for line in lines if re.match('(SLURM|MASTER)_', line))
    assert environment['MASTER_ADDR'] == '127.0.0.1' and environment['MASTER_PORT'] == '29613'
    program = lines[1 : -len(environment)]  # after -u
    assert processes.run(*program, cwd=repository, **environment).returncode == 0
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()
    assert '-p cpu --job-name=clouds --ntasks=1' in (tmp_path / 'log').read_text()


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_scripts_print_their_usage(repository, script):
    done = call(repository, f'tools/{script}')
    assert done.returncode == 2
    assert 'usage: ' in done.stderr


def test_export_writes_a_file_that_equals_the_model(tool, config, trained, tmp_path):
    pytest.importorskip('onnxruntime')
    out = tmp_path / 'sky.onnx'
    prompts = ['--prompts', 'clear sky', 'cumulus', '--size', 128, 128, '--out', out]
    # The refinements are exported in tests/apis; here the network is enough.
    options = ['--cfg-options', 'model.test_cfg.color_likelihood=None', 'model.test_cfg.guided=None']
    done = tool('export', config, trained, *prompts, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "classes ['clear sky', 'cumulus']" in done.stdout and 'against PyTorch' in done.stdout
    again = tool('export', config, trained, *prompts, *options)
    assert again.returncode == 2 and '--overwrite' in again.stderr
    strict = tool('export', config, trained, *prompts, '--overwrite', '--tolerance', 0, *options)
    assert strict.returncode == 1 and 'the file was kept' in strict.stderr and out.exists()


@pytest.mark.slow
def test_export_says_that_a_file_could_not_be_compared(tool, config, tmp_path, monkeypatch):
    pytest.importorskip('onnx')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)  # as if it were not installed
    out = tmp_path / 'sky.onnx'
    prompts = ['--prompts', 'clear sky', 'cumulus', '--size', 128, 128, '--out', out]
    options = ['--cfg-options', 'model.test_cfg.color_likelihood=None', 'model.test_cfg.guided=None']
    done = tool('export', config, 'none', *prompts, *options)
    assert done.returncode == 1 and f'{out} could not be compared with PyTorch, and was kept' in done.stderr
    assert out.exists()


def test_release_writes_a_model_that_the_command_predicts_with(repository, tool, config, trained, tiny_sky, tmp_path):
    file, out = tmp_path / 'small.safetensors', tmp_path / 'out'
    done = tool('release', config, trained, file, '--license', 'CC0-1.0')
    assert done.returncode == 0, done.stderr
    assert 'SHA-256' in done.stdout
    options = ['--prompts', 'clear sky, cloud', '--threshold', '0.6', '--out', out]
    done = command(repository, 'predict', tiny_sky / 'images' / '0.png', '--model', file, *options)
    assert done.returncode == 0, done.stderr
    row = next(csv.DictReader((out / 'summary.csv').open()))
    assert float(row['fraction clear sky']) + float(row['fraction cloud']) == pytest.approx(1, abs=1e-3)
    assert 'sure of cirrus' in row and (out / 'nodes' / '0.png').is_file()


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['hyperclip-unet-clouds'], 'neither a config file nor one of hyperclip-unet-cloud'),
        (['hyperclip-unet-cloud', 'none'], 'checkpoints and --cfg-options are for configs'),
        (['configs/hyperclip_unet_cloud.py'], 'expected a checkpoint after the config'),
    ],
)
def test_export_names_a_wrong_argument(tool, tmp_path, arguments, message):
    done = tool('export', *arguments, '--out', tmp_path / 'model.onnx')
    assert done.returncode == 2 and message in done.stderr and not (tmp_path / 'model.onnx').exists()


def test_attributes_are_learned_and_nothing_else_changes(tool, config, trained, tiny_sky, tmp_path):
    out = tmp_path / 'told.pth'
    done = tool('fit_attributes', config, trained, tiny_sky, '--out', out)
    assert done.returncode == 0, done.stderr[-3000:]
    before, after = (torch.load(file, weights_only=False)['state_dict'] for file in (trained, out))
    assert set(before) == set(after)
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    layer = 'decode_head.attribute_scores.scores'
    assert {f'{layer}.weight', f'{layer}.bias'} <= changed <= {f'{layer}.weight', f'{layer}.bias', f'{layer[:-7]}.told'}
    assert after['decode_head.attribute_scores.told']
    assert HyperSegInferencer(str(config), str(out), device='cpu').set_prompts(['thin cloud', 'thick cloud']) is None
