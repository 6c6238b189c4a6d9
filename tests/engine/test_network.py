"""The interface of gloo."""

import socket
import sys

import pytest

from hyperbolic_seg.engine.network import choose_interface, interface_towards

psutil = pytest.importorskip('psutil')
pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='the interface is chosen on Linux alone')


def own_addresses():
    """IPv4 addresses of this machine by the interface, as psutil finds them; none of the loopback."""
    found = [(name, each) for name, addresses in psutil.net_if_addrs().items() for each in addresses]
    pairs = [(name, each.address) for name, each in found if each.family == socket.AF_INET]
    return [(name, address) for name, address in pairs if not address.startswith('127.')]


def test_the_interface_is_the_one_that_has_the_address():
    if not (addresses := own_addresses()):
        pytest.skip('this machine has no network but the loopback')
    interfaces = {address: name for name, address in addresses}
    first = {name: address for name, address in reversed(addresses)}  # further ones of an interface have no name
    for name, address in first.items():
        assert interface_towards(address) == interfaces[address] == name


def test_a_loopback_is_refused():
    with pytest.raises(ValueError, match=r'MASTER_ADDR 127\.0\.1\.1 is 127\.\d\.\d\.1 here, where no other machine'):
        interface_towards('127.0.1.1')
    with pytest.raises(ValueError, match=r'localhost is 127.* set GLOO_SOCKET_IFNAME'):
        interface_towards('localhost')


def test_an_unknown_machine_is_refused():
    with pytest.raises(ValueError, match=r'MASTER_ADDR no-such-machine\.invalid cannot be reached from here'):
        interface_towards('no-such-machine.invalid')


def test_what_is_set_stays_and_one_machine_needs_nothing(monkeypatch):
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    monkeypatch.delenv('GLOO_SOCKET_IFNAME', raising=False)
    choose_interface(1)
    with pytest.raises(ValueError, match='no other machine reaches it'):
        choose_interface(2)
    monkeypatch.setenv('GLOO_SOCKET_IFNAME', 'eth7')
    choose_interface(2)
