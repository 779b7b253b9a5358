"""What of a stream's tasks outlives its connection, and how they are asked for on the next one. Frames and decisions; who connects is _traffic.py.

A task whose id is known is followed by it. One with a key whose id has not come is submitted again: the daemon knows the key, or has never got the task.
One whose submission has not left this process is sent. Nobody can say what became of the others.
"""

from __future__ import annotations

from typing import Iterator, NamedTuple, Sequence

from ._wire import HEAD_SIZE, oneof_head, read_varint, unpack_head, varint
from .errors import ConnectionLost
from .futures import CANCEL

# So long one try may wait for its turn in the daemon's backlog: it cannot be interrupted.
CONNECT_TIMEOUT_S = 1.0
# Fields of StreamSubmit.
WANT_ACCEPTED, _WANT_STARTED, _WANT_OUTPUT = b"\x18\x01", b"\x20\x01", b"\x28\x01"
# Fields of ClientFrame.
_HELLO, _SUBMIT, _FOLLOW = 1, 2, 5


class Kept:
    """What is known of an unfinished task beyond that. wishes: which frames it asked for, as fields of StreamSubmit."""

    __slots__ = ("_wishes", "tail", "attempt", "offset", "started", "cancelled", "asked_again")

    def __init__(self, wishes: bytes, tail: bytes | None) -> None:
        self._wishes = wishes
        # What follows the tag in its StreamSubmit, if it may be sent again: it has a key, and its id has not come.
        self.tail = tail
        # Where its output goes on; and the last attempt whose start was told.
        self.attempt, self.offset = 0, 0
        self.started = 0
        self.cancelled = False  # was asked for
        self.asked_again = False  # on a later connection

    @property
    def wants_output(self) -> bool:
        """Its submission gave an on_output."""
        return _WANT_OUTPUT in self._wishes

    def follow(self, tag: bytes, task_id: str) -> bytes:
        """The frame that finds it by its id, and goes on where its output was; and its cancel. It is this stream's own, as it was."""
        data = tag + b"\x12" + varint(len(task_id)) + task_id.encode()
        if _WANT_STARTED in self._wishes:
            data += b"\x18\x01"
        if self.wants_output:
            # From the first attempt on: the default would be the last one's beginning.
            data += b"\x20\x01\x28" + varint(self.attempt or 1) + b"\x30" + varint(self.offset)
        data += b"\x38\x01"
        self.asked_again = True
        return oneof_head(_FOLLOW, len(data)) + data + self._cancel(tag)

    def submit(self, tag: bytes) -> bytes:
        """The frame that submits it again; and its cancel."""
        assert self.tail is not None
        self.asked_again = True
        size = len(tag) + len(self.tail)
        return oneof_head(_SUBMIT, size) + tag + self.tail + self._cancel(tag)

    def _cancel(self, tag: bytes) -> bytes:
        return oneof_head(CANCEL, len(tag)) + tag if self.cancelled else b""


class Left(NamedTuple):
    """A frame that was not sent to its end. descriptor: what goes with it; -1: nothing, or it has gone."""

    descriptor: int
    field: int
    tag: bytes
    data: bytes

    @property
    def asks_for_a_task(self) -> bool:
        """A submission, or a follow."""
        return self.field in (_SUBMIT, _FOLLOW)


def left_over(partly: memoryview, beside: int, outbox: Sequence[bytes | int]) -> Iterator[Left]:
    """The frames of a stream that were not sent to their ends. partly: the rest of some frames; beside: what goes with their first byte."""
    whole = bytes(partly.obj)  # type: ignore[arg-type]
    yield from _frames(whole, len(whole) - len(partly), beside)
    descriptor = -1
    parts: list[bytes] = []
    for part in outbox:
        if isinstance(part, int):
            yield from _frames(b"".join(parts), 0, descriptor)
            descriptor, parts = part, []
        else:
            parts.append(part)
    yield from _frames(b"".join(parts), 0, descriptor)


def _frames(data: bytes, sent: int, descriptor: int) -> Iterator[Left]:
    at = 0
    while at < len(data):
        begin = at + HEAD_SIZE
        end = begin + unpack_head(data, at)[1]
        if end > sent:
            field = data[begin] >> 3
            tag_at = read_varint(data, begin + 1)[1]
            tag_end = read_varint(data, tag_at + 1)[1]
            if field != _HELLO:  # the next connection has its own
                yield Left(descriptor, field, data[tag_at:tag_end], data[at:end])
        descriptor = -1
        at = end


def unfindable(kept: Kept | None) -> ConnectionLost:
    """Of a task that cannot be asked for again."""
    if kept is None:
        return ConnectionLost(
            "the connection to the daemon broke before the task ended, and nothing is known by which it could be found: submit it with want_id=True, to"
            " have it found by its id, or with a key (key=...), to have it submitted again safely"
        )
    return ConnectionLost(
        "the connection to the daemon broke before the task was accepted: whether it was is not known, and without a key (key=...) it cannot be"
        " submitted again safely"
    )
