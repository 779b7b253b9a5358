"""poold: a worker pool as a service, from Python.

    import poold

    client = poold.Client()
    task = client.submit(["sha256sum", "/etc/hostname"])      # a program
    client.result(task)                                       # waits; its exit code, or an exception

    client.call("add", 1, 2, pool="math")                     # a function by name: its value, or an exception

    with client.stream() as stream:                           # thousands in flight
        futures = [stream.submit("noop", pool="math") for _ in range(1000)]
        values = [future.result() for future in futures]

Functions for a pool of Python workers are written with @poold.task, and run by `python3 -m poold.worker MODULE...`.

Names are imported when they are first used, so that a worker does not load the client.
"""

from __future__ import annotations

from ._functions import task
from .errors import Cancelled, Interrupted, PooldError, TimeLimit

__version__ = "0.1.0"

TYPE_CHECKING = False  # typing itself is not loaded, for the sake of workers
if TYPE_CHECKING:
    from . import errors
    from ._crew import InitializerFailedError, NotLoadedError, WorkerLostError
    from .client import Client
    from .executor import Executor
    from .futures import Future, as_completed
    from .spec import Command, Function, Payload, TaskSpec
    from .stream import Stream
    from .tasks import Group, Info, Kind, LogChunk, Outcome, Pool, State, Task, TaskId, Worker

_homes = {
    "Executor": "executor",
    "InitializerFailedError": "_crew",
    "NotLoadedError": "_crew",
    "WorkerLostError": "_crew",
    "Client": "client",
    "Command": "spec",
    "Function": "spec",
    "Future": "futures",
    "Group": "tasks",
    "Info": "tasks",
    "Kind": "tasks",
    "LogChunk": "tasks",
    "Outcome": "tasks",
    "Payload": "spec",
    "Pool": "tasks",
    "State": "tasks",
    "Stream": "stream",
    "Task": "tasks",
    "TaskId": "tasks",
    "TaskSpec": "spec",
    "Worker": "tasks",
    "as_completed": "futures",
}

__all__ = [
    "Cancelled",
    "Client",
    "Command",
    "Executor",
    "Function",
    "Future",
    "Group",
    "Info",
    "InitializerFailedError",
    "Interrupted",
    "Kind",
    "LogChunk",
    "NotLoadedError",
    "Outcome",
    "Payload",
    "Pool",
    "PooldError",
    "State",
    "Stream",
    "Task",
    "TaskId",
    "TaskSpec",
    "TimeLimit",
    "Worker",
    "WorkerLostError",
    "as_completed",
    "errors",
    "task",
]


def __getattr__(name: str) -> object:
    home = _homes.get(name)
    if home is None:
        raise AttributeError(f"module 'poold' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module("." + home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
