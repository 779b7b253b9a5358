"""Writes the log of one attempt's output. The daemon reads it while it grows.

A file of records: one byte of stream (1 stdout, 2 stderr, 3 mark), a big-endian u32 length, the data. No record crosses a boundary of 64 KiB, so
that a reader can begin at any of them; a zero where a stream byte should be pads to it. A mark's data is a big-endian u64: so many bytes of
output were dropped here. A log keeps its first and its last half: chunks of the middle are given back to the file system as a hole, so that
offsets keep their meaning. common/attempt_log.hpp is the definition.
"""

from __future__ import annotations

import os
import struct

STDOUT, STDERR, _MARK = 1, 2, 3
_CHUNK = 64 * 1024
_HEAD = struct.Struct(">BI")
# Below this the last part would be less than a piece and two chunk boundaries.
_TAIL_MIN = 3 * _CHUNK
# Kept free for the mark at the end.
_MARK_ROOM = 2 * _HEAD.size + 8

_KEEP_SIZE, _PUNCH_HOLE = 1, 2


def _chunk_start(offset: int) -> int:
    return offset // _CHUNK * _CHUNK


def punch_hole(file: int, offset: int, size: int) -> bool:
    """Gives this part of a file back to the file system; its size stays. False: this file system makes no holes."""
    try:
        from ctypes import CDLL, c_int, c_int64
    except ImportError:
        return False
    libc = CDLL(None)
    return bool(libc.fallocate64(c_int(file), c_int(_PUNCH_HOLE | _KEEP_SIZE), c_int64(offset), c_int64(size)) == 0)


class AttemptLog:
    """Never fails its caller: what cannot be written is counted as dropped."""

    def __init__(self, directory: str, task_id: str, attempt: int, size_max: int) -> None:
        """Makes the file. At most `size_max` bytes are kept on disk; below 384 KiB, or where there are no holes, these are the first ones."""
        self._size_max = max(0, size_max - _MARK_ROOM)
        self._head = _chunk_start(size_max // 2)
        if self._size_max < self._head + _TAIL_MIN:
            self._head = self._size_max
        self._hole_end = self._head
        self._end = 0
        self._dropped = 0
        self._full = False
        path = f"{directory}/{task_id}.{attempt}.log"
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            self._file = -1
            self._full = True

    @property
    def exists(self) -> bool:
        """The file could be made."""
        return self._file >= 0

    def append(self, stream: int, data: bytes) -> None:
        """Adds output of one stream."""
        for start in range(0, len(data), _CHUNK):
            self._write_piece(stream, data[start : start + _CHUNK])

    def _write_piece(self, stream: int, piece: bytes) -> None:
        if not self._full:
            records = self._records(stream, piece)
            if self._make_room(self._end + len(records)) and self._write(records):
                self._end += len(records)
                return
            self._full = True
        self._dropped += len(piece)

    def _records(self, stream: int, data: bytes) -> bytes:
        """The data as records that begin at the file's end."""
        parts = []
        at, end = 0, self._end
        while at < len(data):
            room = _CHUNK - end % _CHUNK
            if room <= _HEAD.size:
                parts.append(bytes(room))
                end += room
                room = _CHUNK
            piece = data[at : at + room - _HEAD.size]
            parts.append(_HEAD.pack(stream, len(piece)))
            parts.append(piece)
            at += len(piece)
            end += _HEAD.size + len(piece)
        return b"".join(parts)

    def _write(self, records: bytes) -> bool:
        try:
            if os.pwrite(self._file, records, self._end) == len(records):
                return True
        except OSError:
            pass
        # Half a record would swallow the mark that comes after it.
        try:
            os.ftruncate(self._file, self._end)
        except OSError:
            pass
        return False

    def _make_room(self, new_end: int) -> bool:
        if new_end <= self._size_max:
            return True
        if self._head == self._size_max:
            return False
        wanted = _chunk_start(new_end - (self._size_max - self._head) + _CHUNK - 1)
        if wanted > self._hole_end:
            if not punch_hole(self._file, self._hole_end, wanted - self._hole_end):
                return False
            self._hole_end = wanted
        return True

    def finish(self) -> None:
        """No more output will come. If some was dropped at the end, leaves a mark there."""
        if self._file < 0:
            return
        if self._dropped:
            self._write(self._records(_MARK, self._dropped.to_bytes(8, "big")))
        os.close(self._file)
        self._file = -1
