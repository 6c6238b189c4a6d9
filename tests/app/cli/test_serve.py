"""Errors of hyperbolic-seg serve at its start; ../web/test_page.py has the rest."""

import socket

import pytest


@pytest.mark.parametrize('host', ['0.0.0.0', '::'])
def test_listening_on_all_interfaces_needs_allow_host(command, host):
    done = command('serve', '--host', host)
    assert done.code == 2 and 'name by --allow-host' in done.err


def test_a_port_in_use_is_an_error(command):
    with socket.create_server(('127.0.0.1', 0)) as other:
        done = command('serve', '--port', other.getsockname()[1])
    assert done.code == 2 and 'in use' in done.err


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('--watched', 'none'), 'no folder none: expected the --out of hyperbolic-seg watch'),
        (('--camera', 'none.yaml'), 'no camera file none.yaml'),
        (('--threshold', '0.5'), '--threshold 0.5: expected more than 0.5'),
    ],
)
def test_wrong_arguments_end_the_command_at_its_start(command, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = command('serve', '--port', 0, *arguments)
    assert done.code == 2 and message in done.err and not list(tmp_path.iterdir())
