"""A backend for joblib, "poold": importing this module registers it.

    import joblib
    import poold.joblib

    with joblib.parallel_backend("poold", n_jobs=2):
        joblib.Parallel()(joblib.delayed(abs)(i) for i in range(100))

Batches are calls of a poold.Executor (executor.py), and how large they are is joblib's decision. A worker that dies fails the batch that it ran, with
poold.WorkerLostError, which its Parallel raises; other Parallels go on, and the next one works. As joblib has it, one that fails ends its workers at
once, one job alone (`n_jobs=1`) runs in the program itself, and a Parallel within a Parallel runs in threads of the worker.

Workers are kept for the next Parallel with as many jobs. Functions of the program see its globals as they are when their batch is sent.

Large calls and values travel in shared memory; joblib's memory maps of large arrays are not used (one can be given: numpy.load with mmap_mode).
"""

from __future__ import annotations

import os
from concurrent.futures import Future
from multiprocessing import TimeoutError as StandardTimeoutError
from queue import Queue, SimpleQueue
from threading import Lock, Thread, Timer
from typing import Any, Callable

from ._by_value import dumps, dumps_apart, loads_anew
from ._crew import shared_pool
from .executor import Executor
from .futures import SharedResult
from .worker.script import add_environment

try:
    from joblib import cpu_count
    from joblib._parallel_backends import AutoBatchingMixin, FallbackToBackend, ParallelBackendBase, SequentialBackend, ThreadingBackend
    from joblib.parallel import register_parallel_backend
except ModuleNotFoundError as error:
    if error.name != "joblib":
        raise
    raise ModuleNotFoundError(
        "poold.joblib is a backend for the package joblib, which is not installed: apt install python3-joblib, or pip install joblib", name="joblib"
    ) from None

__all__ = ["PooldBackend", "register"]

# As loky keeps its own.
_KEPT_S = 300.0
# How long a failed Parallel waits for the program's generator, under whose lock it is read.
_GENERATOR_S = 1.0
# Batches grow by how long they take, which says nothing of their size.
_BATCH_BYTES = 4 * 1024 * 1024

# This process runs batches for a program.
_in_worker = False


class PooldBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """What joblib.parallel_backend("poold") makes.

    pool: the name of a pool of a daemon that runs, in place of workers of this program's own; it must say `accept: pickle`, and its workers need
    joblib. n_jobs=-1 is then as many as it has workers.
    """

    supports_timeout = True
    supports_inner_max_num_threads = True

    def __init__(self, nesting_level: int | None = None, inner_max_num_threads: int | None = None, pool: str | None = None) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._pool = pool
        self._n_jobs = 1
        self._executor: Executor | None = None
        self._shared = False
        # Of the largest call, or value, so far.
        self._bytes_max = 0.0
        # Batches that have ended well, with what joblib wants called then; None: no more.
        self._ended: SimpleQueue[tuple[Callable[..., object], Future[Any]] | None] = SimpleQueue()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """As joblib's own backends count: -1 is all there are, -2 one less."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        if n_jobs > 0:
            return n_jobs
        shared = shared_pool(self._pool)
        return max((cpu_count() if shared is None else shared.workers) + 1 + n_jobs, 1)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Before a Parallel: its workers."""
        if _in_worker:
            # Workers that waited for a batch of their own would wait for each other.
            inner = ThreadingBackend if (self.nesting_level or 0) <= 1 else SequentialBackend
            raise FallbackToBackend(inner(nesting_level=self.nesting_level))
        self._n_jobs = self.effective_n_jobs(n_jobs)
        if self._n_jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        self._begin()
        return self._n_jobs

    def _begin(self) -> None:
        self._shared = shared_pool(self._pool) is not None
        environment = {} if self._shared else self._prepare_worker_env(self._n_jobs)
        self._key = self._n_jobs, self._pool, os.environ.get("POOLD_SOCKET"), tuple(sorted(environment.items()))
        self._executor = _kept.take(self._key)
        if self._executor is None:
            if self._shared:
                self._executor = _Batches(self._n_jobs, pool=self._pool)
            else:
                self._executor = _Batches(self._n_jobs, add_environment, (environment,))
        self._ended = SimpleQueue()
        Thread(target=_call_back, args=(self._ended, self.parallel), name="poold-joblib", daemon=True).start()

    def compute_batch_size(self) -> int:
        """As joblib has it, as long as such a batch can be sent."""
        size: int = super().compute_batch_size()
        if self._bytes_max:
            size = max(1, min(size, int(_BATCH_BYTES / self._bytes_max)))
            self._effective_batch_size = size
        return size

    def apply_async(self, func: Any, callback: Callable[..., object] | None = None) -> Future[Any]:
        """Sends a batch, joblib's BatchedCalls. What is wrong with it shows in the future: joblib asks from several threads, and one alone raises what it gets."""
        executor = self._executor
        try:
            if executor is None:
                raise RuntimeError("this Parallel has ended")
            data = dumps_apart(func) if self._shared else dumps(func)
            count = len(func)
            self._note_size(len(data) / count)
            future = _for_joblib(executor.submit(run_batch, data))
        except Exception as error:
            return _failed(error)
        if callback is not None:
            entry, ended = (callback, future), self._ended

            # joblib goes on from there, with a lock of its own and the program's generator: not on the thread that brings the results.
            def well(done: Future[Any]) -> None:
                if not done.cancelled() and done.exception() is None:
                    self._note_size(done.size / count)  # type: ignore[attr-defined]
                    ended.put(entry)

            future.add_done_callback(well)
        return future

    def _note_size(self, size: float) -> None:
        self._bytes_max = max(self._bytes_max, size)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """After a failure: what runs is of no use any more."""
        executor, self._executor = self._executor, None
        self._ended.put(None)
        if executor is not None:
            executor.kill_workers()
        if ensure_ready:
            _forget_rest(self.parallel)
            self._begin()

    def terminate(self) -> None:
        """After a Parallel: its workers wait for the next."""
        executor, self._executor = self._executor, None
        self._ended.put(None)
        if executor is not None:
            _kept.keep(self._key, executor)
        self.reset_batch_stats()
        self._bytes_max = 0.0


class _Batches(Executor):
    """Notes how large results are."""

    def _done(self, call: Any) -> None:
        outcome = call._bytes or b""
        call.future.size = len(outcome.memory) if isinstance(outcome, SharedResult) else len(outcome)
        super()._done(call)


def register() -> None:
    """Tells joblib of the backend "poold"; importing this module has done it."""
    register_parallel_backend("poold", PooldBackend)


def run_batch(data: bytes) -> Any:
    """In a worker: the values of a batch."""
    global _in_worker
    _in_worker = True
    return loads_anew(data)()


def _value(future: Future[Any], timeout: float | None) -> Any:
    try:
        return future.result(timeout)
    except TimeoutError:
        if future.done():  # just now, or the function has raised it
            return future.result()
        raise StandardTimeoutError(f"a batch has not ended within {timeout} s") from None


def _failed(error: BaseException) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return _for_joblib(future)


def _for_joblib(future: Future[Any]) -> Future[Any]:
    future.get = lambda timeout=None: _value(future, timeout)  # type: ignore[attr-defined]
    return future


def _call_back(ended: SimpleQueue[tuple[Callable[..., object], Future[Any]] | None], parallel: Any) -> None:
    while (entry := ended.get()) is not None:
        callback, future = entry
        try:
            callback(future)
        except BaseException as error:
            # The program's generator, which joblib reads from here, has raised. Later versions of joblib do the same.
            parallel._jobs.append(_failed(error))


def _forget_rest(parallel: Any) -> None:
    """joblib 1.2 would run what it has lined up of the call that failed in the next one, whose values would begin with others'."""
    locked = parallel._lock.acquire(timeout=_GENERATOR_S)
    try:
        parallel._original_iterator = None
        if hasattr(parallel, "_ready_batches"):
            parallel._ready_batches = Queue()
    finally:
        if locked:
            parallel._lock.release()


class _Kept:
    """The workers that wait for the next Parallel; those of one, at most."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._executor: Executor | None = None
        self._key: object = None
        self._timer: Timer | None = None

    def take(self, key: object) -> Executor | None:
        """Those that were kept under this key, if they are still good."""
        with self._lock:
            if self._executor is None or self._key != key:
                return None
            executor = self._forget()
        return executor if executor is not None and executor._usable() else None

    def keep(self, key: object, executor: Executor) -> None:
        """Keeps these in place of others."""
        with self._lock:
            old = self._forget()
            self._executor, self._key = executor, key
            self._timer = Timer(_KEPT_S, self.drop)
            self._timer.daemon = True
            self._timer.start()
        if old is not None:
            old.shutdown(wait=False)

    def drop(self) -> None:
        """Nobody has come for them."""
        with self._lock:
            old = self._forget()
        if old is not None:
            old.shutdown(wait=False)

    def _forget(self) -> Executor | None:
        executor, self._executor = self._executor, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return executor


_kept = _Kept()


def _forked() -> None:
    global _kept
    _kept = _Kept()  # they are the parent's


os.register_at_fork(after_in_child=_forked)
register()
