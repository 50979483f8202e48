"""Refuses every connection and name look-up that leaves this machine.

Python runs this file at its start when its folder is on PYTHONPATH, as it is for all
test runs and for the kernels of the notebooks under test.
"""

import socket

LOOPBACK = ("localhost", "127.", "::1")


def _check(host):
    if host is not None and not str(host).startswith(LOOPBACK):
        raise OSError(f"network use: {host}")


class Socket(socket.socket):
    """A socket that reaches this machine alone."""

    def _check(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _check(address[0])
        return address

    def connect(self, address):
        """Connect, to this machine."""
        return super().connect(self._check(address))

    def connect_ex(self, address):
        """Connect, to this machine."""
        return super().connect_ex(self._check(address))


_look_up = socket.getaddrinfo


def getaddrinfo(host, *rest, **more):
    """Look up a name of this machine."""
    _check(host)
    return _look_up(host, *rest, **more)


socket.socket, socket.getaddrinfo = Socket, getaddrinfo
