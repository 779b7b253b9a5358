"""Large payloads in shared memory: memfds that are sealed against any change, and mapped by whoever gets them. They have no name, so nothing is left
behind when a process dies.

A payload is bytes; or a pickle and its buffers (PEP 574), each of which is then found in the mapping itself: an array that arrives this way is
read-only. common/sealed_memory.hpp is the same for C++.
"""

from __future__ import annotations

import os
import struct
from errno import EBUSY
from fcntl import F_ADD_SEALS, F_GET_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, fcntl
from mmap import MAP_SHARED, PROT_READ, mmap
from pickle import loads
from resource import RLIMIT_NOFILE, getrlimit

from .errors import ProtocolError

TYPE_CHECKING = False  # typing itself is not loaded: it would be a good part of a worker's start
if TYPE_CHECKING:
    from typing import Any, Sequence

    Buffer = bytes | bytearray | memoryview

# Payloads above this are put into shared memory.
SHARED_FROM = 256 * 1024
_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL
# A pickle with buffers: this, how many parts there are, their sizes, and the parts. A pickle alone begins otherwise.
_MAGIC = b"poold-p5"
_ALIGNMENT = 64
_PARTS_AT_A_TIME = 512
_SEALING_TRIES = 10


def create(parts: Sequence[Buffer]) -> tuple[int, int]:
    """A new descriptor with these bytes, sealed, and how many they are. OSError: there is no memory, or no descriptor left."""
    descriptor = os.memfd_create("poold-payload", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        left = [memoryview(part).cast("B") for part in parts if len(part)]
        size = sum(map(len, left))
        while left:
            written = os.writev(descriptor, left[:_PARTS_AT_A_TIME])
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = left[0][written:]
        _seal(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, size


def _seal(descriptor: int) -> None:
    """The kernel refuses with EBUSY while something of its own (reclaim, compaction) holds a page, having waited some 100 ms for that."""
    for left in reversed(range(_SEALING_TRIES)):
        try:
            fcntl(descriptor, F_ADD_SEALS, _SEALS)
            return
        except OSError as error:
            if error.errno != EBUSY or left == 0:
                raise


class _Mapping(mmap):
    """Counts how many there are: each has a descriptor of its own."""

    count = 0

    def __new__(cls, descriptor: int, size: int) -> _Mapping:
        made = super().__new__(cls, descriptor, size, MAP_SHARED, PROT_READ)  # type: ignore[call-arg]
        _Mapping.count += 1
        return made

    def __del__(self) -> None:
        _Mapping.count -= 1


def adopt(descriptor: int, size: int) -> memoryview:
    """The bytes behind this descriptor, which is closed. They stay as long as something refers to them. ProtocolError: it is not what was announced."""
    try:
        if fcntl(descriptor, F_GET_SEALS) & _SEALS != _SEALS or os.fstat(descriptor).st_size != size or size == 0:
            raise ProtocolError(f"what came is no sealed memory of {size} bytes")
        # A program with thousands of results at a time has its own use for descriptors.
        if _Mapping.count < getrlimit(RLIMIT_NOFILE)[0] // 2:
            return memoryview(_Mapping(descriptor, size))
        return _copied(descriptor, size)
    except OSError as error:
        raise ProtocolError(f"what came is no sealed memory: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _copied(descriptor: int, size: int) -> memoryview:
    data = bytearray(size)
    have = 0
    while have < size:
        have += os.preadv(descriptor, [memoryview(data)[have:]], have)
    return memoryview(data).toreadonly()


def pack(pickled: bytes, buffers: Sequence[Any]) -> list[Buffer]:
    """The parts of a payload from which unpickle() makes the value again. buffers: PickleBuffers, as pickle gave them."""
    if not buffers:
        return [pickled]
    parts: list[Buffer] = [pickled, *(buffer.raw() for buffer in buffers)]
    packed: list[Buffer] = [_MAGIC + struct.pack(f"<{1 + len(parts)}Q", len(parts), *map(len, parts))]
    at = len(packed[0])
    for part in parts:
        padding = -at % _ALIGNMENT
        packed += (bytes(padding), part)
        at += padding + len(part)
    return packed


def unpickle(data: bytes | memoryview) -> Any:
    """The value that was packed, whose buffers are the payload's own memory. Raises what pickle raises."""
    view = memoryview(data)
    if view[:8] != _MAGIC:
        return loads(view)
    (count,) = struct.unpack_from("<Q", view, 8)
    sizes = struct.unpack_from(f"<{count}Q", view, 16)
    at = 16 + 8 * count
    parts = []
    for size in sizes:
        at += -at % _ALIGNMENT
        parts.append(view[at : at + size])
        at += size
    return loads(parts[0], buffers=parts[1:])


def size_of(buffers: Sequence[Any]) -> int:
    """Of all together."""
    return sum(len(buffer.raw()) for buffer in buffers)
