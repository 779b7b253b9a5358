"""What a worker of a pool on disk has said and the engine has not yet acknowledged. It is said again to the next engine, or written into the worker
file when there is nobody left to say it to.

common/worker_file.hpp is the definition of that file; the supervisor opens it and writes its head.
"""

from __future__ import annotations

import os

from .._wire import read_varint

VARIABLE = "POOLD_WORKER_FILE"
_STATEMENTS_AT, _STATEMENT_SIZE, _PIECES_AT = 1024, 64, 4096


class Kept:
    """Frames in order, each with the task and the attempt it is about. Frames of an attempt that come before its result go with it."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, bool, bytes]] = []

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, ident: bytes, data: bytes, is_result: bool = True) -> None:
        """`ident` is exchange.numbers() of the attempt."""
        self._entries.append((read_varint(ident, 1)[0], is_result, data))

    def acknowledge(self, task: int) -> None:
        """The oldest result of this task. What belongs to the task's next attempt stays."""
        for index, (number, is_result, _) in enumerate(self._entries):
            if is_result and number == task:
                before = [entry for entry in self._entries[:index] if entry[0] != task]
                self._entries[: index + 1] = before
                return

    def owed(self) -> list[int]:
        """The task of each result, in order."""
        return [task for task, is_result, _ in self._entries if is_result]

    def frames(self) -> list[bytes]:
        """All, to be said again."""
        return [data for _, _, data in self._entries]


class WorkerFile:
    """Locked by this process for as long as it lives, which is how a later supervisor sees that it does."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._said = 0
        self._end = _PIECES_AT

    def write_last_words(self, words: bytes) -> None:
        """At most twice; the second time counts. On the disk when this returns. Raises OSError."""
        _write_at(self._file, words, self._end)
        os.fdatasync(self._file)
        statement = b"said %d %d %x\n" % (self._end, len(words), _hash_of(words))
        _write_at(self._file, statement, _STATEMENTS_AT + self._said * _STATEMENT_SIZE)
        os.fdatasync(self._file)
        self._said += 1
        self._end += len(words)


def take_worker_file() -> WorkerFile | None:
    """The file that the supervisor gave, if it did. Its name is not for what this worker runs."""
    descriptor = os.environ.pop(VARIABLE, "")
    if not descriptor.isdigit():
        return None
    from fcntl import LOCK_EX, LOCK_NB, lockf

    try:
        os.set_inheritable(int(descriptor), False)
        lockf(int(descriptor), LOCK_EX | LOCK_NB)
    except OSError:
        return None
    return WorkerFile(int(descriptor))


def _write_at(file: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest, offset)
        rest = rest[written:]
        offset += written


def _hash_of(data: bytes) -> int:
    """FNV-1a, in 64 bits."""
    value = 14695981039346656037
    for byte in data:
        value = (value ^ byte) * 1099511628211 & 0xFFFFFFFFFFFFFFFF
    return value
