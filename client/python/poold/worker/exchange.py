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
from .kept import Kept, WorkerFile
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

    def __init__(self, ring: ResultRing | None, on_welcome: Callable[[worker_pb2.WorkerWelcome], None], file: WorkerFile | None = None) -> None:
        self.lock = allocate_lock()
        # What this worker introduces itself with.
        self.hello = worker_pb2.FromWorker()
        # For the next engine, if the welcome of this one said that there may be one.
        self.kept: Kept | None = None
        # Without one, this worker ends with its supervisor.
        self.file = file
        # The supervisor is gone: the running function is the last.
        self.orphaned = False
        # Free while there is an engine, or nobody waits for the next.
        self._engine_is_there = allocate_lock()
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
        if self.closed and self.kept is not None:
            return self._wait_for_engine()
        self._sort(self._read())

    def _wait_for_engine(self) -> None:
        """The watcher takes its pipes, or ends this process."""
        self._engine_is_there.acquire(False)
        self.lock.release()
        try:
            self._engine_is_there.acquire()
        finally:
            self.lock.acquire()
        self._engine_is_there.release()

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
        if self.closed and self.kept is None:
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
            if message.welcome.keep_results and self.kept is None:
                self.kept = Kept()
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
        elif kind == "ack":
            if self.kept is not None:
                for task in message.ack.tasks:
                    self.kept.acknowledge(task)
        elif kind == "stop":
            self.stopped = True
        # A function has no process group to signal, and a later version's frames are not for us.

    def _cancel(self, ident: bytes, why: type[Interrupted], grace: float | None) -> None:
        if self.running == ident:
            self.interrupt(why, grace)
            return
        for payload in self.held:
            if ident_of(payload) == ident:
                self.held.remove(payload)
                self.add_about(ident, result_frame(ident, CANCELLED), True)
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

    def add_about(self, ident: bytes, data: bytes, is_result: bool) -> None:
        """The same for the result of an attempt, or what is said about one before its result."""
        if self.kept is not None:
            self.kept.add(ident, data, is_result)
        self.add(data)

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
                if self.kept is None:
                    raise EngineGone from None
                self._drop_unwritten()  # what matters is kept for the next
        self.safe = True
        return True

    def flush_all(self) -> None:
        """Waits until all is written."""
        while not self.flush():
            self._output.poll()

    def _drop_unwritten(self) -> None:
        self._unwritten = memoryview(b"")
        self._outbox.clear()

    # When an engine or the supervisor dies. For pools on disk.

    @property
    def finished(self) -> bool:
        """Nothing comes that is to be waited for."""
        if self.kept is None:
            return self.stopped or self.closed
        return self.stopped and not self.kept

    def meet_engine(self, ring: ResultRing | None) -> None:
        """The pipes of a new engine are in place of the old one's. It is told what this worker owes."""
        self._reader = FrameReader()  # what was half read is half a frame
        self._drop_unwritten()
        self._ring = ring
        self.unrung = 0
        self.safe = True
        self.closed = False
        self.add(self._hello_again())
        for data in self.kept.frames() if self.kept is not None else ():
            self.add(data)
        if self._engine_is_there.locked():
            self._engine_is_there.release()

    def _hello_again(self) -> bytes:
        message = worker_pb2.FromWorker()
        message.CopyFrom(self.hello)
        message.hello.again = True
        owed = message.hello.owed
        owed.extend(self.kept.owed() if self.kept is not None else ())
        if self.running is not None:
            owed.append(read_varint(self.running, 1)[0])
        owed.extend(read_varint(ident_of(payload), 1)[0] for payload in self.held)
        return frame(message.SerializeToString())

    def become_orphan(self) -> bool:
        """The supervisor is gone. False: so this worker may end at once; what a later one wants to know has been written down."""
        if self.file is None or self.kept is None:
            return False
        self.held.clear()
        self.closed = self.orphaned = True
        if self.running is not None or self.kept:
            self.say_last_words()
        return self.running is not None

    def say_last_words(self) -> None:
        """What a new engine would be told goes into the worker file."""
        assert self.file is not None and self.kept is not None
        try:
            self.file.write_last_words(b"".join([self._hello_again(), *self.kept.frames()]))
        except OSError as error:
            os.write(2, f"poold.worker: what it did is lost: its worker file: {error}\n".encode())


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
