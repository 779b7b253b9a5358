"""Future: one task of a stream, on its way. Like concurrent.futures.Future, and light: a stream has thousands of them at a time."""

from __future__ import annotations

import sys
from _thread import LockType, allocate_lock
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator

from ._values import decode
from ._wire import read_varint
from .errors import PooldError
from .tasks import Outcome, outcome_from
from .v1 import task_pb2

if TYPE_CHECKING:
    from ._traffic import Traffic

# Fields of ClientFrame that ask for something about a task.
CANCEL, SIGNAL = 3, 4
RETURNED_VALUE = b"\x08\x02\x2a"
RETURNED_NONE = b"\x08\x02\x2a\x02\x08\x00"


class SharedResult(bytes):
    """An outcome whose payload came in shared memory."""

    memory: memoryview

    @staticmethod
    def of(outcome: bytes, memory: memoryview) -> SharedResult:
        """Both."""
        result = SharedResult(outcome)
        result.memory = memory
        return result


class Future:
    """What poold.Stream.submit returns. Any thread may use it.

    id: the task's id, if the submission asked for it (want_id=True; on a stream that connects again also with a key, on_started or on_output) and it has
    been accepted; else empty.
    """

    __slots__ = ("_stream", "_tag", "_bytes", "_error", "_waiters", "_callbacks", "_attempt", "id", "on_started", "on_output", "__weakref__")
    # Set where the submission gave them.

    on_started: Callable[..., object] | None
    on_output: Callable[..., object] | None

    def __init__(self, stream: Traffic, tag: bytes) -> None:
        self._stream = stream
        self._tag = tag
        # The outcome as it came, decoded by whoever asks; or the refusal. Both None: not yet.
        self._bytes: bytes | None = None
        self._error: PooldError | None = None
        self._waiters: list[LockType] | None = None
        self._callbacks: list[Callable[[Future], object]] | None = None
        self.id = ""
        self._attempt = b"\0"

    @property
    def attempt(self) -> int:
        """The last attempt, from 1, once the task has ended; 0 before."""
        return read_varint(self._attempt, 0)[0]

    def done(self) -> bool:
        """It has ended, well or not."""
        return self._bytes is not None or self._error is not None

    def running(self) -> bool:
        """It has not ended. Whether a worker has it already is not known here."""
        return not self.done()

    def cancelled(self) -> bool:
        """It ended by being cancelled."""
        return self._bytes is not None and self._bytes.startswith(b"\x08\x08")

    def cancel(self) -> bool:
        """Asks the task to end, whether it waits or runs. False: it has ended. True does not promise that it will not end otherwise just now."""
        return self._stream.ask(self, CANCEL)

    def result(self, timeout: float | None = None) -> Any:
        """Waits for the end: the function's value (bytes where it returned bytes; a read-only memoryview, where its pool shares memory and they are
        more than 256 KiB), or 0 for a command.

        poold.errors.TaskError: it ended otherwise. poold.errors.CallError: it was refused, or the connection was lost. TimeoutError: it has not
        ended within so many seconds.
        """
        if self._bytes is None:
            self._await(timeout)
        data = self._bytes
        if data == RETURNED_NONE:
            return None
        if data is not None and data.startswith(RETURNED_VALUE):
            value_at = 4 if data[3] < 0x80 else _after_varint(data, 3)
            try:
                return decode(data, value_at, len(data))
            except (ValueError, IndexError):  # something follows the value
                pass
        return self.outcome(0).result(self.id)

    def outcome(self, timeout: float | None = None) -> Outcome:
        """Waits for the end, and tells how it was. CallError, TimeoutError: as result()."""
        if self._bytes is None:
            self._await(timeout)
        data = self._bytes or b""
        return outcome_from(task_pb2.Outcome.FromString(data), data.memory if isinstance(data, SharedResult) else None)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits for the end: what result() would raise, or None."""
        try:
            self.result(timeout)
        except TimeoutError:
            raise
        except PooldError as error:
            return error
        return None

    def add_done_callback(self, callback: Callable[[Future], object]) -> None:
        """Calls it with this future once that is done, on the stream's thread; at once, here, if it is done already. It must not block; what it
        raises is printed."""
        with self._stream.lock:
            if not self.done():
                if self._callbacks is None:
                    self._callbacks = []
                self._callbacks.append(callback)
                return
        run_callback(callback, self)

    def _await(self, timeout: float | None) -> None:
        """Until it is done. Raises the refusal if it was refused."""
        waiter = self._stream.before_waiting(self, allocate_lock)
        if waiter is not None and not waiter.acquire(True, -1 if timeout is None else max(0.0, timeout)):
            if not self.done():
                raise TimeoutError(f"the task has not ended within {timeout} s")
        if self._error is not None:
            raise self._error

    def __repr__(self) -> str:
        state = "refused" if self._error else "done" if self.done() else "pending"
        return f"<poold.Future {self.id or hex(id(self))} {state}>"


def as_completed(futures: Iterable[Future], timeout: float | None = None) -> Iterator[Future]:
    """Yields each future when it is done, in the order in which they end. TimeoutError: the next has not ended within so many seconds from the call."""
    ended: SimpleQueue[Future] = SimpleQueue()
    until = None if timeout is None else monotonic() + timeout
    count = 0
    for future in set(futures):
        future.add_done_callback(ended.put)
        count += 1
    for number in range(count):
        try:
            yield ended.get(timeout=None if until is None else max(0.0, until - monotonic()))
        except Empty:
            raise TimeoutError(f"{count - number} of {count} tasks have not ended within {timeout} s") from None


def _after_varint(data: bytes, at: int) -> int:
    while data[at] >= 0x80:
        at += 1
    return at + 1


def run_callback(callback: Callable[..., object], *arguments: object) -> None:
    """A program's own function, on the stream's thread: its errors are shown, and stop nothing."""
    try:
        callback(*arguments)
    except Exception:
        sys.excepthook(*sys.exc_info())
