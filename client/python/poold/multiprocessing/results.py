"""What calls of a Pool return: AsyncResult, and one for the many calls of map."""

from __future__ import annotations

import threading
from _thread import allocate_lock
from multiprocessing import TimeoutError
from time import monotonic
from typing import Any, Callable

from .._crew import Crew
from ..errors import CallError, ConnectionLost, PooldError
from ..futures import Future

Callback = Callable[[Any], object]


class PoolTerminated(PooldError):
    """The pool was terminated before this call had ended."""


def _as_terminated(error: PooldError) -> PooldError:
    """What breaks the stream is the pool's end; what was refused is not."""
    return PoolTerminated(f"the pool was terminated: {error}") if isinstance(error, ConnectionLost) else error


class Call(Future):
    """One call, or one chunk, on its way. `crew` is a class attribute of a subclass that each pool makes."""

    __slots__ = ()
    crew: Crew

    def __init__(self, stream: Any, tag: bytes) -> None:
        self._stream, self._tag = stream, tag
        self._bytes = self._error = self._waiters = self._callbacks = None

    __repr__ = object.__repr__

    def load(self) -> Any:
        """The value, or raises what the call raised, once it has ended."""
        if self._bytes is None:
            try:
                self._await(None)
            except CallError as error:
                raise _as_terminated(error) from None
        return self.crew.value(self._bytes or b"")

    def has_ended(self, timeout: float | None) -> bool:
        """Within so many seconds."""
        waiter = self._stream.before_waiting(self, allocate_lock)
        return waiter is None or waiter.acquire(True, -1 if timeout is None else max(0.0, timeout)) or self.done()


class ApplyResult(Call):
    """What apply_async returns."""

    __slots__ = ("_loaded", "_callback", "_error_callback", "_called")
    # The value or the exception, once it has been looked at; the callbacks, and a lock that is free when they have run.
    _loaded: tuple[bool, Any] | None
    _called: Any

    def __init__(self, stream: Any, tag: bytes) -> None:
        self._stream, self._tag = stream, tag
        self._bytes = self._error = self._waiters = self._callbacks = self._loaded = self._called = None

    def get(self, timeout: float | None = None) -> Any:
        """The value, or raises what the call raised. multiprocessing.TimeoutError: not within so many seconds."""
        if self._bytes is None or self._called is not None:
            self.wait(timeout)
            if not self.ready():
                raise TimeoutError(f"the call has not ended within {timeout} s")
        succeeded, value = self._loaded or self._load()
        if succeeded:
            return value
        raise value

    def wait(self, timeout: float | None = None) -> None:
        """Until it has ended, or so many seconds."""
        until = None if timeout is None else monotonic() + timeout
        if not self.done() and not self.has_ended(timeout):
            return
        called = self._called
        if called is not None and called.acquire(True, -1 if until is None else max(0.0, until - monotonic())):
            called.release()

    def ready(self) -> bool:
        """It has ended, and its callback has run."""
        called = self._called
        return self.done() and (called is None or not called.locked())

    def successful(self) -> bool:
        """It has not raised. ValueError: it has not ended."""
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._load()[0]

    def _load(self) -> tuple[bool, Any]:
        if self._loaded is not None:
            return self._loaded
        try:
            loaded = True, self.load()
        except Exception as error:
            loaded = False, error
        self._loaded = loaded
        return loaded

    def call_back(self, callback: Callback | None, error_callback: Callback | None) -> None:
        """Once, when it has ended, on the stream's thread."""
        self._called = allocate_lock()
        self._called.acquire()
        self._callback, self._error_callback = callback, error_callback
        self.add_done_callback(_call_back)


AsyncResult = ApplyResult


def _call_back(result: Any) -> None:
    try:
        succeeded, value = result._load()
        callback = result._callback if succeeded else result._error_callback
        if callback is not None:
            callback(value)
    finally:
        result._called.release()


class MapResult:
    """What map_async and starmap_async return: all values, in order."""

    def __init__(self, calls: list[Any], chunked: bool, callback: Callback | None, error_callback: Callback | None) -> None:
        self._calls = calls
        self._chunked = chunked
        self._value: tuple[bool, Any] | None = None
        self._callback, self._error_callback = callback, error_callback
        self._called = None
        if callback is not None or error_callback is not None:
            self._called = threading.Event()
            self._left = len(calls)
            self._lock = threading.Lock()
            for call in calls:
                call.add_done_callback(self._one_done)
            if not calls:
                self._run_callbacks()

    def _one_done(self, _call: Any) -> None:
        with self._lock:
            self._left -= 1
            if self._left:
                return
        self._run_callbacks()

    def _run_callbacks(self) -> None:
        assert self._called is not None
        try:
            succeeded, value = self._load()
            callback = self._callback if succeeded else self._error_callback
            if callback is not None:
                callback(value)
        finally:
            self._called.set()

    def get(self, timeout: float | None = None) -> Any:
        """The values, or raises what a call raised. multiprocessing.TimeoutError: not within so many seconds."""
        self.wait(timeout)
        if not self.ready():
            raise TimeoutError(f"the calls have not ended within {timeout} s")
        succeeded, value = self._load()
        if succeeded:
            return value
        raise value

    def wait(self, timeout: float | None = None) -> None:
        """Until all have ended, or so many seconds."""
        until = None if timeout is None else monotonic() + timeout
        for call in self._calls:
            if call.done():
                continue
            waiter = call._stream.before_waiting(call, allocate_lock)
            if waiter is not None and not waiter.acquire(True, -1 if until is None else max(0.0, until - monotonic())):
                return
        if self._called is not None:
            self._called.wait(None if until is None else max(0.0, until - monotonic()))

    def ready(self) -> bool:
        """All have ended, and the callback has run."""
        return all(call.done() for call in self._calls) and (self._called is None or self._called.is_set())

    def successful(self) -> bool:
        """None has raised. ValueError: not all have ended."""
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._load()[0]

    def _load(self) -> tuple[bool, Any]:
        if self._value is None:
            values: list[Any] = []
            try:
                for call in self._calls:
                    if self._chunked:
                        values += call.load()
                    else:
                        values.append(call.load())
                self._value = True, values
            except Exception as error:
                self._value = False, error
            self._calls = [call for call in self._calls if not call.done()]
        return self._value
