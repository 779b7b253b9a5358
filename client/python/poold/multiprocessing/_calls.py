"""Calls to the daemon's queues and semaphores from any thread, over connections that are kept.

A semaphore's permits are held by the connection that acquired them, so a connection that holds some is kept apart until they are released. When this
process ends, however it ends, the kernel closes them all, and what it held comes back.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, TypeVar

from google.protobuf.message import Message

from .._connection import Connection

M = TypeVar("M", bound=Message)


class Caller:
    """Connections of one object in one process."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._lock = threading.Lock()
        self._free: list[Connection] = []
        self._holding: list[Connection] = []
        _callers.add(self)

    def call(self, method: str, request: Message, answer: type[M]) -> M:
        """A call that holds nothing afterwards."""
        connection = self._take()
        try:
            result = self._on(connection, method, request, answer)
        except BaseException:
            self._settle(connection)
            raise
        self._settle(connection)
        return result

    def acquire(self, method: str, request: Message, answer: type[M]) -> M:
        """A call after whose success its connection holds a permit."""
        connection = self._take()
        try:
            result = self._on(connection, method, request, answer)
        except BaseException:
            self._settle(connection)
            raise
        if getattr(result, "acquired"):
            with self._lock:
                self._holding.append(connection)
        else:
            self._settle(connection)
        return result

    def release(self, method: str, request: Message, answer: type[M]) -> M:
        """A call over the connection that holds what is released, if one of this process does."""
        with self._lock:
            connection = self._holding.pop() if self._holding else None
        if connection is None:
            return self.call(method, request, answer)
        try:
            result = self._on(connection, method, request, answer)
        except BaseException:
            self._settle(connection)
            raise
        self._settle(connection)
        return result

    @staticmethod
    def _on(connection: Connection, method: str, request: Message, answer: type[M]) -> M:
        return answer.FromString(connection.call("poold.v1." + method, request.SerializeToString(), "application/proto", None))

    def _take(self) -> Connection:
        with self._lock:
            while self._free:
                connection = self._free.pop()
                if not connection.stale():
                    return connection
                connection.close()
        return Connection(self.socket)

    def _settle(self, connection: Connection) -> None:
        """An interrupted call's connection is closed: the daemon takes back what its answer would have given."""
        if connection.reusable:
            with self._lock:
                self._free.append(connection)
        else:
            connection.close()

    def forget(self) -> None:
        """In a forked child: its parent holds what these hold."""
        self._lock = threading.Lock()
        for connection in self._free + self._holding:
            connection.close()
        self._free, self._holding = [], []


_callers: weakref.WeakSet[Caller] = weakref.WeakSet()


def _forked() -> None:
    for caller in list(_callers):
        caller.forget()


os.register_at_fork(after_in_child=_forked)


def set_timeout(request: Any, timeout: float | None) -> None:
    """The field `timeout`; None: no limit."""
    if timeout is not None:
        nanoseconds = max(0, int(timeout * 1e9))
        request.timeout.seconds, request.timeout.nanos = divmod(nanoseconds, 1_000_000_000)
        request.timeout.SetInParent()
