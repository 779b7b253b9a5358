"""poold.Executor: a concurrent.futures.Executor on workers of poold. The calls go through a Crew (_crew.py).

Unlike ProcessPoolExecutor, one whose worker dies fails that worker's future, with WorkerLostError (a BrokenProcessPool), and goes on.
"""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections import deque
from concurrent.futures import Executor as _StandardExecutor
from concurrent.futures import Future as StandardFuture
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain
from operator import index
from time import monotonic
from typing import Any, Callable, Iterable, Iterator

from ._by_value import NotForWorkers
from ._crew import Crew, InitializerFailedError, tuple_of
from ._private import WORKERS_MAX
from .errors import CallError, PooldError, Unavailable
from .futures import Future
from .multiprocessing.imap import chunks_of
from .spec import SharedTail

# So much work is on its way, as far as is known from how fast calls have ended; the rest waits here, where it can be cancelled.
_AHEAD_S = 0.02
_MEASURED_S = 0.005


class _Call(Future):
    """A call on its way, and the future of the user's that it is for."""

    __slots__ = ("future",)
    future: StandardFuture[Any]


class Executor(_StandardExecutor, NotForWorkers):
    """Runs calls in worker processes of a daemon of this program's own, which is started for it.

    max_workers: how many; by default as many as CPUs this process may use. initializer, initargs: called in each worker before its first call; if it
    raises, the executor is broken. max_tasks_per_child: a worker is replaced after so many calls. pool: the name of a pool of a daemon that runs, in
    place of workers of this program's own; it must say `accept: pickle`.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        max_tasks_per_child: int | None = None,
        pool: str | None = None,
    ) -> None:
        if max_workers is None:
            max_workers = len(os.sched_getaffinity(0))
        max_workers = index(max_workers)
        if max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if max_workers > WORKERS_MAX:
            raise ValueError(f"max_workers must be <= {WORKERS_MAX}")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_tasks_per_child is not None:
            if not isinstance(max_tasks_per_child, int):
                raise TypeError("max_tasks_per_child must be an integer")
            if max_tasks_per_child <= 0:
                raise ValueError("max_tasks_per_child must be >= 1")
        self._max_workers = max_workers
        # Workers start when there are more calls than workers.
        self._workers = 1
        self._crew = Crew(1, initializer, tuple_of("initargs", initargs), max_tasks_per_child, pool)
        self._crew.like_executor = True
        self._lock = threading.Condition()
        # Calls that have not been sent: their futures, and their bytes.
        self._waiting: deque[tuple[StandardFuture[Any], bytes | SharedTail]] = deque()
        self._sent = 0
        self._window = max_workers + 1
        self._measured_at = monotonic()
        self._measured = 0
        self._closed = False
        self._broken: BaseException | None = None
        # What has ended the workers, if that was asked for.
        self._ended_by = ""
        _executors.add(self)
        # One that is dropped without shutdown() has no call left (each holds it), and lets its workers go.
        weakref.finalize(self, self._crew.leave).atexit = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> StandardFuture[Any]:
        """fn(*args, **kwargs) in a worker. RuntimeError: shutdown() was called. BrokenProcessPool: the initializer has failed."""
        self._check()
        future: StandardFuture[Any] = StandardFuture()
        self._add(future, partial(self._crew.encoded, fn, args, kwargs))
        return future

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1) -> Iterator[Any]:
        """As the built-in map(): values in order. timeout: seconds from this call for each value. chunksize: so many items travel together."""
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout)
        self._check()
        futures = []
        for chunk in chunks_of(list(zip(*iterables)), chunksize):
            future: StandardFuture[Any] = StandardFuture()
            self._add(future, partial(self._crew.encoded_chunk, fn, chunk, True))
            futures.append(future)
        return chain.from_iterable(_values(futures, None if timeout is None else monotonic() + timeout))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls. wait: returns when all have ended. cancel_futures: those that no worker has are cancelled."""
        with self._lock:
            self._closed = True
            dropped = [future for future, _ in self._waiting] if cancel_futures else []
            if cancel_futures:
                self._waiting.clear()
            idle = self._idle()
        for future in dropped:
            future.cancel()
            future.set_running_or_notify_cancel()
        if wait:
            with self._lock:
                self._lock.wait_for(self._idle)
            self._crew.end()
        elif idle:
            self._crew.leave()

    def _usable(self) -> bool:
        """submit() would not be refused."""
        return not self._closed and self._broken is None and self._crew.connected()

    def terminate_workers(self) -> None:
        """Ends the workers with SIGTERM: calls that they run fail with BrokenProcessPool, those that wait are cancelled, and no more are taken. In a
        pool of a daemon that runs, whose workers are everybody's, the calls that run are cancelled instead."""
        self._end_workers(signal.SIGTERM, "terminate_workers()")

    def kill_workers(self) -> None:
        """The same with SIGKILL."""
        self._end_workers(signal.SIGKILL, "kill_workers()")

    def _end_workers(self, number: signal.Signals, asked: str) -> None:
        self._ended_by = self._ended_by or asked
        self.shutdown(wait=False, cancel_futures=True)
        self._crew.signal(number)
        self._crew.end()

    # The way of a call.

    def _check(self) -> None:
        if self._broken is not None:
            raise BrokenProcessPool(str(self._broken)) from self._broken
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown; make a new executor")

    def _add(self, future: StandardFuture[Any], encode: Callable[[], bytes | SharedTail]) -> None:
        try:
            data = encode()
        except Exception as error:  # as in the standard executor, what cannot be sent shows in the future
            future.set_running_or_notify_cancel()
            future.set_exception(error)
            return
        with self._lock:
            self._check()
            self._waiting.append((future, data))
        self._send()

    def _send(self) -> None:
        while True:
            with self._lock:
                if not self._waiting or self._sent >= self._window:
                    return
                future, data = self._waiting.popleft()
                self._sent += 1
                more = self._workers < min(self._sent, self._max_workers)
                if more:
                    self._workers += 1
            if not future.set_running_or_notify_cancel():
                self._one_less()
                continue
            try:
                if more:
                    self._crew.grow(self._workers)
                call = self._crew.stream.submit_tail(data, _Call)
            except Exception as error:
                future.set_exception(self._as_broken(error))
                self._one_less()
                continue
            call.future = future
            call.add_done_callback(self._done)

    def _done(self, call: Any) -> None:
        future = call.future
        try:
            if call._error is not None:
                raise self._as_broken(call._error)
            value = self._crew.value(call._bytes)
        except BaseException as error:
            if isinstance(error, InitializerFailedError):
                self._break(error)
            future.set_exception(error)
        else:
            future.set_result(value)
        del future, call
        self._measure()
        self._one_less()
        self._send()

    def _as_broken(self, error: BaseException) -> BrokenProcessPool:
        """What became of a call that was not run to its end."""
        if self._ended_by:
            broken = BrokenProcessPool(f"{self._ended_by} has ended the workers before this call had ended")
        elif isinstance(error, CallError) and not isinstance(error, Unavailable):
            broken = BrokenProcessPool(f"the daemon refused this call: {error}")
        else:
            broken = BrokenProcessPool(f"the connection to the daemon ended before this call had: {error}; make a new executor")
        broken.__cause__ = error if isinstance(error, PooldError) else None
        return broken

    def _measure(self) -> None:
        with self._lock:
            self._measured += 1
            now = monotonic()
            if now - self._measured_at >= _MEASURED_S:
                self._window = max(self._max_workers + 1, min(4096, int(self._measured / (now - self._measured_at) * _AHEAD_S)))
                self._measured_at, self._measured = now, 0

    def _one_less(self) -> None:
        with self._lock:
            self._sent -= 1
            idle = self._idle()
            if idle:
                self._lock.notify_all()
        if idle and self._closed:
            self._crew.leave()

    def _idle(self) -> bool:
        return self._sent == 0 and not self._waiting

    def _break(self, error: BaseException) -> None:
        with self._lock:
            self._broken = error
            futures = [future for future, _ in self._waiting]
            self._waiting.clear()
        for future in futures:
            if future.set_running_or_notify_cancel():
                future.set_exception(BrokenProcessPool(str(error)))


def _values(futures: list[StandardFuture[Any]], until: float | None) -> Iterator[Any]:
    futures.reverse()
    try:
        while futures:
            yield futures.pop().result(None if until is None else max(0.0, until - monotonic()))
    finally:
        for future in futures:
            future.cancel()


_executors: weakref.WeakSet[Executor] = weakref.WeakSet()


def _wait_for_all() -> None:
    """At the program's end, as the standard executors do: what was submitted is run."""
    for executor in list(_executors):
        executor.shutdown(wait=True)


threading._register_atexit(_wait_for_all)  # type: ignore[attr-defined]
