"""Pool: multiprocessing.Pool's words, on workers of poold. The calls go through a Crew (../_crew.py); what they return is in results.py and imap.py.

Unlike the standard pool, one whose worker dies fails that worker's call, with ../_crew.py's WorkerLostError, and goes on.
"""

from __future__ import annotations

import os
import threading
import warnings
from operator import index
from typing import Any, Callable, Iterable, Sequence

from .._by_value import NotForWorkers
from .._crew import Crew, tuple_of
from .._private import WORKERS_MAX
from .imap import IMapIterator, IMapUnorderedIterator, chunks_of
from .results import ApplyResult, AsyncResult, Call, Callback, MapResult, PoolTerminated

__all__ = ["ApplyResult", "AsyncResult", "MapResult", "Pool", "PoolTerminated"]


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
        processes = index(processes)
        if processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if processes > WORKERS_MAX:
            raise ValueError(f"Number of processes must be at most {WORKERS_MAX}")
        if maxtasksperchild is not None and (not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0):
            raise ValueError("maxtasksperchild must be a positive int or None")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._state = "CLOSE"
        self._processes = processes
        self._crew = Crew(processes, initializer, tuple_of("initargs", initargs), maxtasksperchild, pool)
        self._make_call = type("PoolCall", (Call,), {"__slots__": (), "crew": self._crew})
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
        result: ApplyResult = self._crew.submit(self._make_result, func, args if type(args) is tuple else tuple_of("args", args), kwds)
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
            raise ValueError("Pool is still running: call close() or terminate() before join()")
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
