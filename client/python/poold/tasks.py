"""Tasks, pools and workers as the daemon tells of them: plain, read-only values. Words and limits are those of common/proto/poold/v1/*.proto."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Union

from . import errors
from ._values import decode
from .spec import Command, Function, Payload
from .v1 import daemon_pb2, pools_pb2, task_pb2, tasks_pb2, workers_pb2


class State(str, enum.Enum):
    """Where a task is in its life. The last three are final."""

    WAITING = "WAITING"  # not yet eligible
    QUEUED = "QUEUED"  # eligible, waiting for a worker
    RUNNING = "RUNNING"  # handed to a worker
    SUCCEEDED = "SUCCEEDED"  # EXITED with code 0, or RETURNED
    FAILED = "FAILED"  # every other outcome but CANCELLED
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Nothing will change any more."""
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class Kind(str, enum.Enum):
    """How a task, or one attempt of it, ended."""

    EXITED = "EXITED"  # a command ended by itself: exit_code
    RETURNED = "RETURNED"  # a function returned: value, or payload
    RAISED = "RAISED"  # a function raised: error
    SIGNALED = "SIGNALED"  # a command was ended by a signal: signal
    TIMED_OUT = "TIMED_OUT"  # a time limit was reached
    OUT_OF_MEMORY = "OUT_OF_MEMORY"  # the kernel ended it for want of memory
    WORKER_LOST = "WORKER_LOST"  # the worker died: signal or exit_code
    CANCELLED = "CANCELLED"  # somebody cancelled it
    EXPIRED = "EXPIRED"  # not started in time
    REJECTED = "REJECTED"  # the worker refused it: error
    UNKNOWN = "UNKNOWN"  # of a later version


_KINDS = {number: Kind(name) for name, number in task_pb2.Outcome.Kind.items() if number}
_STATES = {number: State(name) for name, number in task_pb2.Task.State.items() if number}
STATE_NUMBERS = {state: number for number, state in _STATES.items()}
_ERRORS = {
    Kind.EXITED: errors.TaskExited,
    Kind.RAISED: errors.TaskRaised,
    Kind.SIGNALED: errors.TaskSignaled,
    Kind.TIMED_OUT: errors.TaskTimedOut,
    Kind.OUT_OF_MEMORY: errors.TaskOutOfMemory,
    Kind.WORKER_LOST: errors.WorkerLost,
    Kind.CANCELLED: errors.TaskCancelled,
    Kind.EXPIRED: errors.TaskExpired,
    Kind.REJECTED: errors.TaskRejected,
}


class TaskId(str):
    """A task's id. duplicate: the key was known, and this is the earlier task."""

    duplicate: bool = False


@dataclass(frozen=True)
class Error:
    """What went wrong: an exception's type or the name of an errno; words; where it was raised, in the language's own form, or empty."""

    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True)
class Usage:
    """What an attempt of a command cost. max_rss_kib: the peak of its first process."""

    wall: timedelta
    user: timedelta
    system: timedelta
    max_rss_kib: int


@dataclass(frozen=True)
class Outcome:
    """How a task ended. Which fields are set follows from the kind."""

    kind: Kind
    value: Any = None
    exit_code: int | None = None
    signal: int | None = None
    core_dumped: bool = False
    payload: Payload | None = None
    error: Error | None = None
    usage: Usage | None = None

    @property
    def succeeded(self) -> bool:
        """It RETURNED, or EXITED with 0."""
        return self.kind is Kind.RETURNED or (self.kind is Kind.EXITED and self.exit_code == 0)

    def result(self, task_id: str = "") -> Any:
        """What a function returned (the data for a payload of plain bytes, else the Payload); 0 for a command. TaskError: it did not succeed.
        ResourceExhausted: it is in shared memory, and larger than a call carries."""
        if not self.succeeded:
            raise _ERRORS.get(self.kind, errors.TaskError)(self, task_id)
        if self.payload is not None and self.error is not None:
            raise errors.ResourceExhausted(self.error.message)
        if self.kind is Kind.EXITED:
            return self.exit_code
        if self.payload is None:
            return self.value
        return self.payload.data if self.payload.content_type in ("", "application/octet-stream") else self.payload

    def __str__(self) -> str:
        words = {Kind.EXITED: f"exited with {self.exit_code}", Kind.RETURNED: "returned", Kind.SIGNALED: f"ended by signal {self.signal}"}
        text = words.get(self.kind) or self.kind.value.lower().replace("_", " ")
        if self.kind is Kind.WORKER_LOST:
            text += f" (signal {self.signal})" if self.signal is not None else f" (exit code {self.exit_code})"
        if self.error is None:
            return text
        error = ": ".join(part for part in (self.error.type, self.error.message) if part)
        return error if self.kind is Kind.RAISED else f"{text}: {error}"


@dataclass(frozen=True)
class Placement:
    """Where an attempt runs or ran. generation: how many processes the slot has had."""

    slot: int
    generation: int
    pid: int


@dataclass(frozen=True)
class Task:
    """A task as the daemon knows it.

    attempt: the one that runs or ran last, from 1; 0 before the first. crashes: attempts that lost their worker. started_at: of the last attempt.
    uid: of the client that submitted it. cancelling: a cancel was accepted and the attempt has not ended yet.
    """

    id: str
    pool: str
    name: str
    state: State
    attempt: int = 0
    crashes: int = 0
    outcome: Outcome | None = None
    priority: int = 0
    key: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    uid: int = 0
    cancelling: bool = False
    work: Union[Command, Function, None] = None
    placement: Placement | None = None
    group: str = ""

    def result(self) -> Any:
        """As Outcome.result(). WrongState: it has not ended."""
        if self.outcome is None:
            raise errors.WrongState(f"task {self.id} is {self.state.value} and has no result yet")
        return self.outcome.result(self.id)


@dataclass(frozen=True)
class LogChunk:
    """A piece of a task's output. stream: "stdout" or "stderr". skipped: more than 0 where so many bytes of the log's middle are gone (no data then).
    attempt: whose output it is. next_offset: where to go on reading."""

    stream: str
    data: bytes
    skipped: int = 0
    attempt: int = 0
    next_offset: int = 0


# Pools, workers and the daemon are shown as they are in the contract.
Pool = pools_pb2.Pool
Worker = workers_pb2.Worker
Info = daemon_pb2.GetInfoResponse


def kind_of(number: int) -> Kind:
    """From the contract's number."""
    return _KINDS.get(number, Kind.UNKNOWN)


def outcome_from(message: task_pb2.Outcome, memory: memoryview | None = None) -> Outcome:
    """From the contract's message. memory: what its payload has in place of data."""
    value = message.value.SerializeToString() if message.HasField("value") else b"\x08\x00"
    return Outcome(
        kind=kind_of(message.kind),
        value=decode(value, 0, len(value)),
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        signal=message.signal if message.HasField("signal") else None,
        core_dumped=message.core_dumped,
        payload=Payload(message.payload.data if memory is None else memory, message.payload.content_type) if message.HasField("payload") else None,
        error=Error(message.error.type, message.error.message, message.error.traceback) if message.HasField("error") else None,
        usage=_usage_from(message.usage) if message.HasField("usage") else None,
    )


def _usage_from(message: task_pb2.Usage) -> Usage:
    return Usage(message.wall.ToTimedelta(), message.user.ToTimedelta(), message.system.ToTimedelta(), message.max_rss_kib)


def _time_from(message: Any, name: str) -> datetime | None:
    return getattr(message, name).ToDatetime(tzinfo=timezone.utc) if message.HasField(name) else None


def _work_from(message: task_pb2.Task) -> Union[Command, Function, None]:
    if message.HasField("command"):
        return Command.from_message(message.command)
    return Function.from_message(message.function) if message.HasField("function") else None


def task_from(message: task_pb2.Task) -> Task:
    """From the contract's message."""
    return Task(
        id=message.id,
        pool=message.pool,
        name=message.name,
        state=_STATES.get(message.state, State.WAITING),
        attempt=message.attempt,
        crashes=message.crashes,
        outcome=outcome_from(message.outcome) if message.HasField("outcome") else None,
        priority=message.priority,
        key=message.key,
        labels=dict(message.labels),
        submitted_at=_time_from(message, "submitted_at"),
        started_at=_time_from(message, "started_at"),
        ended_at=_time_from(message, "ended_at"),
        uid=message.uid,
        cancelling=message.cancelling,
        work=_work_from(message),
        placement=Placement(message.placement.slot, message.placement.generation, message.placement.pid) if message.HasField("placement") else None,
        group=message.group,
    )


@dataclass(frozen=True)
class Group:
    """Tasks of one user under one name, by state. Those that have ended are counted while they are retained. closed: a task waits for its end."""

    name: str
    uid: int
    waiting: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    closed: bool

    @property
    def unfinished(self) -> int:
        """How many have not ended."""
        return self.waiting + self.queued + self.running


def group_from(message: tasks_pb2.Group) -> Group:
    """From the contract's message."""
    return Group(
        message.name,
        message.uid,
        message.waiting,
        message.queued,
        message.running,
        message.succeeded,
        message.failed,
        message.cancelled,
        message.closed,
    )


def chunk_from(chunk: tasks_pb2.LogChunk, attempt: int, next_offset: int) -> LogChunk:
    """From the contract's message."""
    stream = "stderr" if chunk.stream == tasks_pb2.LogChunk.STDERR else "stdout"
    return LogChunk(stream, chunk.data, chunk.skipped, attempt, next_offset)
