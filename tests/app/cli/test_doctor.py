"""hyperbolic-seg doctor."""

import json

from hyperbolic_seg.apis import RELEASES, list_models
from hyperbolic_seg.app.cli.doctor import Finding, examine, report


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
    found = {f.subject: f for f in examine(stack=['no_such_stack'], extras={'future': ['no_such_module']})}
    stack, extra = found['no_such_stack'], found['[future]']
    assert stack.state == 'wrong' and stack.mend == "pip install 'hyperbolic-seg[mmseg]'"
    assert extra == Finding('[future]', 'without no_such_module', 'absent', "pip install 'hyperbolic-seg[future]'")
    assert report([stack, extra]) == 1 and report([extra]) == 0
    assert 'no_such_module' in capsys.readouterr().out
