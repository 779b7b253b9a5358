"""Memory that this worker shares with the engine, in which results outlive their worker: a ring of bytes, written here, read there.

So a worker that has finished one task can begin the next without a system call in between, and still the first task without a result is the one that
ran when it died. The pipe beside it carries the bell that says "look into the ring", and frames that do not fit. common/result_ring.hpp is the
definition.
"""

from __future__ import annotations

import os
from mmap import mmap

VARIABLE = "POOLD_RESULT_RING"
_HEAD_SIZE, _SIZE = 4096, 64 * 1024
# Two counters of bytes since the beginning, as indices of 8 bytes: written here, and taken there.
_PUT, _TAKEN = 0, 8


class ResultRing:
    """The writer's side."""

    def __init__(self, memory: mmap) -> None:
        self._memory = memory
        self._counters = memoryview(memory)[:_HEAD_SIZE].cast("Q")
        self._position = 0

    def put(self, data: bytes) -> bool:
        """False, and nothing is written, if there is no room."""
        position = self._position
        size = len(data)
        if size > _SIZE - (position - self._counters[_TAKEN]):
            return False
        at = _HEAD_SIZE + position % _SIZE
        first = _HEAD_SIZE + _SIZE - at
        if size <= first:
            self._memory[at : at + size] = data
        else:
            self._memory[at : at + first] = data[:first]
            self._memory[_HEAD_SIZE : _HEAD_SIZE + size - first] = data[first:]
        self._position = position + size
        # Seen by the engine after the bytes: this processor keeps the order of stores (see take_ring).
        self._counters[_PUT] = self._position
        return True


def take_ring() -> ResultRing | None:
    """The ring that the supervisor gave, if it did. Its descriptor and its name are not for what this worker runs."""
    descriptor = os.environ.pop(VARIABLE, "")
    return map_ring(int(descriptor)) if descriptor.isdigit() else None


def map_ring(descriptor: int) -> ResultRing | None:
    """None if it is no ring that this worker can use. The descriptor is closed."""
    try:
        # Python has no store that orders those before it; only where each does is the ring safe to use.
        if os.uname().machine == "x86_64" and os.fstat(descriptor).st_size == _HEAD_SIZE + _SIZE:
            return ResultRing(mmap(descriptor, _HEAD_SIZE + _SIZE))
        return None
    except OSError:
        return None
    finally:
        try:
            os.close(descriptor)
        except OSError:
            pass
