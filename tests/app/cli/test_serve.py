"""hyperbolic-seg serve, where it cannot begin; tests/web/test_page.py has the rest."""

import socket

import pytest


@pytest.mark.parametrize('host', ['0.0.0.0', '::'])
def test_it_is_not_opened_to_everybody_by_accident(command, host):
    done = command('serve', '--host', host)
    assert done.code == 2 and 'name by --allow-host' in done.err


def test_a_port_that_is_taken(command):
    with socket.create_server(('127.0.0.1', 0)) as other:
        done = command('serve', '--port', other.getsockname()[1])
    assert done.code == 2 and 'in use' in done.err
