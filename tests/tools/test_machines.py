"""Training on two machines, which are two network namespaces of Linux with a cable between them."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack

import pytest
from mmengine.config import Config
from mmseg.registry import MODELS

from tests.learned import assert_learned_alike

ADDRESSES = ('10.213.0.1', '10.213.0.2')


def ip(*arguments):
    return subprocess.run(['ip', *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def hosts():
    """Names of two network namespaces, whose only way to each other is one pair of virtual Ethernet cards."""
    if shutil.which('ip') is None:
        pytest.skip('two machines are made of network namespaces, and the command ip (iproute2) is not installed')
    names = [f'hyperbolic{os.getpid()}{side}' for side in 'ab']
    with ExitStack() as stack:
        try:
            for name in names:
                ip('netns', 'add', name)
                stack.callback(ip, 'netns', 'delete', name)
            (one, other), cards = names, ('left0', 'right0')
            ip('link', 'add', cards[0], 'netns', one, 'type', 'veth', 'peer', 'name', cards[1], 'netns', other)
        except subprocess.CalledProcessError as error:
            pytest.skip(f'network namespaces need root and a kernel that has them: {error.stderr.strip()}')
        for name, card, address in zip(names, cards, ADDRESSES, strict=True):
            ip('-n', name, 'address', 'add', f'{address}/24', 'dev', card)
            for device in ('lo', card):
                ip('-n', name, 'link', 'set', device, 'up')
        yield names


def sent(host, card):
    """Bytes that a card has sent."""
    (found,) = json.loads(ip('-n', host, '-s', '-j', 'link', 'show', card))
    return found['stats64']['tx']['bytes']


def environment(repository, **more):
    common = dict(PYTHONWARNINGS='ignore', PYTHONPATH=str(repository), PYTHON=sys.executable, OMP_NUM_THREADS='1')
    return {name: value for name, value in os.environ.items() if not name.startswith('GLOO_')} | common | more


def start(repository, *command, **more):
    streams = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return subprocess.Popen([*map(str, command)], cwd=repository, env=environment(repository, **more), **streams)


@pytest.fixture(scope='module')
def alone(repository, config):
    """The checkpoint of one process on one machine."""
    folder = config.parent / 'alone'
    options = ('--work-dir', folder, '--cfg-options', 'train_dataloader.batch_size=4')
    done = start(repository, sys.executable, 'tools/train.py', config, *options)
    assert done.wait(300) == 0, done.stdout.read()[-3000:]
    return folder / 'epoch_1.pth'


@pytest.fixture
def bytes_of_gradients(config):
    weights = MODELS.build(Config.fromfile(config).model).parameters()
    return sum(weight.numel() * weight.element_size() for weight in weights if weight.requires_grad)


def test_two_machines_learn_the_same_as_one(repository, config, alone, hosts, bytes_of_gradients, tmp_path):
    where = dict(NNODES='2', MASTER_ADDR=ADDRESSES[0], PORT='29621')
    started = [
        start(
            repository,
            *('ip', 'netns', 'exec', host, 'tools/dist_train.sh', config, 1, '--work-dir', tmp_path / host),
            NODE_RANK=str(rank),
            **where,
        )
        for rank, host in enumerate(hosts)
    ]
    said = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], said[0][-3000:] + said[1][-3000:]
    assert_learned_alike(config, alone, tmp_path / hosts[0] / 'epoch_1.pth')
    assert not (tmp_path / hosts[1] / 'epoch_1.pth').exists(), 'the first machine alone writes checkpoints'
    assert all(sent(*each) > bytes_of_gradients for each in zip(hosts, ('left0', 'right0'), strict=True))


SRUN = """#!/bin/bash
# One task for each namespace in $HOSTS, with the variables that Slurm sets.
while [ "$1" != bash ]; do shift; done
export SLURM_NTASKS=2 SLURM_STEP_NUM_NODES=2 SLURM_LOCALID=0 SLURM_JOB_NODELIST='node[1-2]'
rank=0
for host in $HOSTS; do
    SLURM_PROCID=$rank SLURM_NODEID=$rank ip netns exec "$host" "$@" &
    started[rank]=$!
    rank=$((rank + 1))
done
for task in "${started[@]}"; do wait "$task" || failed=1; done
exit "${failed:-0}"
"""


def test_tasks_of_slurm_learn_the_same_as_one(repository, config, alone, hosts, bytes_of_gradients, tmp_path):
    (tmp_path / 'srun').write_text(SRUN)
    (tmp_path / 'scontrol').write_text(f'#!/bin/bash\nprintf "%s\\n" {" ".join(ADDRESSES)}\n')
    for name in ('srun', 'scontrol'):
        (tmp_path / name).chmod(0o755)
    path, sizes = f'{tmp_path}:{os.environ["PATH"]}', dict(GPUS='2', GPUS_PER_NODE='0', PORT='29622')
    command = ('tools/slurm_train.sh', 'cpu', 'clouds', config, tmp_path / 'work')
    done = start(repository, *command, PATH=path, HOSTS=' '.join(hosts), **sizes)
    said = done.communicate(timeout=300)[0]
    assert done.returncode == 0, said[-3000:]
    assert_learned_alike(config, alone, tmp_path / 'work' / 'epoch_1.pth')
    assert all(sent(*each) > bytes_of_gradients for each in zip(hosts, ('left0', 'right0'), strict=True))


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh'])
@pytest.mark.parametrize('given', [{}, dict(NODE_RANK='1'), dict(MASTER_ADDR='10.0.0.1')])
def test_several_machines_need_a_rank_and_an_address(repository, script, given):
    clean = dict(NODE_RANK='', MASTER_ADDR='', NNODES='2', PYTHON='/bin/false') | given
    done = start(repository, f'tools/{script}', 'config.py', 'checkpoint.pth', 2, **clean)
    said = done.communicate(timeout=60)[0]
    assert done.returncode == 2
    assert 'NNODES=2 needs NODE_RANK, 0 on the first machine, and MASTER_ADDR' in said


def test_the_script_hands_on_the_machines(repository, tmp_path):
    python = tmp_path / 'python'
    python.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    where = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.1', PORT='29623', PYTHON=str(python))
    done = start(repository, 'tools/dist_train.sh', 'config.py', 4, '--amp', **where)
    lines = done.communicate(timeout=60)[0].splitlines()
    assert done.returncode == 0
    wanted = {'--nnodes=2', '--node_rank=1', '--master_addr=10.0.0.1', '--master_port=29623', '--nproc_per_node=4'}
    assert wanted < set(lines)
    assert lines[-4:] == ['config.py', '--launcher', 'pytorch', '--amp']
