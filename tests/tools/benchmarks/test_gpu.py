"""The benchmark of GPUs: its parts, its limits, its results; on a CPU it is rehearsed."""

import json
import sys
import time

import pytest


@pytest.fixture
def gpu(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / 'tools' / 'benchmarks'))
    for name in ('gpu', 'installed'):
        sys.modules.pop(name, None)
    import gpu

    return gpu


def script(gpu, name, code, seconds=60.0):
    return gpu.Part(name, ['-c', code], seconds)


def test_parts_are_stopped_and_skipped_and_said(gpu, tmp_path, monkeypatch, capsys):
    endless = 'import subprocess, sys, time; print("begun", flush=True); subprocess.run(["sleep", "60"])'
    table = "print('# sizes'); print('| a | b |'); print('|---|---|'); print('| 1 | 2 |')"
    chosen = [
        script(gpu, 'good', table),
        script(gpu, 'broken', 'raise SystemExit("no such thing")'),
        script(gpu, 'endless', endless),
        script(gpu, 'late', 'print(1)'),
    ]
    monkeypatch.setattr(gpu, 'parts', lambda device: chosen)
    monkeypatch.setattr(gpu, 'LEAST', 0.5)
    out, start = tmp_path / 'gpu.json', time.monotonic()
    assert gpu.main([str(out), '--device', 'cpu', '--minutes', '0.1']) == 1
    assert time.monotonic() - start < 50  # the endless one is stopped with its own process
    found = json.loads(out.read_text())['parts']
    states = {name: part['state'] for name, part in found.items()}
    assert states['good'] == 'ok' and states['broken'] == 'failed, exit code 1'
    assert states['endless'].startswith('stopped after') and states['late'] == 'skipped, no time left'
    assert 'begun' in found['endless']['output']
    printed = capsys.readouterr().out
    assert 'On no GPU' in printed and '| broken | failed, exit code 1 |' in printed and 'no such thing |' in printed
    assert 'good:\n\n| a | b |\n|---|---|\n| 1 | 2 |' in printed

    # The next call does what is missing, and nothing twice.
    chosen[:] = [script(gpu, 'good', 'raise SystemExit(3)'), *(script(gpu, part.name, 'pass') for part in chosen[1:])]
    assert gpu.main([str(out), '--device', 'cpu', '--minutes', '5']) == 0
    assert json.loads(out.read_text())['parts']['good'] == found['good']


def test_results_of_another_machine_are_not_mixed(gpu, tmp_path, monkeypatch):
    out = tmp_path / 'gpu.json'
    out.write_text(json.dumps(dict(machine=dict(card='another'), parts={})))
    monkeypatch.setattr(gpu, 'parts', lambda device: [])
    with pytest.raises(SystemExit, match='has results of another machine.*name another file'):
        gpu.main([str(out), '--device', 'cpu'])
    with pytest.raises(SystemExit, match='no GPU is visible to PyTorch.*--device cpu'):
        gpu.main([str(tmp_path / 'new.json')])


def test_every_part_is_a_script_with_options_it_knows(gpu, repository):
    names = [part.name for part in gpu.parts('cuda')]
    assert len(names) == len(set(names)) == len(gpu.parts('cpu'))
    for part in (*gpu.parts('cuda'), *gpu.parts('cpu')):
        files = [argument for argument in part.arguments if argument.startswith(str(repository))]
        assert files and all((repository / file).exists() for file in files)
    # At full size all fit into a call, if each takes a half of its limit.
    assert sum(part.seconds for part in gpu.parts('cuda')) < 2 * 12 * 60


def test_a_rehearsal_runs_in_full(gpu, tmp_path):
    out = tmp_path / 'gpu.json'
    assert gpu.main([str(out), '--device', 'cpu', '--minutes', '30']) == 0, out.read_text()
    assert {part['state'] for part in json.loads(out.read_text())['parts'].values()} == {'ok'}
