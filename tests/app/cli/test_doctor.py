"""hyperbolic-seg doctor."""

import json

import hyperbolic_seg.app.cli.doctor as doctor
from hyperbolic_seg.apis.released import RELEASES


def test_a_whole_installation_is_well(command):
    done = command('doctor', '--json')
    found = {finding['subject']: finding for finding in json.loads(done.out)}
    assert done.code == 0 and all(finding['state'] != 'wrong' for finding in found.values())
    assert found['weights']['found'] == ', '.join(RELEASES) and 'torch' in found['torch']['found']


def test_what_is_missing_comes_with_its_mend(command, monkeypatch):
    monkeypatch.setattr(doctor, 'STACK', ('no_such_stack',))
    monkeypatch.setattr(doctor, 'EXTRAS', {'future': ('no_such_module',)})
    done = command('doctor')
    assert done.code == 1
    table = ' '.join(done.out.replace('│', ' ').split())
    assert 'no_such_stack' in table and '[mmseg]' in table
    assert 'no_such_module' in table and '[future]' in table and 'absent' in table


def test_changed_weights_are_noticed(command, monkeypatch, tmp_path):
    monkeypatch.setattr('hyperbolic_seg.apis.released.WEIGHTS', tmp_path)
    monkeypatch.setattr(doctor, 'EXTRAS', {})  # imports that take their time
    for name in RELEASES:
        (tmp_path / f'{name}.safetensors').write_bytes(b'other')
    done = command('doctor', '--json')
    found = {finding['subject']: finding for finding in json.loads(done.out)}
    assert done.code == 1 and found['weights']['state'] == 'wrong'
    assert 'is not the released' in found['weights']['found']
