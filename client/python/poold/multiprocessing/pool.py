"""Pool: multiprocessing.Pool's words, on workers of poold. The calls go through a Crew (../_crew.py); imap is in imap.py.

Unlike the standard pool, one whose worker dies fails that worker's call, with ../_crew.py's WorkerLostError, and goes on.
"""

from __future__ import annotations

import os
import threading
import warnings
from _thread import allocate_lock
from multiprocessing import TimeoutError
from time import monotonic
from typing import Any, Callable, Iterable, Sequence

from .._crew import Crew
from .._by_value import NotForWorkers
from ..errors import ConnectionLost, PooldError
from ..futures import Future
from .imap import IMapIterator, IMapUnorderedIterator, chunks_of

Callback = Callable[[Any], object]


class PoolTerminated(PooldError):
    """The pool was terminated before this call had ended."""


class _Call(Future):
    """One call, or one chunk, on its way. `crew` is a class attribute of a subclass that each pool makes."""

    __slots__ = ()
    crew: Crew

    def __init__(self, stream: Any, tag: bytes) -> None:
        self._stream, self._tag = stream, tag
        self._bytes = self._error = self._waiters = self._callbacks = None

    def load(self, timeout: float | None = None) -> Any:
        """The value, or what the call raised."""
        if self._bytes is None:
            if self._error is not None or timeout is not None and timeout <= 0:
                self._check()
            try:
                self._await(timeout)
            except ConnectionLost as error:
                raise PoolTerminated(f"the pool was terminated: {error}") from None
        return self.crew.value(self._bytes or b"")

    def _check(self) -> None:
        if self._error is not None:
            raise PoolTerminated(f"the pool was terminated: {self._error}")
        if self._bytes is None:
            raise TimeoutError


class ApplyResult(_Call):
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
                raise TimeoutError
        succeeded, value = self._loaded or self._load()
        if succeeded:
            return value
        raise value

    def wait(self, timeout: float | None = None) -> None:
        """Until it has ended, or so many seconds."""
        until = None if timeout is None else monotonic() + timeout
        if not self.done():
            waiter = self._stream.before_waiting(self, allocate_lock)
            if waiter is not None and not waiter.acquire(True, -1 if timeout is None else max(0.0, timeout)):
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
            raise TimeoutError
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


class Pool(NotForWorkers):
    """A pool of worker processes, as multiprocessing.Pool.

    processes: how many; by default as many as CPUs this process may use. initializer, initargs: called in each worker before its first call.
    maxtasksperchild: a worker is replaced after so many calls. pool: the name of a pool of a daemon that runs, in place of workers of this
    program's own.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: object = None,
        *,
        pool: str | None = None,
    ) -> None:
        del context
        if processes is None:
            processes = len(os.sched_getaffinity(0))
        if processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if maxtasksperchild is not None and (not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0):
            raise ValueError("maxtasksperchild must be a positive int or None")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._state = "CLOSE"
        self._processes = processes
        self._crew = Crew(processes, initializer, tuple(initargs), maxtasksperchild, pool)
        self._make_call = type("_PoolCall", (_Call,), {"__slots__": (), "crew": self._crew})
        self._make_result = type("ApplyResult", (ApplyResult,), {"__slots__": (), "crew": self._crew})
        self._feeders: list[threading.Thread] = []
        self._state = "RUN"

    def apply(self, func: Callable[..., Any], args: Sequence[Any] = (), kwds: dict[str, Any] = {}) -> Any:
        """func(*args, **kwds) in a worker: its value."""
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] = {},
        callback: Callback | None = None,
        error_callback: Callback | None = None,
    ) -> ApplyResult:
        """The same without waiting. callback gets the value, error_callback the exception, on a thread of the pool's."""
        self._check_running()
        result: ApplyResult = self._crew.submit(self._make_result, func, args if type(args) is tuple else tuple(args), kwds)
        if callback is not None or error_callback is not None:
            result.call_back(callback, error_callback)
        return result

    def map(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None) -> list[Any]:
        """[func(item) for item in iterable], in workers. chunksize: so many items travel together."""
        values: list[Any] = self.map_async(func, iterable, chunksize).get()
        return values

    def map_async(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
    ) -> MapResult:
        """map() without waiting."""
        return self._map(func, iterable, chunksize, False, callback, error_callback)

    def starmap(self, func: Callable[..., Any], iterable: Iterable[Iterable[Any]], chunksize: int | None = None) -> list[Any]:
        """[func(*items) for items in iterable], in workers."""
        values: list[Any] = self.starmap_async(func, iterable, chunksize).get()
        return values

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
    ) -> MapResult:
        """starmap() without waiting."""
        return self._map(func, iterable, chunksize, True, callback, error_callback)

    def imap(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1) -> IMapIterator:
        """map() that yields values as soon as they are there, in order."""
        return self._imap(IMapIterator(), func, iterable, chunksize)

    def imap_unordered(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1) -> IMapIterator:
        """imap() in the order in which they are there."""
        return self._imap(IMapUnorderedIterator(), func, iterable, chunksize)

    def close(self) -> None:
        """Takes no more calls."""
        if self._state == "RUN":
            self._state = "CLOSE"

    def terminate(self) -> None:
        """Ends at once, with what is unfinished."""
        self._state = "TERMINATE"
        self._crew.end()

    def join(self) -> None:
        """Waits until all calls have ended. ValueError: neither close() nor terminate() was called."""
        if self._state == "RUN":
            raise ValueError("Pool is still running")
        for feeder in self._feeders:
            feeder.join()
        if self._state == "CLOSE":
            self._crew.finish()

    def __enter__(self) -> Pool:
        self._check_running()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def __del__(self) -> None:
        if getattr(self, "_state", "TERMINATE") == "RUN":
            warnings.warn(f"unclosed running multiprocessing pool {self!r}", ResourceWarning, source=self)
            # Not end(): this may be any thread, that of the stream too, and it must not wait.
            self._crew.stream.abandon()

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__qualname__} state={self._state} pool_size={self._processes}>"

    def __reduce__(self) -> Any:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def _check_running(self) -> None:
        if self._state != "RUN":
            raise ValueError("Pool not running: it was closed or terminated; make a new one")

    def _map(
        self, func: Any, iterable: Iterable[Any], chunksize: int | None, star: bool, callback: Callback | None, error_callback: Callback | None
    ) -> MapResult:
        self._check_running()
        items = iterable if isinstance(iterable, (list, tuple, range)) else list(iterable)
        if chunksize is None:
            chunksize, extra = divmod(len(items), self._processes * 4)
            chunksize += 1 if extra else 0
        elif chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize:n}")
        if chunksize <= 1:
            payloads: Any = map(tuple, items) if star else zip(items)
            return MapResult(self._crew.submit_all(self._make_call, func, payloads), False, callback, error_callback)
        calls: list[Any] = [self._crew.submit_chunk(self._make_call, func, chunk, star) for chunk in chunks_of(items, chunksize)]
        return MapResult(calls, True, callback, error_callback)

    def _imap(self, results: Any, func: Any, iterable: Iterable[Any], chunksize: int) -> IMapIterator:
        self._check_running()
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize:n}")
        self._crew.name_of(func)  # what is wrong with it is said here
        feeder = threading.Thread(target=results.feed, args=(self._crew, self._make_call, func, iterable, chunksize), name="poold-imap", daemon=True)
        self._feeders = [thread for thread in self._feeders if thread.is_alive()] + [feeder]
        feeder.start()
        return results  # type: ignore[no-any-return]
