"""Everything this package raises.

    PooldError
    ├── CallError              a call was refused; `code` is one of Connect's codes, `message` says why
    │   ├── InvalidArgument, NotFound, AlreadyExists, PermissionDenied, ResourceExhausted,
    │   │   WrongState, Unimplemented, InternalError, DeadlineExceeded
    │   └── Unavailable        the daemon cannot be asked now
    │       └── ConnectionLost the connection broke; nobody knows whether the last request arrived
    ├── ProtocolError          what came in is not the protocol
    └── TaskError              a task ended, but not well; `outcome` says how
        ├── TaskRaised, TaskExited, TaskSignaled, TaskTimedOut, TaskOutOfMemory,
        └── WorkerLost, TaskCancelled, TaskExpired, TaskRejected

A wait that takes too long raises Python's own TimeoutError. In workers, Cancelled and TimeLimit arrive in the running function.

Codes and their meaning: https://connectrpc.com/docs/protocol#error-codes
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself is not loaded, for the sake of workers
if TYPE_CHECKING:
    from .tasks import Outcome


class PooldError(Exception):
    """The root of all errors of this package."""


class CallError(PooldError):
    """The daemon refused a call, or could not be asked.

    code: Connect's code, such as "not_found". message: in words; of an invalid argument it begins with the field.
    """

    default_code = "unknown"

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.message = message


class InvalidArgument(CallError):
    """The request is wrong in itself: a field, a value, bytes that are no message."""

    default_code = "invalid_argument"


class NotFound(CallError):
    """No such pool or task."""

    default_code = "not_found"


class AlreadyExists(CallError):
    """The key belongs to a task with another payload."""

    default_code = "already_exists"


class PermissionDenied(CallError):
    """Another user's daemon, or another user's task."""

    default_code = "permission_denied"


class ResourceExhausted(CallError):
    """The pool's queue is full, or there are too many connections."""

    default_code = "resource_exhausted"


class WrongState(CallError):
    """Not in this state: the pool drains, the task is not running. Connect's code is failed_precondition."""

    default_code = "failed_precondition"


class Unimplemented(CallError):
    """A method or an option that this daemon does not have."""

    default_code = "unimplemented"


class InternalError(CallError):
    """A defect of the daemon's."""

    default_code = "internal"


class DeadlineExceeded(CallError):
    """The daemon did not take the request, or did not answer, in time."""

    default_code = "deadline_exceeded"


class Unavailable(CallError):
    """No daemon is there, or it cannot do this now: it is stopping, or its disk is full.

    arrived: whether the daemon got the request. None: that is unknown; one with a key can be repeated safely.
    """

    default_code = "unavailable"
    arrived: bool | None = True


class ConnectionLost(Unavailable):
    """The connection broke, and what was asked for could not be asked for again, or the daemon has not come back, or does not know the task any more: the
    message says which."""

    arrived: bool | None = None


class ProtocolError(PooldError):
    """The other side sent what is not the protocol."""


_by_code = {
    error.default_code: error
    for error in (
        InvalidArgument,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        ResourceExhausted,
        WrongState,
        Unimplemented,
        InternalError,
        DeadlineExceeded,
        Unavailable,
    )
}


def call_error(code: str, message: str) -> CallError:
    """The exception for one of Connect's codes; CallError itself for one without a class."""
    return _by_code.get(code, CallError)(message, code)


class TaskError(PooldError):
    """A task ended, but not well.

    outcome: how. task_id: which one; empty where it is not known.
    """

    def __init__(self, outcome: Outcome, task_id: str = "") -> None:
        super().__init__(str(outcome))
        self.outcome = outcome
        self.task_id = task_id

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.outcome, self.task_id)


class TaskRaised(TaskError):
    """The function raised. outcome.error has the exception's type, message and traceback."""

    def __str__(self) -> str:
        error = self.outcome.error
        traceback = error.traceback.strip() if error else ""
        return f"{super().__str__()}\n\n{traceback}" if traceback else super().__str__()


class TaskExited(TaskError):
    """The command ended with a code other than 0: outcome.exit_code."""


class TaskSignaled(TaskError):
    """The command was ended by a signal: outcome.signal."""


class TaskTimedOut(TaskError):
    """A time limit of the task was reached."""


class TaskOutOfMemory(TaskError):
    """The kernel ended the task for want of memory."""


class WorkerLost(TaskError):
    """The worker died with the task, as often as the task may lose one: outcome.signal or outcome.exit_code."""


class TaskCancelled(TaskError):
    """Somebody cancelled the task."""


class TaskExpired(TaskError):
    """The task was not started in time."""


class TaskRejected(TaskError):
    """The worker refused the task: unknown function, wrong arguments, a payload it does not take. outcome.error says which."""


class Interrupted(BaseException):
    """Raised in a running function, in the worker's main thread, when its task is to end. Like KeyboardInterrupt it is no Exception, so that
    `except Exception` does not swallow it. A function may catch it to clean up; what it does afterwards does not change the outcome.

    grace: how many seconds the function has from now on, before its worker is killed; None: nobody said."""

    def __init__(self, message: str = "", grace: float | None = None) -> None:
        super().__init__(message)
        self.grace = grace


class Cancelled(Interrupted):
    """Somebody cancelled the task, or the worker was told to end. The worker is killed if the function has not ended within `grace`."""


class TimeLimit(Interrupted):
    """The task's time limit was reached: its `timeout`, or its `deadline`. The worker is killed if the function has not ended within `grace`."""
