"""Which daemon has the queues and semaphores of a program: its own for all its processes, or POOLD_SOCKET's.

Not within multiprocessing/, which takes a worker a quarter of its start to load.
"""

from __future__ import annotations

import os

_socket: str | None = None


def set_home(socket: str | None) -> None:
    """In a process of the program's: the one that the program has."""
    global _socket
    _socket = socket


def home_socket() -> str | None:
    """The socket that is known so far."""
    if _socket is not None:
        return _socket
    if os.environ.get("POOLD_SOCKET"):
        return os.environ["POOLD_SOCKET"]
    from . import _private

    return _private._daemon.socket if _private._daemon is not None else None


def socket_for_new() -> str:
    """The same; the private daemon is started if there is none."""
    known = home_socket()
    if known is not None:
        return known
    from ._private import private_daemon

    return private_daemon().socket
