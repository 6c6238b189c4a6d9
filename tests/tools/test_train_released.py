"""Training of the released model within a given time, on packed sets."""

import json
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from zipfile import ZipFile

import cv2
import pytest
import torch

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.sky.renderer import render_sky

SETS = ('swimseg', 'swinseg', 'wsiseg', 'ccsn')


@pytest.fixture
def tool(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools'))
    for name in ('train_released', 'installed', 'make_sky'):
        sys.modules.pop(name, None)
    import train_released

    return train_released


@pytest.fixture(scope='module')
def pack(tmp_path_factory, embedding_cache):
    """A file in the form of pack_development.py, with two rendered pictures for each side of each set."""
    out = tmp_path_factory.mktemp('pack') / 'pack.zip'
    with ZipFile(out, 'w') as archive:
        for first, name in enumerate(SETS):
            for number in range(4):
                sky = render_sky(10 * first + number, 64)
                archive.writestr(f'{name}/images/{number}.jpg', cv2.imencode('.jpg', sky.image)[1].tobytes())
                archive.writestr(f'{name}/masks/{number}.png', cv2.imencode('.png', sky.labels)[1].tobytes())
            archive.writestr(f'{name}/splits/train.txt', '0\n1\n')
            archive.writestr(f'{name}/splits/val.txt', '2\n3\n')
    return out


def options(tool, pack, folder, *more):
    small = ['--size', '64', '--pictures', '16', '--workers', '1', '--encoder-weights', 'none', '--batch-size', '4']
    return tool.parse_args([str(folder), '--pack', str(pack), '--minutes', '3', *small, *more])


def test_pictures_are_rendered_in_proportion_and_once(tool, pack, tmp_path):
    args = options(tool, pack, tmp_path, '--pictures', '40')
    tool.unpack(pack, tmp_path / 'data' / 'development')
    jobs = tool.render_jobs(args, tmp_path / 'data', deadline=time.time() + 600)
    assert 36 <= len(jobs) <= 44 and len({job[0] for job in jobs[: 2 * len(jobs) // 3]}) == len(tool.SKIES)
    seeds = [job[2].seed + job[3] for job in jobs]
    assert len(set(seeds)) == len(seeds)
    name, row = tool.render_one(jobs[0])
    assert row['stem'] == f'{jobs[0][3]:06d}' and (tmp_path / 'data' / name / 'images' / f'{row["stem"]}.png').is_file()
    late = (*jobs[1][:4], time.time() - 1)
    assert tool.render_one(late) == (jobs[1][0], None)
    (tmp_path / 'data' / 'rendered.json').write_text('{"sky": 5}')
    assert tool.render(args, tmp_path / 'data') == {'sky': 5}  # what is done is not repeated


def test_the_config_has_the_data_the_size_and_the_time(tool, pack, tmp_path):
    args = options(
        tool, pack, tmp_path, '--seeds', '0', '1', '--logits', 'distance', 'cosine', '--render-minutes', '0.2'
    )
    assert tool.training_seconds(args) == pytest.approx(60 * 2.8 / 4 - 30)
    cfg = tool.configure(args, 'cosine', 1)
    assert cfg.model.decode_head.logits == 'cosine' and cfg.randomness.seed == 1
    assert cfg.model.backbone.encoder == 'tf_efficientnet_lite2' and cfg.model.backbone.weights is None
    roots = [d.get('dataset', d).data_root for d in cfg.train_dataloader.dataset.datasets]
    assert roots[0] == str(tmp_path / 'data/development/swimseg') and roots[4] == str(tmp_path / 'data/sky')
    assert {root.rpartition('/')[2] for root in roots} == {*SETS, *tool.SKIES}
    steps = [step for d in cfg.train_dataloader.dataset.datasets for step in d.get('dataset', d).pipeline]
    assert {tuple(step.scale) for step in steps if 'scale' in step} == {(64, 64)}
    assert all(str(tmp_path) in root for step in steps for root in step.get('donors', []))
    assert cfg.custom_hooks[-1] == dict(type='TimeBudgetHook', seconds=pytest.approx(12))
    assert [hook['type'] for hook in cfg.custom_hooks] == ['MemoryFormatHook', 'EMAHook', 'TimeBudgetHook']


def test_a_folder_in_use_and_other_options_are_refused(tool, pack, tmp_path, capsys):
    tool.check_plan(options(tool, pack, tmp_path))
    with pytest.raises(SystemExit, match='holds a training: add --resume'):
        tool.check_plan(options(tool, pack, tmp_path))
    tool.check_plan(options(tool, pack, tmp_path, '--resume'))
    with pytest.raises(SystemExit, match=r'--minutes 3.0 there, 4.0 now.*give the same options'):
        tool.check_plan(options(tool, pack, tmp_path, '--resume', '--minutes', '4', '--render-minutes', '1'))
    for wrong, message in [
        (['--minutes', '0.6'], 'leave no time for 1 trainings'),
        (['--pictures', '3'], '16 to 200,000 --pictures'),
        (['--pack', 'nowhere.zip'], 'nowhere.zip does not exist: write it by tools/pack_development.py'),
    ]:
        with pytest.raises(SystemExit):
            options(tool, pack, tmp_path, *wrong)
        assert message in capsys.readouterr().err


def test_missing_packages_are_named_before_anything_starts(tool):
    from installed import NEEDED, require

    require(NEEDED)
    with pytest.raises(SystemExit, match=r'missing packages: first-one, second-one\. Install them: pip install first'):
        require(NEEDED | {'no_such_module': 'first-one', 'no_other_module': 'second-one'})


def test_a_training_that_is_killed_is_resumed(repository, pack, tmp_path, embedding_cache):
    folder = tmp_path / 'run'
    command = [sys.executable, '-W', 'ignore', str(repository / 'tools' / 'train_released.py'), str(folder)]
    command += ['--pack', str(pack), '--minutes', '3', '--render-minutes', '2', '--size', '64', '--pictures', '16']
    command += ['--workers', '1', '--encoder', 'test_efficientnet', '--encoder-weights', 'none', '--batch-size', '4']
    command += ['--checkpoint-seconds', '3', '--resume']
    (folder / 'data/development').mkdir(parents=True)
    with ZipFile(pack) as archive:
        archive.extractall(folder / 'data/development')
    (folder / 'data/development/embeddings').symlink_to(embedding_cache)
    options = dict(cwd=repository, env=os.environ | dict(PYTHONPATH=str(repository)), text=True)
    first = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    mark, end = folder / 'distance_0' / 'last_checkpoint', time.monotonic() + 900
    while not mark.exists() and first.poll() is None and time.monotonic() < end:
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGKILL)
    said = first.communicate()[0]
    assert mark.exists(), said
    before = torch.load(mark.read_text(), weights_only=False)
    second = subprocess.run(command, capture_output=True, timeout=900, **options)
    assert second.returncode == 0, second.stdout + second.stderr
    assert f'resumed after iteration {before["meta"]["iter"]}' in second.stdout
    after = torch.load(mark.read_text(), weights_only=False)
    used = [checkpoint['message_hub']['runtime_info']['seconds_used'] for checkpoint in (before, after)]
    assert 0 < used[0] < 30 <= used[1]  # a minute without the 30 seconds
    assert after['meta']['iter'] > before['meta']['iter']
    rates = [checkpoint['optimizer']['param_groups'][0]['lr'] for checkpoint in (before, after)]
    assert rates[0] > rates[1] >= 0
    assert json.loads((folder / 'plan.json').read_text())['minutes'] == 3
    model = HyperSegInferencer(folder / 'hyperclip-unet-cloud-distance-0.safetensors', device='cpu')
    assert model(render_sky(99, 64).image)['predictions'][0]['labels'].shape == (64, 64)
    assert Namespace(**json.loads((folder / 'data/rendered.json').read_text())).sky >= 1
