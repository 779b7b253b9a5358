"""What goes over a stream's connection, and who does it.

Submissions gather and travel together. One thread of the stream's own reads, and writes what submitters have left; a submitter writes by itself
when nothing else is unfinished (a lone task should not wait for a thread to wake), when much has gathered, and before it waits for a result. The
frames are those of common/proto/poold/v1/stream.proto. What users see of this is in stream.py and futures.py.
"""

from __future__ import annotations

import atexit
import os
import re
import select
import socket
import struct
import weakref
from collections import deque
from threading import Condition, Lock, Thread, current_thread
from typing import Any, Callable, TypeVar

from . import _memory
from ._connection import Connection
from ._wire import VARINT, FrameReader, frame, oneof_head, oneof_heads, read_varint, varint
from .errors import CallError, ConnectionLost, PooldError, ProtocolError, Unavailable, call_error
from .futures import Future, SharedResult, run_callback
from .spec import SharedTail, TaskSpec
from .tasks import Placement, chunk_from
from .v1 import stream_pb2, task_pb2

VERSION = 1
F = TypeVar("F", bound=Future)
# A submitter writes by itself when so much has gathered, and waits while so much is unsent: the daemon is slower than it is.
_SEND_AT = 64 * 1024
_UNSENT_MAX = 4 * 1024 * 1024
_READ_SIZE = 256 * 1024
# So many are lined up at a time: results are taken in between.
_BATCH = 256
# So much may be in shared memory at a time, on its way there: then a submitter waits for results.
_SHARED_BYTES_MAX, _SHARED_COUNT_MAX = 256 * 1024 * 1024, 256
# Descriptors with one read.
_DESCRIPTORS_SIZE = socket.CMSG_SPACE(4 * 4)
# How long a program's end may wait for the daemon.
_LAST_WORDS_S = 5.0
_HEADS = oneof_heads(2, 1024)
# ServerFrame.result with tag, attempt, and the length of the outcome, as the daemon writes them.
match_result = re.compile(rb"\x32" + VARINT + rb"(\x08" + VARINT + rb")\x10(" + VARINT + rb")\x1a(" + VARINT + rb")", re.DOTALL).match


class Traffic:
    """A connection after its upgrade, the table of what is unfinished, and the thread."""

    def __init__(self, path: str, *, cancel_on_close: bool = False) -> None:
        self.lock = Lock()
        self._room = Condition(self.lock)  # unsent bytes have gone, or the stream broke
        self._idle = Condition(self.lock)  # nothing is unfinished
        self._connection = Connection(path)
        self._socket = self._connection.socket
        self._reader = FrameReader()
        self._outbox: list[bytes | int] = []
        self._unsent = 0  # bytes
        # The rest of what a write took in part.
        self._partly = memoryview(b"")
        # The descriptor that goes with the next byte that is written; in the outbox one stands before its frame.
        self._beside = -1
        self._descriptors = 0  # in the outbox
        # Whether the daemon takes shared memory; None: it has not said hello yet.
        self._shares: bool | None = None
        # What unfinished tasks have in shared memory, by tag; and what has come for results that have not.
        self._shared: dict[bytes, int] = {}
        self._shared_bytes = 0
        self._received: deque[int] = deque()
        self._pending: dict[bytes, Future] = {}
        # Tags of ended tasks, to be used again; as they are written in frames.
        self._free: list[bytes] = []
        self._tags = 0
        self._sleeping = False  # the thread is in poll, or about to be
        self._closing = False
        self._broken: PooldError | None = None
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            early = self._connection.upgrade()
        except BaseException:
            self._connection.close()
            os.close(self._wake)
            raise
        hello = stream_pb2.ClientFrame()
        hello.hello.versions.append(VERSION)
        hello.hello.cancel_on_close = cancel_on_close
        hello.hello.agent = "poold-python"
        hello.hello.shared_memory = True
        first = frame(hello.SerializeToString())
        self._outbox.append(first)
        self._unsent = len(first)
        self._thread = Thread(target=self._run, args=(early,), name="poold-stream", daemon=True)
        _streams.add(self)
        self._thread.start()

    def submit_spec(self, spec: TaskSpec, wishes: bytes = b"", on_started: Any = None, on_output: Any = None) -> Future:
        """submit(), for work that is encoded already: the quickest way in. wishes: fields of StreamSubmit, encoded."""
        if spec.shared is not None:
            return self._submit_shared(spec.shared, Future, wishes, on_started, on_output)
        tail = spec.tail + wishes if wishes else spec.tail
        with self.lock:
            if self._unsent > _UNSENT_MAX:
                self._wait_for_room()
            if self._broken is not None:
                raise self._broken
            tag = self._free.pop() if self._free else self._new_tag()
            size = len(tag) + len(tail)
            head = _HEADS[size] if size < 1024 else oneof_head(2, size)
            self._pending[tag] = future = Future(self, tag)
            if wishes:
                future.on_started, future.on_output = on_started, on_output
            self._outbox += (head, tag, tail)
            self._unsent += len(head) + size
            if self._unsent >= _SEND_AT or len(self._pending) == 1:
                self._send()
            if self._sleeping and self._unsent > 0:
                self._wake_thread()
        return future

    def submit_tail(self, tail: bytes | SharedTail, make: type[F]) -> F:
        """The same for a StreamSubmit.task, encoded, with a future of the caller's kind."""
        if type(tail) is SharedTail:
            return self._submit_shared(tail, make)
        assert type(tail) is bytes
        with self.lock:
            if self._unsent > _UNSENT_MAX:
                self._wait_for_room()
            if self._broken is not None:
                raise self._broken
            return self._line_up(tail, make)

    def submit_tails(self, make: type[F], tails: list[bytes]) -> list[F]:
        """Many of them."""
        futures: list[F] = []
        free = self._free
        for start in range(0, len(tails), _BATCH):
            with self.lock:
                if self._unsent > _UNSENT_MAX:
                    self._wait_for_room()
                if self._broken is not None:
                    raise self._broken
                for tail in tails[start : start + _BATCH]:
                    tag = free.pop() if free else self._new_tag()
                    size = len(tag) + len(tail)
                    head = _HEADS[size] if size < 1024 else oneof_head(2, size)
                    self._pending[tag] = future = make(self, tag)
                    futures.append(future)
                    self._outbox += (head, tag, tail)
                    self._unsent += len(head) + size
                self._send()
                if self._sleeping and self._unsent > 0:
                    self._wake_thread()
        return futures

    def _line_up(self, tail: bytes, make: type[F]) -> F:
        tag = self._free.pop() if self._free else self._new_tag()
        size = len(tag) + len(tail)
        head = _HEADS[size] if size < 1024 else oneof_head(2, size)
        self._pending[tag] = future = make(self, tag)
        self._outbox += (head, tag, tail)
        self._unsent += len(head) + size
        if self._unsent >= _SEND_AT or len(self._pending) == 1:
            self._send()
        if self._sleeping and self._unsent > 0:
            self._wake_thread()
        return future

    def connected(self) -> bool:
        """The connection has not broken, as far as is known."""
        return self._broken is None and not self._closing

    def _submit_shared(self, tail: SharedTail, make: type[F], wishes: bytes = b"", on_started: Any = None, on_output: Any = None) -> F:
        """A task whose payload travels in shared memory; in the frame, where the daemon is one that does not know that."""
        descriptor, size = -1, tail.size
        with self.lock:
            if self._broken is None and self._shares is None:
                self._room.wait_for(lambda: self._shares is not None or self._broken is not None)
            while self._shares and self._shared and self._broken is None and current_thread() is not self._thread:
                if self._shared_bytes + size <= _SHARED_BYTES_MAX and len(self._shared) < _SHARED_COUNT_MAX:
                    break
                self._send()
                self._room.wait()
            shares = self._shares
        if shares:
            descriptor, size = _memory.create(tail.parts)
        try:
            with self.lock:
                if self._broken is not None:
                    raise self._broken
                tag = self._free.pop() if self._free else self._new_tag()
                data = tag + (tail.announcing(size) if shares else tail.carrying()) + wishes
                head = oneof_head(2, len(data))
                self._pending[tag] = future = make(self, tag)
                if wishes:
                    future.on_started, future.on_output = on_started, on_output
                if shares:
                    self._outbox.append(descriptor)
                    self._descriptors += 1
                    descriptor = -1
                    self._shared[tag] = size
                    self._shared_bytes += size
                self._outbox += (head, data)
                self._unsent += len(head) + len(data)
                self._send()
                if self._sleeping and self._unsent > 0:
                    self._wake_thread()
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return future

    def wait_idle(self) -> None:
        """Until nothing is unfinished."""
        with self.lock:
            self._send()
            self._idle.wait_for(lambda: not self._pending)

    def before_waiting(self, future: Future, new_lock: Callable[[], Any]) -> Any:
        """A lock that will be released when this future is done; None: it is."""
        with self.lock:
            if future.done():
                return None
            if self._outbox:
                self._send()
            waiter = new_lock()
            waiter.acquire()
            if future._waiters is None:
                future._waiters = []
            future._waiters.append(waiter)
            return waiter

    def ask(self, future: Future, field: int, more: bytes = b"") -> bool:
        """Sends a frame about an unfinished task. False: it has ended. Takes the lock by itself."""
        with self.lock:
            if future.done() or self._broken is not None:
                return False
            data = future._tag + more
            data = oneof_head(field, len(data)) + data
            self._outbox.append(data)
            self._unsent += len(data)
            self._send()
            return True

    def close(self, timeout: float | None = None) -> None:
        """Sends what was submitted and closes. What is unfinished goes on in the daemon (unless cancel_on_close), and fails here with
        ConnectionLost. timeout: seconds that the daemon has to take what was submitted; then the rest is lost."""
        with self.lock:
            self._closing = True
            if self._broken is None:
                self._wake_thread()
        if current_thread() is not self._thread:
            self._thread.join(timeout)

    def abandon(self) -> None:
        """close() without waiting."""
        with self.lock:
            self._closing = True
            if self._broken is None:
                self._wake_thread()

    # Sending. All with the lock held.

    def _wake_thread(self) -> None:
        self._sleeping = False
        os.eventfd_write(self._wake, 1)

    def _new_tag(self) -> bytes:
        self._tags += 1
        return b"\x08" + varint(self._tags)

    def _wait_for_room(self) -> None:
        if current_thread() is self._thread:
            return  # a callback: this very thread makes the room
        self._send()
        self._room.wait_for(lambda: self._unsent <= _UNSENT_MAX or self._broken is not None)

    def _send(self) -> None:
        """Writes what the socket takes."""
        if self._broken is not None:
            return
        while self._partly or self._outbox:
            if not self._partly:
                if self._descriptors:
                    self._partly = self._next_part()
                else:
                    self._partly = memoryview(b"".join(self._outbox))  # type: ignore[arg-type]
                    self._outbox.clear()
            try:
                if self._beside < 0:
                    sent = self._socket.send(self._partly)
                else:
                    sent = self._socket.sendmsg([self._partly], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", self._beside))])
            except BlockingIOError:
                return
            except OSError:
                sent = len(self._partly)  # the daemon has hung up, which the read will notice, and perhaps why
            if self._beside >= 0:
                os.close(self._beside)
                self._beside = -1
            self._partly = self._partly[sent:]
            self._unsent -= sent

    def _next_part(self) -> memoryview:
        """What stands in the outbox before the next descriptor; or behind one, which goes with it."""
        outbox = self._outbox
        if isinstance(outbox[0], int):
            self._beside = outbox.pop(0)  # type: ignore[assignment]
            self._descriptors -= 1
        count = next((index for index, part in enumerate(outbox) if isinstance(part, int)), len(outbox))
        part = memoryview(b"".join(outbox[:count]))  # type: ignore[arg-type]
        del outbox[:count]
        return part

    # The stream's thread.

    def _run(self, early: bytes) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._socket, select.POLLIN)
        try:
            self._deliver(self._reader.feed(early))
            while True:
                self._sleep(poll)
                self._receive()
        except PooldError as error:
            self._fail(error)
        except BaseException as error:  # a defect of ours must not leave anybody waiting
            self._fail(ConnectionLost(f"the stream failed: {error!r}"))
            raise

    def _sleep(self, poll: select.poll) -> None:
        """Writes what it can and waits for something to do."""
        with self.lock:
            self._send()
            if self._closing and not self._unsent:
                # Only our half, and results are read on until the daemon has closed its own: a socket that is closed with something
                # unread in it is reset, and the daemon would lose what it had not read.
                try:
                    self._socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # the daemon has hung up; the read will notice
            poll.modify(self._socket, select.POLLIN | select.POLLOUT if self._unsent else select.POLLIN)
            if self._unsent <= _UNSENT_MAX // 2:
                self._room.notify_all()
            self._sleeping = True
        ready = poll.poll()
        self._sleeping = False
        if ready[0][0] == self._wake:
            os.eventfd_read(self._wake)

    def _receive(self) -> None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(_READ_SIZE, _DESCRIPTORS_SIZE, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        for _, _, descriptors in ancillary:
            self._received.extend(struct.unpack(f"{len(descriptors) // 4}i", descriptors))
        if not data:
            raise ConnectionLost(f"the {'stream was closed' if self._closing else 'connection to the daemon broke'} before the task ended")
        self._deliver(self._reader.feed(data))

    def _deliver(self, payloads: list[bytes]) -> None:
        pending, free = self._pending, self._free
        done: list[Future] = []
        output: list[tuple[Any, ...]] = []
        with self.lock:
            sharing = bool(self._shared or self._received)
            for payload in payloads:
                match = match_result(payload)
                if match is None or read_varint(match[3], 0)[0] != len(payload) - match.end():
                    self._take_other(payload, done, output)
                    continue
                tag = match[1]
                future = pending.pop(tag, None)
                if future is None:
                    continue
                free.append(tag)
                future._attempt = match[2]
                outcome = payload[match.end() :]
                future._bytes = self._settle_shared(tag, outcome) if sharing else outcome
                if future._waiters is not None:
                    for waiter in future._waiters:
                        waiter.release()
                if future._callbacks is not None:
                    done.append(future)
            if self._outbox:
                self._send()
            if not pending:
                self._idle.notify_all()
        for call in output:
            run_callback(*call)
        for future in done:
            for callback in future._callbacks or ():
                run_callback(callback, future)

    def _settle_shared(self, tag: bytes, outcome: bytes = b"") -> bytes:
        """What a task had in shared memory is free, as far as this process is concerned; and what its outcome has there is with it."""
        size = self._shared.pop(tag, 0)
        if size:
            self._shared_bytes -= size
            self._room.notify_all()
        if self._received and outcome:
            size = task_pb2.Outcome.FromString(outcome).payload.shared_size
            if size:
                return SharedResult.of(outcome, _memory.adopt(self._received.popleft(), size))
        return outcome

    def _take_other(self, payload: bytes, done: list[Future], output: list[tuple[Any, ...]]) -> None:
        try:
            message = stream_pb2.ServerFrame.FromString(payload)
        except Exception:
            raise ProtocolError("the daemon sent a frame that is no poold.v1.ServerFrame") from None
        kind = message.WhichOneof("frame")
        if kind == "error":
            raise ConnectionLost(f"the daemon closed the stream: {message.error.message}", message.error.code)
        if kind == "hello" and VERSION not in message.hello.versions:
            raise ProtocolError("the daemon does not speak version 1 of streams")
        if kind == "hello":
            self._shares = message.hello.shared_memory
            self._room.notify_all()
        if kind in (None, "hello", "progress"):
            return
        body = getattr(message, kind)
        tag = b"\x08" + varint(body.tag)
        future = self._pending.get(tag)
        if future is None:
            return
        if kind == "accepted":
            future.id = body.id
        elif kind == "started":
            place = body.placement
            output.append((future.on_started, body.attempt, Placement(place.slot, place.generation, place.pid)))
        elif kind == "output":
            output.append((future.on_output, chunk_from(body.chunk, body.attempt, body.next_offset)))
        else:
            if kind == "rejected":
                self._settle_shared(tag)
                future._error = call_error(body.code, body.message)
            else:
                future._attempt = varint(body.attempt)
                future._bytes = self._settle_shared(tag, body.outcome.SerializeToString())
            del self._pending[tag]
            self._free.append(tag)
            done.append(future)
            for waiter in future._waiters or ():
                waiter.release()

    def _fail(self, error: PooldError) -> None:
        """Nothing more will come."""
        if not isinstance(error, CallError):
            error = ConnectionLost(str(error))
        with self.lock:
            self._broken = error
            self._connection.close()
            os.close(self._wake)
            lost = list(self._pending.values())
            self._pending.clear()
            self._close_descriptors()
            for future in lost:
                future._error = error
                for waiter in future._waiters or ():
                    waiter.release()
            self._room.notify_all()
            self._idle.notify_all()
        for future in lost:
            for callback in future._callbacks or ():
                run_callback(callback, future)

    def _close_descriptors(self) -> None:
        """Those that nobody will get."""
        for descriptor in [part for part in self._outbox if isinstance(part, int)] + list(self._received) + [self._beside]:
            if descriptor >= 0:
                os.close(descriptor)
        self._outbox.clear()
        self._received.clear()
        self._descriptors, self._beside = 0, -1

    def _after_fork(self) -> None:
        """In a child, which has not got the thread: it must not use the parent's connection."""
        self.lock = Lock()
        if self._broken is None:
            self._connection.close()
            os.close(self._wake)
            self._close_descriptors()
        self._broken = Unavailable("a stream cannot be used after a fork: open another one")


_streams: weakref.WeakSet[Traffic] = weakref.WeakSet()


def _mark_forked() -> None:
    for stream in list(_streams):
        stream._after_fork()


os.register_at_fork(after_in_child=_mark_forked)


@atexit.register
def _send_the_rest() -> None:
    """What was submitted is sent, also by a program that ends without closing its streams."""
    for stream in list(_streams):
        stream.close(_LAST_WORDS_S)
