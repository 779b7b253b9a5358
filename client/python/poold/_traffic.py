"""What goes over a stream's connection, and who does it.

Submissions gather and travel together. One thread of the stream's own reads, and writes what submitters have left; a submitter writes by itself
when nothing else is unfinished (a lone task should not wait for a thread to wake), when much has gathered, and before it waits for a result. The
frames are those of common/proto/poold/v1/stream.proto. What users see of this is in stream.py and futures.py; what becomes of tasks when the
connection breaks is decided in _return.py.
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
from time import monotonic
from typing import Any, Callable, TypeVar

from . import _memory
from ._connection import Connection
from ._outage import Outage, forgotten
from ._return import CONNECT_TIMEOUT_S, WANT_ACCEPTED, Kept, Left, left_over, unfindable
from ._wire import VARINT, FrameReader, frame, oneof_head, oneof_heads, read_varint, varint
from .errors import CallError, ConnectionLost, DeadlineExceeded, PooldError, ProtocolError, ResourceExhausted, Unavailable, call_error
from .futures import CANCEL, Future, SharedResult, run_callback
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
# ServerFrame.accepted of a new task: tag and id.
match_accepted = re.compile(rb"\x12" + VARINT + rb"(\x08" + VARINT + rb")\x12\x24(.{36})", re.DOTALL).fullmatch


class Traffic:
    """A connection after its upgrade, the table of what is unfinished, and the thread.

    reconnect: how many seconds the daemon may be away when the connection breaks; 0: what is unfinished fails at once.
    """

    def __init__(self, path: str, *, cancel_on_close: bool = False, reconnect: float = 0.0) -> None:
        self.lock = Lock()
        self._room = Condition(self.lock)  # unsent bytes have gone, or the stream broke
        self._idle = Condition(self.lock)  # nothing is unfinished
        self._path = path
        self._cancel_on_close = cancel_on_close
        self._reconnect_s = reconnect
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
        # By tag, of those for whom more is to be known than that they are unfinished.
        self._kept: dict[bytes, Kept] = {}
        # While there is no connection: those that are asked for again on the next one.
        self._returning: list[bytes] = []
        # Tags of ended tasks, to be used again; as they are written in frames.
        self._free: list[bytes] = []
        self._tags = 0
        self._sleeping = False  # the thread is in poll, or about to be
        self._away = False  # the connection has broken, and another is being made
        self._closing = False
        self._broken: PooldError | None = None
        # Nothing can be written: there is no connection, or the daemon has hung up, which the read will notice, and perhaps why.
        self._mute = False
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
        self._hello = frame(hello.SerializeToString())
        self._outbox.append(self._hello)
        self._unsent = len(self._hello)
        self._thread = Thread(target=self._run, args=(early,), name="poold-stream", daemon=True)
        _streams.add(self)
        self._thread.start()

    def submit_spec(self, spec: TaskSpec, wishes: bytes = b"", on_started: Any = None, on_output: Any = None) -> Future:
        """submit(), for work that is encoded already: the quickest way in. wishes: fields of StreamSubmit, encoded."""
        if wishes or spec.special is not None:
            return self._submit_special(spec, wishes, on_started, on_output)
        tail = spec.tail
        with self.lock:
            if self._unsent > _UNSENT_MAX:
                self._wait_for_room()
            if self._broken is not None:
                raise self._broken
            tag = self._free.pop() if self._free else self._new_tag()
            size = len(tag) + len(tail)
            head = _HEADS[size] if size < 1024 else oneof_head(2, size)
            self._pending[tag] = future = Future(self, tag)
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

    def _submit_special(self, spec: TaskSpec, wishes: bytes, on_started: Any, on_output: Any) -> Future:
        """One with a key, with wishes, or with a payload that travels apart."""
        if self._reconnect_s and not wishes.startswith(WANT_ACCEPTED) and (wishes or spec.has_key):
            wishes = WANT_ACCEPTED + wishes  # by its id it is found again
        if isinstance(spec.special, SharedTail):
            return self._submit_shared(spec.special, Future, wishes, on_started, on_output)
        tail = spec.tail + wishes
        with self.lock:
            if self._unsent > _UNSENT_MAX:
                self._wait_for_room()
            if self._broken is not None:
                raise self._broken
            future = self._line_up(tail, Future)
            future.on_started, future.on_output = on_started, on_output
            self._kept[future._tag] = Kept(wishes, tail if spec.has_key and self._reconnect_s else None)
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
                    self._kept[tag] = Kept(wishes, None)
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
            if field == CANCEL and (kept := self._kept.get(future._tag)) is not None:
                kept.cancelled = True
            data = future._tag + more
            data = oneof_head(field, len(data)) + data
            self._outbox.append(data)
            self._unsent += len(data)
            self._send()
            return True

    def close(self, timeout: float | None = None) -> None:
        """Sends what was submitted and closes. What is unfinished goes on in the daemon (unless cancel_on_close), and fails here with
        ConnectionLost. timeout: seconds that the daemon has to take what was submitted; then the rest is lost, as it is at once where the connection has
        broken and there is no other yet."""
        self.abandon()
        if current_thread() is not self._thread:
            self._thread.join(timeout)

    def abandon(self) -> None:
        """close() without waiting."""
        with self.lock:
            self._closing = True
            if self._broken is not None:
                return
            self._wake_thread()
            if self._away:
                self._connection.shut_down()  # on which the thread may wait for an answer

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
        if self._mute:
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
                self._mute = True
                return
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
        try:
            outage = Outage(self._reconnect_s)
            while True:
                connected_at = monotonic()
                if self._attend(early):
                    outage.begin()
                else:
                    outage.again(connected_at)
                early = self._come_back(outage)
        except PooldError as error:
            self._fail(error)
        except BaseException as error:  # a defect of ours must not leave anybody waiting
            self._fail(ConnectionLost(f"the stream failed: {error!r}"))
            raise

    def _attend(self, early: bytes) -> bool:
        """Until the connection breaks. Whether it was of any use."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._socket, select.POLLIN)
        useful = False
        self._deliver(self._reader.feed(early))
        while True:
            self._sleep(poll)
            data = self._receive()
            if data is None:
                continue
            if not data:
                return useful
            useful = True
            self._deliver(self._reader.feed(data))

    def _sleep(self, poll: select.poll) -> None:
        """Writes what it can and waits for something to do."""
        with self.lock:
            self._send()
            if self._closing and not self._unsent and not self._mute:
                # Only our half, and results are read on until the daemon has closed its own: a socket that is closed with something
                # unread in it is reset, and the daemon would lose what it had not read.
                try:
                    self._socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # the daemon has hung up; the read will notice
            poll.modify(self._socket, select.POLLIN | select.POLLOUT if self._unsent and not self._mute else select.POLLIN)
            if self._unsent <= _UNSENT_MAX // 2:
                self._room.notify_all()
            self._sleeping = True
        ready = poll.poll()
        self._sleeping = False
        if ready[0][0] == self._wake:
            os.eventfd_read(self._wake)

    def _receive(self) -> bytes | None:
        """What there is; None: nothing yet; nothing at all: the connection has broken."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(_READ_SIZE, _DESCRIPTORS_SIZE, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        for _, _, descriptors in ancillary:
            self._received.extend(struct.unpack(f"{len(descriptors) // 4}i", descriptors))
        return data

    def _deliver(self, payloads: list[bytes]) -> None:
        pending, free = self._pending, self._free
        done: list[Future] = []
        output: list[tuple[Any, ...]] = []
        with self.lock:
            settling = bool(self._shared or self._received or self._kept)
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
                future._bytes = self._settle(tag, outcome) if settling else outcome
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

    def _settle(self, tag: bytes, outcome: bytes = b"") -> bytes:
        """What a task had in shared memory is free, as far as this process is concerned; and what its outcome has there is with it."""
        self._kept.pop(tag, None)
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
        match = match_accepted(payload)
        if match is not None:
            future = self._pending.get(match[1])
            if future is not None:
                self._accept(future, str(match[2], "ascii"), False)
            return
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
        kept = self._kept.get(tag)
        if kind == "accepted":
            self._accept(future, body.id, body.duplicate)
        elif kind == "started":
            # A task that is followed tells again of the attempt that runs.
            if kept is not None and kept.started < body.attempt:
                kept.started = body.attempt
                place = body.placement
                output.append((future.on_started, body.attempt, Placement(place.slot, place.generation, place.pid)))
        elif kind == "output":
            if kept is not None:
                kept.attempt, kept.offset = body.attempt, body.next_offset
                output.append((future.on_output, chunk_from(body.chunk, body.attempt, body.next_offset)))
        else:
            if kind == "rejected":
                self._settle(tag)
                lost = kept is not None and kept.asked_again and future.id and body.code == "not_found"
                future._error = ConnectionLost(forgotten(future.id)) if lost else call_error(body.code, body.message)
            else:
                future._attempt = varint(body.attempt)
                future._bytes = self._settle(tag, body.outcome.SerializeToString())
            del self._pending[tag]
            self._free.append(tag)
            done.append(future)
            for waiter in future._waiters or ():
                waiter.release()

    def _accept(self, future: Future, task_id: str, duplicate: bool) -> None:
        future.id = task_id
        kept = self._kept[future._tag]
        kept.tail = None
        if duplicate and kept.asked_again and (kept.wants_output or self._cancel_on_close):
            self._take_over(future, kept)

    def _take_over(self, future: Future, kept: Kept) -> None:
        """A task that was submitted again and was known: it is followed from its beginning on, as one that was not lost would have been. Under another
        tag; what comes for this one is for nobody. With the lock held."""
        tag = future._tag
        del self._pending[tag], self._kept[tag]
        future._tag = tag = self._new_tag()
        self._pending[tag], self._kept[tag] = future, kept
        data = kept.follow(tag, future.id)
        self._outbox.append(data)
        self._unsent += len(data)

    # Without a connection.

    def _come_back(self, outage: Outage) -> bytes:
        """Connects again, and asks again for what is unfinished; returns what the daemon has said first. ConnectionLost: the time is up, or nobody
        waits for it."""
        with self.lock:
            if not self._reconnect_s or self._closing:
                raise ConnectionLost(f"the {'stream was closed' if self._closing else 'connection to the daemon broke'} before the task ended")
            lost = self._lose()
        for future in lost:
            for callback in future._callbacks or ():
                run_callback(callback, future)
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        reason: PooldError = ConnectionLost("it breaks again and again")
        while True:
            pause = outage.next_pause_s()
            if pause is None:
                raise ConnectionLost(outage.over(reason) + "; what became of the task is not known")
            if poll.poll(pause * 1000):
                os.eventfd_read(self._wake)
            try:
                return self._connect_again(outage)
            except (Unavailable, DeadlineExceeded, ResourceExhausted) as error:
                reason = error
            if self._closing:
                raise ConnectionLost("the stream was closed before the task ended")

    def _lose(self) -> list[Future]:
        """The connection is gone. What has not been sent stays, what can be asked for again is noted, and the rest has failed: its futures, for their
        callbacks. With the lock held."""
        self._mute = self._away = True
        self._connection.close()
        for descriptor in self._received:
            os.close(descriptor)
        self._received.clear()
        # A frame of which a part was sent has lost its descriptor with it.
        left = [entry for entry in left_over(self._partly, self._beside, self._outbox) if entry.descriptor >= 0 or entry.tag not in self._shared]
        unsent = {entry.tag for entry in left if entry.asks_for_a_task}
        lost: list[Future] = []
        for tag, future in list(self._pending.items()):
            kept = self._kept.get(tag)
            if future.id or (kept is not None and kept.tail is not None):
                self._returning.append(tag)
            elif tag not in unsent:
                future._error = unfindable(kept)
                self._settle(tag)
                del self._pending[tag]
                self._free.append(tag)
                lost.append(future)
                for waiter in future._waiters or ():
                    waiter.release()
        self._line_up_again(left)
        self._room.notify_all()
        if not self._pending:
            self._idle.notify_all()
        return lost

    def _line_up_again(self, left: list[Left]) -> None:
        self._outbox.clear()
        self._partly, self._beside, self._descriptors = memoryview(b""), -1, 0
        returning = set(self._returning)
        for entry in left:
            if entry.tag in returning and entry.asks_for_a_task:
                continue
            if entry.descriptor >= 0:
                self._outbox.append(entry.descriptor)
                self._descriptors += 1
            self._outbox.append(entry.data)
        self._unsent = sum(len(part) for part in self._outbox if isinstance(part, bytes))

    def _connect_again(self, outage: Outage) -> bytes:
        connection = Connection(self._path, CONNECT_TIMEOUT_S)
        with self.lock:
            self._connection = connection
            if self._closing:
                raise ConnectionLost("nobody waits for it any more")
        # The supervisor of an engine that has died takes connections; the next engine answers.
        early = connection.upgrade(max(outage.left_s(), CONNECT_TIMEOUT_S))
        early += connection.greet(self._hello, max(outage.left_s(), CONNECT_TIMEOUT_S))
        with self.lock:
            self._socket = connection.socket
            self._reader = FrameReader()
            asked = []
            for tag in self._returning:
                kept, task_id = self._kept[tag], self._pending[tag].id
                asked.append(kept.follow(tag, task_id) if task_id else kept.submit(tag))
            self._returning.clear()
            self._outbox[:0] = asked
            self._unsent += sum(map(len, asked))
            self._mute = self._away = False
        return early

    def _fail(self, error: PooldError) -> None:
        """Nothing more will come."""
        if not isinstance(error, CallError):
            error = ConnectionLost(str(error))
        with self.lock:
            self._broken = error
            self._mute = True
            self._connection.close()
            os.close(self._wake)
            self._kept.clear()
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
        self._mute = True
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
