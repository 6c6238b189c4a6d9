"""The network interface by which processes of several machines talk over gloo."""

import os
import socket
import struct
import sys
from ipaddress import ip_address

__all__ = ['choose_interface', 'interface_towards']

_SIOCGIFADDR = 0x8915  # Linux's request for the IPv4 address of an interface
_ANY_PORT = 9  # nothing is sent there


def choose_interface(machines: int) -> None:
    """Set ``GLOO_SOCKET_IFNAME`` to the interface that leads to ``MASTER_ADDR``, unless it is set.

    Left to itself, gloo takes the address that the name of the machine has. On Debian and Ubuntu that is 127.0.1.1, by
    ``/etc/hosts``, and the other machines then look for the process on themselves.

    Args:
        machines: Number of machines. For a single one nothing is set, nor on other systems than Linux.

    Raises:
        ValueError: There are several machines, and ``MASTER_ADDR`` is the address of none or of a loopback.
    """
    if machines > 1 and sys.platform == 'linux' and 'GLOO_SOCKET_IFNAME' not in os.environ:
        os.environ['GLOO_SOCKET_IFNAME'] = interface_towards(os.environ['MASTER_ADDR'])


def interface_towards(host: str) -> str:
    """Return the name of the network interface, such as ``'eth0'``, by which this machine reaches another or itself.

    Args:
        host: IPv4 address or name of a machine.

    Raises:
        ValueError: There is no way to it, or none but the loopback.
    """
    mend = 'set GLOO_SOCKET_IFNAME to the interface that joins the machines, such as eth0 (ip address lists them)'
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, _ANY_PORT))  # of a datagram socket: looks up the route, sends nothing
            address = probe.getsockname()[0]
            found = [name for _, name in socket.if_nameindex() if _address_of(name, probe) == address]
    except OSError as error:
        raise ValueError(f'MASTER_ADDR {host} cannot be reached from here: {error}; or {mend}') from error
    if ip_address(address).is_loopback:
        raise ValueError(
            f'MASTER_ADDR {host} is {address} here, where no other machine reaches it: give an address of the network '
            f'that joins the machines, or {mend}'
        )
    if not found:
        raise ValueError(f'no interface has the address {address}, by which MASTER_ADDR {host} is reached: {mend}')
    return found[0]


def _address_of(interface: str, probe: socket.socket) -> str | None:
    """Return the IPv4 address of an interface; ``None`` if it has none."""
    import fcntl  # Windows has none

    try:
        answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack('256s', interface.encode()[:15]))
    except OSError:
        return None
    return socket.inet_ntoa(answer[20:24])
