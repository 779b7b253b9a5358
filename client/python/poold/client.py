"""poold.Client: calls to the daemon, one at a time. For thousands of tasks in flight, see Stream."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence, TypeVar

from google.protobuf.message import Message

from ._connection import Connection, socket_path
from ._follow import follow as follow_task
from ._outage import LIMIT_DEFAULT_S, Outage, checked_limit
from ._wire import bytes_field
from .errors import CallError, ConnectionLost, NotFound, Unavailable, call_error
from .spec import TaskSpec, Work, make_spec
from .stream import Stream
from .tasks import STATE_NUMBERS, Group, Info, LogChunk, Pool, State, Task, TaskId, Worker, chunk_from, group_from, task_from
from .v1 import daemon_pb2, pools_pb2, tasks_pb2, workers_pb2

M = TypeVar("M", bound=Message)
R = TypeVar("R")

# How long an answer may take that the daemon has no reason to delay. A restarting engine answers late.
ANSWER_TIMEOUT_S = 60.0
_BATCH_MAX = 10_000
_IDLE_MAX = 8
# Calls after which nothing is different if they are made twice: they look, or say how something is to be.
_REPEATABLE = frozenset(
    f"{service}/{method}"
    for service, methods in {
        "Tasks": "Get List Wait ListGroups Explain Logs",
        "Pools": "Get List Scale Pause Resume Drain",
        "Workers": "List",
        "Limits": "List Set",
        "Schedules": "List",
        "Queues": "List",
        "Semaphores": "List",
        "Processes": "List Join",
        "Daemon": "GetInfo",
    }.items()
    for method in methods.split()
)
# These, too, if they name one task; others may match a selector the second time.
_REPEATABLE_BY_ID = frozenset(("Tasks/Cancel", "Tasks/Hold", "Tasks/Release"))
# What the daemon says it does not know may have been lost with its engine.
_OF_KNOWN_TASKS = frozenset(("Tasks/Get", "Tasks/Wait", "Tasks/Logs", "Tasks/Cancel"))


class Client:
    """A daemon's client. Any number of threads may use one; each call in progress has a connection of its own, which is kept for the next.

    socket: the daemon's socket; by default POOLD_SOCKET, else the first that exists of $XDG_RUNTIME_DIR/poold/control.sock and
    /run/poold/control.sock. timeout: seconds for an answer that the daemon has no reason to delay (waiting for tasks is not counted). reconnect: how
    many seconds the daemon may be away, once it has been there: a call whose connection breaks, or finds nobody, is made again,
    after pauses from 10 ms up to 1 s, and a stream connects again (see Stream); 0: not.

    A call is made again only if that is safe: if the daemon cannot have got it, if it only looks or waits, or says how something is to be (scale, pause,
    ...), cancel() of one task, and submissions with a key. Others raise ConnectionLost: what became of them is not known.

    It connects at the first call, so that making one costs nothing and never fails. All calls raise poold.errors.CallError: Unavailable where no
    daemon is, NotFound for an id or a pool that is not there, InvalidArgument with the field's name, and so on.
    """

    def __init__(
        self, socket: str | os.PathLike[str] | None = None, timeout: float = ANSWER_TIMEOUT_S, reconnect: float = LIMIT_DEFAULT_S
    ) -> None:
        self._chosen = socket
        self._timeout = timeout
        self._reconnect_s = checked_limit(reconnect)
        # A daemon has been there: one that cannot be reached may be back soon. Where none ever was, that is said at once.
        self._known = False
        self._lock = Lock()
        self._idle: list[Connection] = []
        self._process = os.getpid()

    @property
    def socket(self) -> str:
        """The path it connects to."""
        return socket_path(self._chosen)

    def close(self) -> None:
        """Closes the connections that are kept. The client can be used again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Tasks.

    def submit(self, work: Work, /, *args: Any, **kwargs: Any) -> TaskId:
        """Hands a task to the daemon, and returns its id as soon as it is accepted.

        work: a command as a list of words, with env=, cwd= and stdin= (see Command) if wanted; or a function, by its name or itself, with its
        arguments (see Function); or a Command, a Function or a TaskSpec. Options: pool (default "default"), name (for people and filters; default:
        the program's or the function's), key (idempotency: the same key with the same payload is the same task, and the id's `duplicate` is
        True), priority (higher first; 32 bits), attempts (all runs, the first included; default 1), crash_attempts (runs that may lose their worker;
        default: the pool's), labels (at most 64 texts by texts).

        When it may run: delay (seconds or a timedelta; those that follow, too), at (a datetime with a time zone, or seconds since 1970), ttl (not
        started by then: it ends as EXPIRED), after and after_any (ids of tasks that have to succeed, or to end, first), on_parent_failure ("cancel" or
        "release"), hold (True: not before it is released), after_group (a group whose tasks have to end first; until then it takes no more). group (a
        name: tasks of one group are counted, waited for and cancelled together). when_full ("refuse", or "wait": where its pool is full, it is
        accepted when there is room). Beside how many others: limits (a name, names, or tokens by name). When it fails:
        backoff, backoff_max, retry_on (kinds such as "RAISED", exit codes), timeout (of one attempt: TimeLimit is raised in the function), grace
        (then, before it is killed), deadline (of all attempts together).

        A function's own argument with an option's name needs a Function.

        InvalidArgument: a field, which is named. NotFound: the pool. AlreadyExists: the key was used for another payload. ResourceExhausted: the
        queue is full. WrongState: the pool drains. Unavailable: no daemon, or it stops. ConnectionLost: the connection broke before the answer, and
        without a key it is not known whether the task was accepted.
        """
        spec = make_spec(work, args, kwargs)
        timeout = None if spec.waits_for_room else self._timeout
        answer = tasks_pb2.SubmitResponse.FromString(self._call("Tasks/Submit", spec.bytes, timeout, spec.has_key))
        return _task_id(answer.id, answer.duplicate)

    def submit_batch(self, work: Iterable[TaskSpec | Work], *, all_or_none: bool = False) -> list[TaskId | CallError]:
        """Submits many at once: for each, in order, its id, or the error for which it was refused (not raised). Any number of tasks.

        all_or_none: at most 10,000, all accepted or none; the error, which begins with tasks[INDEX], is raised.

        ConnectionLost: as submit(), if not all of them have a key; of more than 10,000, others were accepted before.
        """
        specs = [make_spec(item, (), {}) for item in work]
        if all_or_none:
            body = b"".join(bytes_field(1, spec.bytes) for spec in specs) + b"\x10\x01"
            has_key = all(spec.has_key for spec in specs)
            whole = tasks_pb2.SubmitBatchResponse.FromString(self._call("Tasks/SubmitBatch", body, self._timeout, has_key))
            return [_task_id(entry.id, entry.duplicate) for entry in whole.tasks]
        results: list[TaskId | CallError] = []
        for batch in _batches(specs):
            body = b"".join(bytes_field(1, spec.bytes) for spec in batch)
            has_key = all(spec.has_key for spec in batch)
            answer = tasks_pb2.SubmitBatchResponse.FromString(self._call("Tasks/SubmitBatch", body, self._timeout, has_key))
            for entry in answer.tasks:
                results.append(call_error(entry.code, entry.message) if entry.code else _task_id(entry.id, entry.duplicate))
        return results

    def call(self, work: Work, /, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """submit() and result() in one."""
        return self.result(self.submit(work, *args, **kwargs), timeout)

    def result(self, task_id: str, timeout: float | None = None) -> Any:
        """Waits for a task's end: the function's value (bytes where it returned bytes), or 0 for a command.

        poold.errors.TaskError: it ended otherwise; `outcome` tells how, and each kind has its class. TimeoutError: not within so many seconds,
        which changes nothing for the task.
        """
        task = self.wait(task_id, timeout)
        if not task.state.ended:
            raise TimeoutError(f"task {task_id} has not ended within {timeout} s: it is {task.state.value}")
        return task.result()

    def wait(self, task_id: str, timeout: float | None = None) -> Task:
        """The task when it has ended, or as it is after so many seconds."""
        return self.wait_all([task_id], timeout)[0]

    def wait_all(self, task_ids: Iterable[str], timeout: float | None = None) -> list[Task]:
        """All tasks in this order, when all have ended, or as they are after so many seconds."""
        until = None if timeout is None else monotonic() + timeout
        tasks: list[Task] = []
        for ids in _batches(list(task_ids)):
            tasks += self._wait(ids, until, False)
        return tasks

    def wait_any(self, task_ids: Iterable[str], timeout: float | None = None) -> list[Task]:
        """All tasks in this order, when the first has ended, or as they are after so many seconds. At most 10,000."""
        return self._wait(list(task_ids), None if timeout is None else monotonic() + timeout, True)

    def wait_group(self, name: str, timeout: float | None = None) -> Group:
        """The group when no task of it is unfinished, or as it is after so many seconds. NotFound: no task of it is known."""
        return group_from(self._ask_wait(tasks_pb2.WaitRequest(group=name), None if timeout is None else monotonic() + timeout).group)

    def groups(self, *names: str) -> Iterator[Group]:
        """The groups that are there; with names, those of them."""
        request = tasks_pb2.ListGroupsRequest(names=names, page_size=1000)
        while True:
            page = self._ask("Tasks/ListGroups", request, tasks_pb2.ListGroupsResponse)
            yield from map(group_from, page.groups)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _wait(self, task_ids: Sequence[str], until: float | None, any_of_them: bool) -> list[Task]:
        return [task_from(task) for task in self._ask_wait(tasks_pb2.WaitRequest(ids=task_ids, any=any_of_them), until).tasks]

    def _ask_wait(self, request: tasks_pb2.WaitRequest, until: float | None) -> tasks_pb2.WaitResponse:
        def ask() -> bytes:
            answer_timeout = None
            if until is not None:  # what is left of it, each time
                left = max(0.0, until - monotonic())
                request.timeout.FromTimedelta(timedelta(seconds=left))
                answer_timeout = left + self._timeout
            return self._call_once("Tasks/Wait", request.SerializeToString(), answer_timeout)

        return tasks_pb2.WaitResponse.FromString(self._insist(ask, "Tasks/Wait", True))

    def get(self, task_id: str) -> Task:
        """The task as it is now."""
        answer = self._ask("Tasks/Get", tasks_pb2.GetTaskRequest(id=task_id), tasks_pb2.GetTaskResponse)
        return task_from(answer.task)

    def list(self, *, limit: int | None = None, **selector: Any) -> Iterator[Task]:
        """Tasks, newest first, at most `limit` of them, asked for page by page. What the selector may have: see cancel_where()."""
        request = tasks_pb2.ListTasksRequest(selector=_selector(**selector))
        while True:
            request.page_size = min(1000, limit) if limit is not None else 1000
            answer = self._ask("Tasks/List", request, tasks_pb2.ListTasksResponse)
            for task in answer.tasks:
                if limit is not None and limit <= 0:
                    return
                yield task_from(task)
                limit = None if limit is None else limit - 1
            request.page_token = answer.next_page_token
            if not request.page_token or limit == 0:
                return

    def cancel(self, task_id: str) -> bool:
        """Asks a task to end; wait() tells when it has. True: it was asked; False: it had ended already."""
        answer = self._ask("Tasks/Cancel", tasks_pb2.CancelRequest(id=task_id), tasks_pb2.CancelResponse)
        return bool(answer.ids)

    def cancel_where(self, **selector: Any) -> Sequence[str]:
        """Asks all tasks to end that match; returns their ids.

        ids, pools, names: lists, or one; states: State or its name, or a list; labels: a dict; since, until: submitted at or after, and before,
        this datetime. At least one; all that are given must match; the entries of a list are alternatives.
        """
        request = tasks_pb2.CancelRequest(selector=_selector(**selector))
        ids: list[str] = []
        while True:
            answer = self._ask("Tasks/Cancel", request, tasks_pb2.CancelResponse)
            ids += answer.ids
            if not answer.more:
                return ids

    def signal(self, task_id: str, number: int) -> None:
        """Sends a signal (1 to 64) to the process group of a running command. WrongState: it does not run, or is a function."""
        self._ask("Tasks/Signal", tasks_pb2.SignalRequest(id=task_id, signal=number), tasks_pb2.SignalResponse)

    def logs(self, task_id: str, *, attempt: int = 0, offset: int = 0, follow: bool = False) -> Iterator[LogChunk]:
        """What an attempt (0: the last) has printed, from this offset on (see LogChunk.next_offset), piece by piece.

        follow: go on until the task has ended, with later attempts' output, too. When the connection breaks, it goes on where it was.
        """
        if follow:
            yield from follow_task(self.socket, task_id, attempt, offset, self._reconnect_s, self._known)
            return
        request = tasks_pb2.LogsRequest(id=task_id, attempt=attempt, offset=offset, limit=1024 * 1024)
        while True:
            answer = self._ask("Tasks/Logs", request, tasks_pb2.LogsResponse)
            for chunk in answer.chunks:
                yield chunk_from(chunk, answer.attempt, answer.next_offset)
            if answer.next_offset == request.offset:
                return
            request.offset, request.attempt = answer.next_offset, answer.attempt

    def stream(self, *, cancel_on_close: bool = False) -> Stream:
        """Opens a stream: see Stream. cancel_on_close: its unfinished tasks are cancelled when it closes, however it closes."""
        return self._insist(lambda: Stream(self.socket, cancel_on_close=cancel_on_close, reconnect=self._reconnect_s), "a stream", True)

    # Pools, workers, the daemon.

    def pools(self) -> Sequence[Pool]:
        """All pools, as in common/proto/poold/v1/pools.proto."""
        return list(self._ask("Pools/List", pools_pb2.ListPoolsRequest(), pools_pb2.ListPoolsResponse).pools)

    def pool(self, name: str) -> Pool:
        """One pool."""
        return self._pool("Get", pools_pb2.PoolRequest(name=name))

    def scale(self, name: str, workers: int) -> Pool:
        """Changes the number of slots (0 to 1,000) until the next reload that names another one. Shrinking lets busy workers finish."""
        return self._pool("Scale", pools_pb2.ScalePoolRequest(name=name, workers=workers))

    def pause(self, name: str) -> Pool:
        """Running tasks go on, new ones are accepted; none starts until resume()."""
        return self._pool("Pause", pools_pb2.PoolRequest(name=name))

    def resume(self, name: str) -> Pool:
        """Ends a pause or a drain."""
        return self._pool("Resume", pools_pb2.PoolRequest(name=name))

    def drain(self, name: str) -> Pool:
        """New tasks are refused (WrongState); what was accepted still runs."""
        return self._pool("Drain", pools_pb2.PoolRequest(name=name))

    def recycle(self, name: str) -> Pool:
        """Replaces the workers one by one, each when it is idle."""
        return self._pool("Recycle", pools_pb2.PoolRequest(name=name))

    def workers(self, pool: str = "") -> Sequence[Worker]:
        """The workers of a pool, or all: one a slot, as in common/proto/poold/v1/workers.proto."""
        return list(self._ask("Workers/List", workers_pb2.ListWorkersRequest(pool=pool), workers_pb2.ListWorkersResponse).workers)

    def info(self) -> Info:
        """The daemon: version, process ids, limits; as in common/proto/poold/v1/daemon.proto."""
        return self._ask("Daemon/GetInfo", daemon_pb2.GetInfoRequest(), daemon_pb2.GetInfoResponse)

    def reload(self) -> Sequence[str]:
        """Lets the daemon read its configuration again: what changed. InvalidArgument: the file is wrong; nothing changed."""
        return list(self._ask("Daemon/Reload", daemon_pb2.ReloadRequest(), daemon_pb2.ReloadResponse).changes)

    # The way of a call.

    def request(self, method: str, message: Message, answer: type[M], timeout: float | None = None) -> M:
        """Any unary call by its name, such as "Pools/Get", with the contract's messages (poold.v1.*_pb2)."""
        return self._ask(method, message, answer, timeout)

    def _pool(self, method: str, request: Message) -> Pool:
        return self._ask("Pools/" + method, request, pools_pb2.PoolResponse).pool

    def _ask(self, method: str, message: Any, answer: type[M], timeout: float | None = None) -> M:
        repeatable = (
            method in _REPEATABLE or (method in _REPEATABLE_BY_ID and bool(message.id)) or (method == "Tasks/Submit" and bool(message.key))
        )
        return answer.FromString(self._call(method, message.SerializeToString(), self._timeout if timeout is None else timeout, repeatable))

    def _call(self, method: str, body: bytes, timeout: float | None, repeatable: bool) -> bytes:
        return self._insist(lambda: self._call_once(method, body, timeout), method, repeatable)

    def _insist(self, call: Callable[[], R], what: str, repeatable: bool) -> R:
        """The call's result, after as many tries as it takes while the daemon is away. repeatable: also if the daemon may have got it already."""
        outage: Outage | None = None
        while True:
            begun = monotonic()
            try:
                result = call()
                self._known = True
                return result
            except NotFound as error:
                if outage is None or what not in _OF_KNOWN_TASKS:
                    raise
                raise NotFound(f"{error} (the daemon was restarted meanwhile: a pool with durability: memory loses its tasks then)") from None
            except ConnectionLost as error:
                self._known = True
                if not repeatable and error.arrived is None:
                    raise _unknown(what, error) from None
                reason: Unavailable = error
            except Unavailable as error:
                if error.arrived is not False:
                    raise  # the daemon's own answer: it stops, or its disk is full
                reason = error
            if not self._reconnect_s or not self._known:
                raise reason
            if outage is None:
                outage = Outage(self._reconnect_s)
            outage.again(begun)
            if not outage.pause():
                raise type(reason)(f"{reason} (tried again for {self._reconnect_s:g} s)") from None

    def _call_once(self, method: str, body: bytes, timeout: float | None) -> bytes:
        connection = self._take()
        try:
            return connection.call("poold.v1." + method, body, "application/proto", timeout)
        finally:
            self._give_back(connection)

    def _take(self) -> Connection:
        with self._lock:
            if self._process != os.getpid():  # a fork shares its parent's connections: it needs its own
                for connection in self._idle:
                    connection.close()
                self._idle, self._process = [], os.getpid()
            while self._idle:
                connection = self._idle.pop()
                # Replaced before anything is sent, so that no call has to be repeated.
                if not connection.stale():
                    return connection
                connection.close()
        return Connection(self.socket)

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if connection.reusable and len(self._idle) < _IDLE_MAX and self._process == os.getpid():
                self._idle.append(connection)
                return
        connection.close()


def _unknown(what: str, error: ConnectionLost) -> ConnectionLost:
    """Of a call that the daemon may have got, and that must not be made twice."""
    if what == "Tasks/Submit":
        return ConnectionLost(f"{error}: whether the task was accepted is not known, and without a key (key=...) it cannot be submitted again safely")
    if what == "Tasks/SubmitBatch":
        return ConnectionLost(f"{error}: whether the tasks were accepted is not known, and unless each has a key they cannot be submitted again safely")
    return ConnectionLost(f"{error}: whether {what} was done is not known, and it is not made again by itself")


def _task_id(text: str, duplicate: bool) -> TaskId:
    task_id = TaskId(text)
    task_id.duplicate = duplicate
    return task_id


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _BATCH_MAX):
        yield items[start : start + _BATCH_MAX]


def _several(value: Any) -> Iterable[Any]:
    return [value] if isinstance(value, (str, State)) else value


def _selector(
    *,
    ids: Iterable[str] | str = (),
    pools: Iterable[str] | str = (),
    states: Iterable[State | str] | State | str = (),
    names: Iterable[str] | str = (),
    labels: Mapping[str, str] | None = None,
    groups: Iterable[str] | str = (),
    since: datetime | None = None,
    until: datetime | None = None,
    **unknown: Any,
) -> tasks_pb2.Selector:
    if unknown:
        raise TypeError(f"selector: unknown {', '.join(unknown)} (accepted: ids, pools, states, names, labels, groups, since, until)")
    selector = tasks_pb2.Selector(ids=_several(ids), pools=_several(pools), names=_several(names), labels=labels or {}, groups=_several(groups))
    for state in _several(states):
        try:
            selector.states.append(STATE_NUMBERS[State(state.upper() if isinstance(state, str) else state)])
        except ValueError:
            raise ValueError(f"states: unknown state {state!r} (accepted: {', '.join(known.value.lower() for known in State)})") from None
    if since is not None:
        selector.since.FromDatetime(since)
    if until is not None:
        selector.until.FromDatetime(until)
    return selector
