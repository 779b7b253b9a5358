"""What the two threads of a worker share: frames that came in, results that go out, and which task runs.

The executor holds the lock at all times except while a function runs; then the watcher may take it and do the same work. client/cpp has the same
parts under the same names.
"""

from __future__ import annotations

import os
import select
import signal
from _thread import allocate_lock, get_ident
from collections import deque

from .._wire import READ_SIZE, FrameReader, frame, match_task, read_varint, varint
from ..errors import Cancelled, Interrupted, ProtocolError, TimeLimit
from ..v1 import worker_pb2
from .outcome import CANCELLED
from .ring import ResultRing

TYPE_CHECKING = False  # typing itself is not loaded: it would be a good part of the start
if TYPE_CHECKING:
    from typing import Any, Callable

TASK_PIPE, RESULT_PIPE, LIFELINE = 3, 4, 5
VERSION = 1
# How the watcher reaches into a running function. Programs hardly use this one.
INTERRUPT = signal.SIGRTMAX - 1

# The engine sends ahead what a few milliseconds take; this is for one that does not keep to that.
_READ_AHEAD_MAX = 64 * 1024 * 1024
_TASK = 0x12
# FromWorker.bell
_BELL = frame(b"\x3a\x00")


class EngineGone(Exception):
    """The result pipe's other end is closed: nobody wants the results."""


def _seconds(duration: Any) -> float:
    return float(duration.seconds) + float(duration.nanos) / 1e9


class Exchange:
    """The state of both pipes."""

    def __init__(self, ring: ResultRing | None, on_welcome: Callable[[worker_pb2.WorkerWelcome], None]) -> None:
        self.lock = allocate_lock()
        # Frames of tasks that have not started, as they came, in order.
        self.held: deque[bytes] = deque()
        # Frames that wait to be written to the pipe, and the rest of what a write took in part.
        self._outbox: list[bytes] = []
        self._unwritten = memoryview(b"")
        # Everything added would survive this process: it is in the ring, or written.
        self.safe = True
        # Bytes in the ring that the engine was not told of.
        self.unrung = 0
        self._ring = ring
        # The pipe has ended; or a stop came: no task comes after those that are held.
        self.closed = self.stopped = False
        # Task and attempt that run, as they are written in frames.
        self.running: bytes | None = None
        # What the running function is to be interrupted with, and whether that has been done.
        self.wish: type[Interrupted] | None = None
        # How many seconds the function then has; unless its cancel says so, as the welcome did.
        self.grace: float | None = None
        self._pool_grace: float | None = None
        self.wish_granted = False
        self._on_welcome = on_welcome
        self._reader = FrameReader()
        self._read_ahead = 0
        self._main_thread = get_ident()
        self._input = select.poll()
        self._input.register(TASK_PIPE, select.POLLIN)
        self._output = select.poll()
        self._output.register(RESULT_PIPE, select.POLLOUT)
        os.set_blocking(RESULT_PIPE, False)

    # Reading.

    def wait_for_input(self) -> None:
        """For the executor when it has nothing else to do."""
        self._read_ahead = 0
        self._sort(self._read())

    def take_in(self) -> None:
        """Reads what has come in meanwhile, without waiting. Tasks are held; everything else is acted on."""
        while not self.full and self._input.poll(0):
            self.read_ahead()
            if self.closed:
                return

    def read_ahead(self) -> None:
        """One read of what is there, as the caller knows."""
        data = self._read()
        self._read_ahead += len(data)
        self._sort(data)
        if self.closed:
            # Nobody is there to be told: what has not started will be given to another worker.
            self.held.clear()

    @property
    def full(self) -> bool:
        """So much was read during one function that no more is read for now."""
        return self._read_ahead >= _READ_AHEAD_MAX

    def _read(self) -> bytes:
        data = os.read(TASK_PIPE, READ_SIZE)
        if not data:
            self.closed = True
        return data

    def _sort(self, data: bytes) -> None:
        hold = self.held.append
        for payload in self._reader.feed(data):
            if payload and payload[0] == _TASK:
                if not self.stopped:
                    hold(payload)
            else:
                self._act(payload)

    def _act(self, payload: bytes) -> None:
        message = worker_pb2.ToWorker()
        try:
            message.ParseFromString(payload)
        except Exception:
            raise ProtocolError("a frame that is no poold.v1.ToWorker") from None
        kind = message.WhichOneof("frame")
        if kind == "welcome":
            if VERSION not in message.welcome.versions:
                raise ProtocolError("a welcome without version 1")
            self._pool_grace = _seconds(message.welcome.grace) if message.welcome.HasField("grace") else None
            self._on_welcome(message.welcome)
        elif kind == "task":
            # Written in another way than the engine writes it: in the usual way, it is read again.
            self.held.append(message.SerializeToString())
        elif kind == "cancel":
            time_is_over = message.cancel.reason == worker_pb2.WorkerCancel.TIMED_OUT
            grace = _seconds(message.cancel.grace) if message.cancel.HasField("grace") else self._pool_grace
            self._cancel(numbers(message.cancel.task, message.cancel.attempt), TimeLimit if time_is_over else Cancelled, grace)
        elif kind == "return":
            self._give_back(set(getattr(message, "return").tasks))
        elif kind == "stop":
            self.stopped = True
        # A function has no process group to signal, results are not kept beyond their writing, and a later version's frames are not for us.

    def _cancel(self, ident: bytes, why: type[Interrupted], grace: float | None) -> None:
        if self.running == ident:
            self.interrupt(why, grace)
            return
        for payload in self.held:
            if ident_of(payload) == ident:
                self.held.remove(payload)
                self.add(result_frame(ident, CANCELLED))
                return

    def _give_back(self, asked: set[int]) -> None:
        kept: deque[bytes] = deque()
        answer = worker_pb2.FromWorker()
        answer.returned.SetInParent()
        for payload in self.held:
            number = read_varint(ident_of(payload), 1)[0]
            if number in asked:
                answer.returned.tasks.append(number)
            else:
                kept.append(payload)
        # In place: the executor knows the deque itself.
        self.held.clear()
        self.held.extend(kept)
        self.add(frame(answer.SerializeToString()))

    # The running function.

    def interrupt(self, wish: type[Interrupted], grace: float | None) -> None:
        """Raises this in the running function, in the main thread, if it has not ended by then. The first wish counts."""
        if self.wish is None:
            self.grace = grace  # first: the main thread may look as soon as there is a wish
            self.wish = wish
            signal.pthread_kill(self._main_thread, INTERRUPT)

    # Writing.

    def add(self, data: bytes) -> None:
        """Puts a frame into the ring, or, where that has no room, lines it up for the pipe."""
        if self._ring is not None and self.safe and self._ring.put(data):
            self.unrung += len(data)
            return
        self._ring_bell()
        self._outbox.append(data)
        self.safe = False

    def _ring_bell(self) -> None:
        if self.unrung:
            self._outbox.append(_BELL)
            self.unrung = 0

    def flush(self) -> bool:
        """Tells the engine of everything, as far as the pipe takes it. True: all of it."""
        self._ring_bell()
        while self._unwritten or self._outbox:
            if not self._unwritten:
                self._unwritten = memoryview(b"".join(self._outbox))
                self._outbox.clear()
            try:
                self._unwritten = self._unwritten[os.write(RESULT_PIPE, self._unwritten) :]
            except BlockingIOError:
                return False
            except OSError:
                raise EngineGone from None
        self.safe = True
        return True

    def flush_all(self) -> None:
        """Waits until all is written."""
        while not self.flush():
            self._output.poll()


def numbers(task: int, attempt: int) -> bytes:
    """Task and attempt as the fields 1 and 2 of every frame about an attempt."""
    return b"\x08" + varint(task) + b"\x10" + varint(attempt)


def ident_of(payload: bytes) -> bytes:
    """numbers() of a WorkerTask's frame."""
    match = match_task(payload)
    if match:
        return match[1]
    task = worker_pb2.ToWorker.FromString(payload).task
    return numbers(task.task, task.attempt)


def result_frame(ident: bytes, outcome: bytes) -> bytes:
    """A whole frame with a WorkerResult."""
    result = ident + b"\x1a" + varint(len(outcome)) + outcome
    return frame(b"\x12" + varint(len(result)) + result)
