"""hyperbolic-seg doctor."""

import json
import re

import pytest

from hyperbolic_seg.apis import RELEASES, list_models
from hyperbolic_seg.app.cli.doctor import Finding, examine, report
from hyperbolic_seg.app.cli.extras import EXTRAS, USES, Extra, Use


def test_a_complete_installation_has_no_fault(command):
    done = command('doctor', '--json')
    found = {finding['subject']: finding for finding in json.loads(done.out)}
    assert done.code == 0 and all(finding['state'] != 'wrong' for finding in found.values())
    assert 'torch' in found['torch']['found'] and 'inside the package' in found['configs']['found']
    for name in RELEASES:
        weights = found[f'weights of {name}']
        assert weights['state'] == ('ok' if name in list_models(installed=True) else 'absent')
        assert RELEASES[name].license in weights['found'] or RELEASES[name].install == weights['mend']


def test_a_missing_part_comes_with_its_repair(capsys):
    partly = dict(mmseg=Use(('json', 'no_such_stack'), 'training', marks=('json',)))
    found = {f.subject: f for f in examine(uses=partly, extras=dict(future=Extra(('no_such_module',), 'wings')))}
    stack, extra = found['no_such_stack'], found['[future]']
    assert found['complete for'].found == 'nothing' and found['complete for'].state == 'wrong'
    assert stack.state == 'wrong' and stack.mend == "pip install 'hyperbolic-seg[mmseg]'"
    mend = "pip install 'hyperbolic-seg[future]'"
    assert extra == Finding('[future]', 'without no_such_module; adds wings', 'absent', mend)
    assert report([stack, extra]) == 1 and report([extra]) == 0
    assert 'no_such_module' in capsys.readouterr().out


def test_extras_are_those_of_the_package(repository):
    text = (repository / 'pyproject.toml').read_text(encoding='utf-8')
    for extra in (*USES, *EXTRAS):
        assert re.search(rf'^{extra} = \[', text, re.M), extra


def findings(done):
    return {finding['subject']: finding for finding in json.loads(done.stdout)}


def test_a_small_machine_is_complete_for_its_runtime(without_torch):
    done = without_torch('doctor', '--json')
    found = findings(done)
    assert done.returncode == 0 and not [each for each in found.values() if each['state'] == 'wrong'], done.stdout
    assert found['complete for']['found'] == 'predict and watch with --runtime onnx'
    assert found['onnxruntime']['state'] == 'ok' and 'torch' not in found
    assert found['[mmseg]'] == dict(
        subject='[mmseg]',
        found='not installed; adds training, testing, any prompts and models, export',
        state='absent',
        mend="pip install 'hyperbolic-seg[mmseg]'",
    )
    assert 'cores' in found['devices']['found']
    for name in RELEASES:
        assert f'hyperbolic-seg export {name}' in found[f'{name}.onnx']['mend']


@pytest.mark.parametrize('without', ['onnxruntime', 'cv2'])
def test_a_small_machine_without_a_part_is_named(without_torch, without):
    done = without_torch('doctor', '--json', absent=[without])
    found = findings(done)
    assert done.returncode == 1 and found['complete for']['state'] == 'wrong'
    assert "pip install 'hyperbolic-seg[onnx]'" in found['complete for']['mend']
    assert without == 'onnxruntime' or found['cv2']['state'] == 'wrong'


def test_a_damaged_file_is_named(without_torch, tmp_path):
    name = next(iter(RELEASES))
    file = tmp_path / 'exported' / f'{name}.onnx'
    file.parent.mkdir()
    file.write_bytes(b'no model')
    done = without_torch('doctor', '--json', HYPERBOLIC_SEG_CACHE=str(tmp_path))
    found = findings(done)[f'{name}.onnx']
    assert done.returncode == 1 and found['state'] == 'wrong' and 'cannot be read by ONNX Runtime' in found['found']
