"""Crew: the workers behind one Pool or Executor, and the calls to them. One stream, whose unfinished tasks end with it; calls are pickles (_by_value.py).

A call runs once: a worker that dies with it is one error, of that call alone. What users see of this is in executor.py and multiprocessing/pool.py.
"""

from __future__ import annotations

import os
import pickle
import re
import types
from concurrent.futures.process import BrokenProcessPool, _RemoteTraceback
from multiprocessing.pool import MaybeEncodingError, RemoteTraceback  # type: ignore[attr-defined]
from threading import Lock, Thread
from typing import Any, Callable, Iterable, TypeVar

from ._by_value import CONTENT_TYPE, MAIN, NotForWorkers, dumps, dumps_apart, importable
from ._memory import SHARED_FROM, pack, size_of, unpickle
from ._private import private_daemon
from ._traffic import Traffic
from ._wire import FRAME_SIZE_MAX, VARINT, bytes_field, varint
from .client import Client
from .errors import NotFound, PermissionDenied, TaskRaised, Unavailable
from .futures import Future, SharedResult
from .spec import SharedTail, options_fields
from .tasks import Kind, Outcome, Pool, outcome_from
from .v1 import task_pb2
from .worker.pickled import call_each

F = TypeVar("F", bound=Future)

_TYPE_FIELD = bytes_field(1, CONTENT_TYPE.encode())
_PICKLE_HEAD = _TYPE_FIELD + b"\x12"
# How a pickle begins, if nothing stands before it.
_PICKLE = 0x80
# An outcome RETURNED with a pickle, up to the pickle.
_RETURNED = b"\x08\x02\x32"
_SMALL_AT = len(_RETURNED) + 1 + len(_PICKLE_HEAD) + 1
_match_pickle = re.compile(rb"\x08\x02\x32" + VARINT + re.escape(_PICKLE_HEAD) + VARINT, re.DOTALL).match
_SMALL = 256
_dumps, _loads = pickle.dumps, pickle.loads
_CALL_LATE = "poold.worker.pickled:call_pickled"


class WorkerLostError(BrokenProcessPool):
    """The worker died with this call. The other calls go on, and so does the pool.

    signal: what killed it, or None; exit_code: with what it exited, or None; pid: which process it was; log: what it had printed last, and the
    traceback of a crash.
    """

    def __init__(self, signal: int | None, exit_code: int | None, pid: int | None, log: str = "") -> None:
        self.signal, self.exit_code, self.pid, self.log = signal, exit_code, pid, log
        end = f"was killed by {_signal_name(signal)}" if signal is not None else f"exited with code {exit_code}"
        text = f"the worker (pid {pid}) that ran this call {end}; nothing else was lost"
        super().__init__(f"{text}. It printed last:\n{log.rstrip()}" if log.strip() else text)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.signal, self.exit_code, self.pid, self.log)


class InitializerFailedError(BrokenProcessPool):
    """The initializer has raised in a worker; what it raised was printed there. No call can run."""


class NotLoadedError(BrokenProcessPool):
    """A call or its result has arrived, but what it was pickled to cannot be loaded there: a class is missing, or raises. Nothing else was lost."""


def shared_pool(name: str | None) -> Pool | None:
    """The pool of a daemon that runs, in which calls go by pickle: the one of this name, or the first of POOLD_SOCKET's. None: neither is asked for.
    ValueError: there is none."""
    if name is None and not os.environ.get("POOLD_SOCKET"):
        return None
    with Client(reconnect=0) as client:
        where = f"the daemon at {client.socket}"
        try:
            pools = client.pools()
        except PermissionDenied:  # who may only submit knows the name, or gives it
            if name is not None:
                return Pool(name=name)
            raise
    for pool in pools:
        if name is None or pool.name == name:
            if CONTENT_TYPE in pool.accept:
                return pool
            if name is not None:
                raise ValueError(f"the pool {name!r} of {where} does not take {CONTENT_TYPE}: say `accept: pickle` there, or choose another one")
    if name is not None:
        raise ValueError(f"{where} has no pool {name!r}; it has {', '.join(pool.name for pool in pools) or 'none'}")
    raise ValueError(f"{where} has no pool with `accept: pickle`: configure one, or unset POOLD_SOCKET for a private daemon")


def tuple_of(name: str, arguments: Iterable[Any]) -> tuple[Any, ...]:
    """The arguments that were given under this name."""
    try:
        return tuple(arguments)
    except TypeError:
        raise TypeError(f"{name} has to be a tuple of arguments, not {type(arguments).__name__}; for one argument, (argument,)") from None


class Crew(NotForWorkers):
    """Workers of a private daemon, or a pool of another one."""

    def __init__(
        self, workers: int, initializer: Callable[..., object] | None, initargs: tuple[Any, ...], max_tasks: int | None, pool: str | None
    ) -> None:
        self._private = None
        # Where the standard pool and the standard executor differ.
        self.like_executor = False
        shared = shared_pool(pool)
        if shared is None:
            self._private = private_daemon()
            setup = None if initializer is None else dumps((initializer, tuple(initargs)))
            self.pool = self._private.add_pool(workers, max_tasks, setup)
            self.client = self._private.client
        else:
            if initializer is not None or max_tasks is not None:
                given = "an initializer" if initializer is not None else "a number of calls after which a worker is replaced"
                raise ValueError(
                    f"{given} is for workers of this program's own, and those of the pool {shared.name!r} belong to a daemon that runs: leave it out, or"
                    " give no pool= and unset POOLD_SOCKET"
                )
            self.client = Client(reconnect=0)  # a call runs once
            self.pool = shared.name
        self.stream = Traffic(self.client.socket, cancel_on_close=True)
        self._options = options_fields(pool=self.pool, crash_attempts=1)
        # What stands before a pickle of so many bytes in a call of that name; and the names of functions without closures.
        self._heads: dict[str, list[bytes]] = {}
        self._names: dict[Callable[..., Any], str] = {}
        self._ended = False
        # Two threads may end it at the same time: the one that shuts down, and the stream's after the last call.
        self._end_lock = Lock()
        self._leaving: Thread | None = None

    # Sending.

    def submit(self, make: type[F], function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> F:
        """One call. Raises what pickle raises."""
        return self.stream.submit_tail(self.encoded(function, args, kwargs), make)

    def encoded(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | SharedTail:
        """The same, to be sent later."""
        name = self.name_of(function)
        if not name:
            return self._tail(_CALL_LATE, (function, args, kwargs))
        return self._tail(name, [args, kwargs] if kwargs else args)

    def submit_all(self, make: type[F], function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> list[F]:
        """One call for each tuple of arguments."""
        name = self.name_of(function)
        if not name:
            return [self.stream.submit_tail(self._tail(_CALL_LATE, (function, args, {})), make) for args in calls]
        # _tail() in the loop: this is the hottest of all.
        heads = self._heads.get(name) or self._heads_of(name)
        futures: list[F] = []
        tails: list[bytes] = []
        for args in calls:
            try:
                data = _dumps(args, 5, buffer_callback=_refuse)
            except Exception:
                data = b""
            size = len(data)
            if 0 < size < _SMALL and MAIN not in data:
                tails.append(heads[size] + data)
                continue
            tail = self._tail(name, args)
            if isinstance(tail, bytes):
                tails.append(tail)
                continue
            # One that takes memory is sent at once, in its turn: the others wait there while there is not enough.
            futures += self.stream.submit_tails(make, tails)
            futures.append(self.stream.submit_tail(tail, make))
            tails = []
        return futures + self.stream.submit_tails(make, tails)

    def submit_chunk(self, make: type[F], function: Callable[..., Any], items: Iterable[Any], star: bool) -> F:
        """One call for all items: a list of values."""
        return self.stream.submit_tail(self.encoded_chunk(function, items, star), make)

    def encoded_chunk(self, function: Callable[..., Any], items: Iterable[Any], star: bool) -> bytes | SharedTail:
        """The same, to be sent later."""
        what = "starmap" if star else "map"
        name = self.name_of(function)
        if not name:
            return self._tail(_CALL_LATE, (call_each, (function, list(items), star), {}))
        return self._tail(name, {what: items})

    def _tail(self, name: str, payload: object) -> bytes | SharedTail:
        """StreamSubmit.task"""
        buffers: list[Any] = []
        data = dumps(payload, None, buffers) if self._private is not None else dumps_apart(payload, buffers)
        size = len(data)
        if buffers or size > SHARED_FROM:
            if size + size_of(buffers) > SHARED_FROM:
                return SharedTail(self._options, bytes_field(1, name.encode()), _TYPE_FIELD, pack(data, buffers))
            data = dumps(payload) if self._private is not None else dumps_apart(payload)
            size = len(data)
        if size < _SMALL:
            heads = self._heads.get(name) or self._heads_of(name)
            return heads[size] + data
        return self._head(name, size) + data

    def _heads_of(self, name: str) -> list[bytes]:
        heads = self._heads[name] = [self._head(name, size) for size in range(_SMALL)]
        return heads

    def _head(self, name: str, size: int) -> bytes:
        pickled = _PICKLE_HEAD + varint(size)
        function = bytes_field(1, name.encode()) + b"\x22" + varint(len(pickled) + size) + pickled
        spec = self._options + b"\x5a" + varint(len(function) + size) + function
        return b"\x12" + varint(len(spec) + size) + spec

    def name_of(self, function: Callable[..., Any]) -> str:
        """How workers know this function; empty: it has to be sent with every call."""
        try:
            known = self._names.get(function)
        except TypeError:  # it cannot be hashed
            known = None
        if known is not None:
            return known
        if not callable(function):
            raise TypeError(f"{type(function).__name__!r} object is not callable: a function is wanted")
        if self._private is None:
            return ""  # its workers call by name only what they were started with
        name = importable(function)
        if name and len(name.encode()) < 256:
            self._names[function] = name
            return name
        if not isinstance(function, types.FunctionType):
            return ""
        cells = function.__closure__ or ()
        key = (id(function), id(function.__code__), *(id(_content(cell)) for cell in cells))
        name = self._private.published(key)
        if not name:
            kept = function, function.__code__, [_content(cell) for cell in cells]
            name = self._private.publish(f"{function.__module__}:{function.__qualname__}", key, kept, dumps(function, self._private.lend))
        if not cells:
            self._names[function] = name
        return name

    # Receiving.

    def value(self, data: bytes, task_id: str = "") -> Any:
        """What a call returned; raises what it raised."""
        if data.startswith(_PICKLE_HEAD, 4) and data.startswith(_RETURNED):  # with sizes of one byte each
            return _loaded(data[_SMALL_AT:])
        match = _match_pickle(data)
        if match:
            return _loaded(memoryview(data)[match.end() :])
        if type(data) is SharedResult and data.startswith(_RETURNED):
            return _loaded(data.memory)
        outcome = outcome_from(task_pb2.Outcome.FromString(data))
        if outcome.kind is Kind.RAISED and outcome.payload is not None:
            raise self._raised(outcome)
        if outcome.kind is Kind.WORKER_LOST:
            pid = task_pb2.Outcome.FromString(data).pid or None
            log = self._private.last_words(pid) if self._private is not None and pid else ""
            raise WorkerLostError(outcome.signal, outcome.exit_code, pid, log)
        return outcome.result(task_id)

    def _raised(self, outcome: Outcome) -> BaseException:
        assert outcome.payload is not None
        try:
            error = pickle.loads(outcome.payload.data)
        except (Exception, SystemExit):  # its class is not there
            return TaskRaised(outcome)
        if not isinstance(error, Exception) and not self.like_executor:
            return TaskRaised(outcome)  # a worker's sys.exit() is not this program's
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        if kind == "poold.worker.script.InitializerFailed":
            error = InitializerFailedError(str(error))
        elif kind == "poold.worker.pickled.ArgumentsNotLoaded":
            error = NotLoadedError(str(error))
        elif kind == "poold.worker.pickled.ResultNotSendable":
            error = error.args[0] if self.like_executor else _encoding_error(*error.args)
        if outcome.error is not None:
            remote = _RemoteTraceback if self.like_executor else RemoteTraceback
            error.__cause__ = remote(f'\n"""\n{outcome.error.traceback}"""')
        return error  # type: ignore[no-any-return]

    # The end.

    def pids(self) -> list[int]:
        """Of the workers that are there, if they are this program's own."""
        if self._private is None or self._ended:
            return []
        try:
            return [worker.pid for worker in self.client.workers(self.pool) if worker.pid > 0]
        except (NotFound, Unavailable):  # the pool, or its daemon, has just ended
            return []

    def signal(self, number: int) -> None:
        """Sends it to every worker of this program's own; others' are not for it to end."""
        for pid in self.pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def finish(self) -> None:
        """Waits for all calls, then lets the workers go."""
        self.stream.wait_idle()
        self.end()

    def grow(self, workers: int) -> None:
        """So many workers from now on, if they are this program's own."""
        if self._private is not None:
            self._private.grow_pool(self.pool, workers)

    def connected(self) -> bool:
        """Calls can be sent."""
        return not self._ended and self.stream.connected()

    def leave(self) -> None:
        """end() for the stream's thread: without waiting."""
        with self._end_lock:
            if self._ended:
                return
            self._ended = True
            self.stream.abandon()
            if self._private is not None:
                self._leaving = Thread(target=self._private.remove_pool, args=(self.pool,), name="poold-leave", daemon=True)
                self._leaving.start()

    def end(self) -> None:
        """Lets the workers go; what is unfinished ends, too. Afterwards no thread of this crew is there, whoever began to end it."""
        with self._end_lock:
            first, self._ended = not self._ended, True
        self.stream.close()
        if self._leaving is not None:
            self._leaving.join()
        elif first and self._private is not None:
            self._private.remove_pool(self.pool)

    def __reduce__(self) -> Any:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")


def _encoding_error(reason: BaseException, shown: str) -> MaybeEncodingError:
    """shown: the worker's repr() of the value, which is not to be made again."""
    error = MaybeEncodingError(reason, None)
    error.value = shown
    error.args = error.exc, shown
    return error


def _loaded(data: bytes | memoryview) -> Any:
    try:
        return _loads(data) if data[0] == _PICKLE else unpickle(data)
    except (Exception, SystemExit) as error:
        raise NotLoadedError(f"the result arrived, but cannot be loaded: {type(error).__name__}: {error}") from error


def _refuse(_: object) -> bool:
    """Whatever has a buffer is looked at apart."""
    raise BufferError


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _signal_name(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

