"""Processor times of commands."""

import subprocess
import sys

import pytest


def run(repository, *arguments):
    command = [sys.executable, str(repository / 'tools' / 'benchmarks' / 'start.py'), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['sky.jpg'], 'give --model, --file or both'),
        (['sky.jpg', '--file', 'a.onnx'], 'sky.jpg is no file'),
        (['sky.jpg', '--file', 'a.onnx', '--pictures', '1'], 'at least one round and two pictures'),
    ],
)
def test_arguments_are_checked(repository, tmp_path, arguments, said):
    done = run(repository, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_command_that_fails_is_named(repository, tmp_path):
    picture = tmp_path / 'sky.png'
    picture.write_bytes(b'')
    done = run(repository, picture, '--file', tmp_path / 'none.onnx', '--rounds', 1)
    assert done.returncode == 1
    assert 'none.onnx is no file' in ' '.join(done.stderr.split())
