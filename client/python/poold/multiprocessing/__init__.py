"""The words of the standard module `multiprocessing`, on poold: change the import, and a script's pool is observable, limited and crash-safe.

    from poold.multiprocessing import Pool

    with Pool(4) as pool:
        print(pool.map(abs, range(-5, 5)))

Functions and classes of the script itself are sent by value (with python3-cloudpickle), so that it needs no `if __name__ == "__main__"` and is never
run again in a worker. A worker that dies costs the one call that it ran: poold.WorkerLostError. A process that dies gives back the locks that it held.

Names are imported when they are first used.
"""

from __future__ import annotations

import copyreg
from multiprocessing import (
    AuthenticationError,
    BufferTooShort,
    Pipe,
    ProcessError,
    TimeoutError,
    cpu_count,
    freeze_support,
    get_logger,
    log_to_stderr,
    connection as _connection,
)
from multiprocessing.process import active_children, current_process, parent_process
from typing import TYPE_CHECKING

from . import connection, shared_memory

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Array, RawArray, RawValue, Value

    from .pool import Pool
    from .process import Process
    from .queues import JoinableQueue, Queue, SimpleQueue
    from .synchronize import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore

# The standard module has a pickler of its own that knows how connections travel; with the plain one they would arrive as numbers.
copyreg.pickle(_connection.Connection, _connection.reduce_connection)  # type: ignore[attr-defined]

_homes = {
    "Pool": "pool",
    "Process": "process",
    **dict.fromkeys(("JoinableQueue", "Queue", "SimpleQueue"), "queues"),
    **dict.fromkeys(("Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"), "synchronize"),
}
_standard = ("Array", "RawArray", "RawValue", "Value")

__all__ = [
    "Array",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BufferTooShort",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Pipe",
    "Pool",
    "Process",
    "ProcessError",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "SimpleQueue",
    "TimeoutError",
    "Value",
    "active_children",
    "connection",
    "cpu_count",
    "current_process",
    "freeze_support",
    "get_logger",
    "log_to_stderr",
    "parent_process",
    "shared_memory",
]


def __getattr__(name: str) -> object:
    if name in _standard:
        # Those that can be sent to a process that was not forked.
        from multiprocessing import get_context

        value: object = getattr(get_context("spawn"), name)
    elif name in _homes:
        from importlib import import_module

        value = getattr(import_module("." + _homes[name], __name__), name)
    elif name in ("pool", "process", "queues", "synchronize"):
        from importlib import import_module

        return import_module("." + name, __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
