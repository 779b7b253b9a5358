"""Payloads in shared memory, in pools with `shared_memory: true`: their descriptors come and go over a socket to the engine, in datagrams that name
the attempt. What is in the memory is in ../_memory.py.
"""

from __future__ import annotations

import os
import struct

from .._wire import varint
from ..errors import ProtocolError

TYPE_CHECKING = False  # typing itself is not loaded: it would be a good part of the start
if TYPE_CHECKING:
    from typing import Callable, Sequence

    from .._memory import Buffer

VARIABLE = "POOLD_SHARED_MEMORY"
_NAME = struct.Struct("<QQ")
_RETURNED_PAYLOAD = b"\x08\x02\x32"


class SharedOutcome(bytes):
    """An outcome RETURNED whose payload is in shared memory: has to be sent with its descriptor, which it closes."""

    descriptor = -1

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


class MemorySocket:
    """The worker's end."""

    def __init__(self, descriptor: int) -> None:
        # Without what Python adds around it, for the sake of the start.
        from _socket import CMSG_SPACE, MSG_CMSG_CLOEXEC, MSG_DONTWAIT, SCM_RIGHTS, SOL_SOCKET, socket

        self._socket = socket(fileno=descriptor)
        self._space, self._flags, self._at_once = CMSG_SPACE(4), MSG_CMSG_CLOEXEC, MSG_DONTWAIT
        self._rights = SOL_SOCKET, SCM_RIGHTS

    def send(self, task: int, attempt: int, descriptor: int) -> None:
        """Before the frame with the result, whose like have been written before. OSError: the engine is gone."""
        self._socket.sendmsg([_NAME.pack(task, attempt)], [(*self._rights, struct.pack("i", descriptor))])

    def receive(self, task: int, attempt: int, size: int, flush: Callable[[], None]) -> memoryview:
        """The payload of this attempt. flush: called before it has to be waited for."""
        from .._memory import adopt

        while True:
            try:
                name, ancillary, _, _ = self._socket.recvmsg(_NAME.size, self._space, self._flags | self._at_once)
            except BlockingIOError:
                flush()
                name, ancillary, _, _ = self._socket.recvmsg(_NAME.size, self._space, self._flags)
            if not name:
                raise ProtocolError("the socket for shared memory is closed")
            descriptors = [struct.unpack("i", data[:4])[0] for _, _, data in ancillary]
            if name == _NAME.pack(task, attempt) and descriptors:
                return adopt(descriptors[0], size)
            # Of a task that was given back, or cancelled before it began.
            for descriptor in descriptors:
                os.close(descriptor)

    def close(self) -> None:
        """In a child that a function forked."""
        self._socket.close()


# The worker's own, if its pool shares memory.
active: MemorySocket | None = None


def take_memory_socket() -> None:
    """From the supervisor, if it gave one. Its descriptor and its name are not for what this worker runs."""
    global active
    descriptor = os.environ.pop(VARIABLE, "")
    if descriptor.isdigit():
        os.set_inheritable(int(descriptor), False)
        active = MemorySocket(int(descriptor))


def shared_outcome(content_type_field: bytes, parts: Sequence[Buffer]) -> SharedOutcome:
    """RETURNED with a payload of these parts. content_type_field: Payload.content_type. OSError: there is no memory."""
    from .._memory import create

    descriptor, size = create(parts)
    outcome = SharedOutcome(_RETURNED_PAYLOAD + _sized(content_type_field + b"\x18" + varint(size)))
    outcome.descriptor = descriptor
    return outcome


def _sized(payload: bytes) -> bytes:
    return varint(len(payload)) + payload
