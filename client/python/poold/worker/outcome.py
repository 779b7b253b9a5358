"""How a task ended, as the bytes of a poold.v1.Outcome. The common ones are written by hand, the others by the generated class."""

from __future__ import annotations

from .._values import NotAValue, encode
from .._wire import bytes_field, varint
from ..v1 import task_pb2
from . import memory

TYPE_CHECKING = False  # typing itself is not loaded: it would be a good part of the start
if TYPE_CHECKING:
    from types import TracebackType

OCTETS = "application/octet-stream"
# A result is carried on to clients in a frame of theirs, which has a few fields more.
RESULT_SIZE_MAX = 16 * 1024 * 1024 - 4096
_TEXT_SIZE_MAX = 64 * 1024
# Of _memory.SHARED_FROM, which a worker without shared memory does not load.
_SHARED_FROM = 256 * 1024

_KIND_RETURNED = b"\x08\x02"
_OCTETS_FIELD = bytes_field(1, OCTETS.encode())
RETURNED_NONE = _KIND_RETURNED + b"\x2a\x02\x08\x00"
CANCELLED = b"\x08\x08"


def returned(value: object) -> bytes:
    """RETURNED with a value; or with bytes, if they are that; or RAISED, if it is nothing that can be sent."""
    if value is None:
        return RETURNED_NONE
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _returned_bytes(value)
    try:
        data = encode(value)
    except NotAValue as error:
        return _failed(task_pb2.Outcome.RAISED, "ResultNotSendable", f"the result cannot be sent: result{error}. A function returns JSON values, or bytes")
    if len(data) > RESULT_SIZE_MAX:
        return _too_large(len(data))
    return _KIND_RETURNED + b"\x2a" + varint(len(data)) + data


def _returned_bytes(value: bytes | bytearray | memoryview) -> bytes:
    if memory.active is not None and memoryview(value).nbytes > _SHARED_FROM:
        try:
            return memory.shared_outcome(_OCTETS_FIELD, [value])
        except OSError as error:
            return _failed(task_pb2.Outcome.RAISED, "ResultNotSendable", f"there is no shared memory for the result: {error.strerror}")
    data = bytes(value)
    if len(data) > RESULT_SIZE_MAX:
        return _too_large(len(data))
    return _KIND_RETURNED + bytes_field(6, _OCTETS_FIELD + bytes_field(2, data))


def _too_large(size: int) -> bytes:
    return _failed(task_pb2.Outcome.RAISED, "ResultTooLarge", f"the result has {size} bytes, the limit is {RESULT_SIZE_MAX}")


def rejected(error_type: str, message: str) -> bytes:
    """REJECTED: the task as it is cannot be run here."""
    return _failed(task_pb2.Outcome.REJECTED, error_type, message)


def raised(error: BaseException, frames_to_skip: int) -> bytes:
    """RAISED, with the traceback from the function on: the worker's own frames above it are left out."""
    traceback = error.__traceback__
    for _ in range(frames_to_skip):
        traceback = traceback.tb_next if traceback else None
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return _failed(task_pb2.Outcome.RAISED, name, _text_of(error), _format(error, traceback))


def timed_out(error: BaseException) -> bytes:
    """TIMED_OUT: the function was ended by its limit."""
    return _failed(task_pb2.Outcome.TIMED_OUT, type(error).__qualname__, _text_of(error))


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # the function's own class, which may be wrong in any way
        return f"(its text cannot be had: {type(second).__name__})"


def _format(error: BaseException, traceback: TracebackType | None) -> str:
    # Loaded when the first function raises.
    from traceback import format_exception

    try:
        return "".join(format_exception(type(error), error, traceback))
    except Exception as second:
        return f"(its traceback cannot be had: {type(second).__name__})"


def _failed(kind: task_pb2.Outcome.Kind, error_type: str, message: str, traceback: str = "") -> bytes:
    outcome = task_pb2.Outcome(kind=kind)
    outcome.error.type = _sendable(error_type)
    outcome.error.message = _sendable(message)
    outcome.error.traceback = _sendable_end(traceback)
    return outcome.SerializeToString()


def _sendable(text: str) -> str:
    """Its beginning, with what UTF-8 cannot hold escaped."""
    return text[:_TEXT_SIZE_MAX].encode(errors="backslashreplace").decode()


def _sendable_end(text: str) -> str:
    """Its end: of a long traceback the last lines say most."""
    return text[-_TEXT_SIZE_MAX:].encode(errors="backslashreplace").decode()
