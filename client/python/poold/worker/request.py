"""Tasks as they came become calls: which function, with what.

The usual frame is cut by hand (see _wire.py); anything that is written in another way than the engine writes it goes through the generated classes.
"""

from __future__ import annotations

from .._values import decode, decode_entry
from .._wire import bytes_field, match_task, read_varint
from ..v1 import task_pb2, worker_pb2
from . import memory
from .exchange import ident_of
from .lookup import Functions
from .outcome import OCTETS
from .pickled import CONTENT_TYPE, PICKLE_HEAD, run_pickled

TYPE_CHECKING = False  # typing itself is not loaded: it would be a good part of the start
if TYPE_CHECKING:
    from typing import Any, Callable

    from .script import ScriptFunctions

    # Task and attempt as they are written in frames, the function, and its arguments.
    Call = tuple[bytes, Callable[..., Any], Any, dict[str, Any]]

# Payload.content_type, and the key of its data.
_OCTETS_HEAD = bytes_field(1, OCTETS.encode()) + b"\x12"


class Refused(Exception):
    """The task as it is cannot be run here: the error's type, and a message."""


class Requests:
    """Finds out what a frame asks for."""

    def __init__(self, functions: Functions | ScriptFunctions, say_started: Callable[[bytes], None], flush: Callable[[], None]) -> None:
        self._functions = functions
        # Writes what has gathered, before something is waited for.
        self._flush = flush
        # Tells the engine that this task starts; for those that want it.
        self._say_started = say_started
        # The last function that was found: the bytes of its spec before its length, those of its name, and itself.
        self._last: tuple[bytes, bytes, Callable[..., Any]] = (b"\0", b"", len)

    def prepare(self, payload: bytes) -> Call:
        """Task and attempt, what to call, and with what."""
        match = match_task(payload)
        if match is None:
            return self._prepare_slowly(payload)
        at = match.end()
        size, _ = read_varint(match[3], 0)
        end = at + size
        if end != len(payload):  # all that may follow is want_started
            self._say_started(match[1])
        try:
            function, at = self._find_in_spec(payload, at, end)
            if payload[at : at + 1] == b"\x22":
                data_at = read_varint(payload, at + 1)[1]
                if payload.startswith(PICKLE_HEAD, data_at):
                    size, data_at = read_varint(payload, data_at + len(PICKLE_HEAD))
                    if data_at + size == end:
                        return match[1], run_pickled, (function, payload[data_at:end]), {}
            args, kwargs = _arguments(payload, at, end)
        except (ValueError, IndexError):
            return self._prepare_slowly(payload)
        return match[1], function, args, kwargs

    def _find_in_spec(self, data: bytes, at: int, end: int) -> tuple[Callable[..., Any], int]:
        """The function of these bytes of a TaskSpec, and where its arguments begin. ValueError, IndexError: they are not written as usual."""
        fields, name, function = self._last
        if data.startswith(fields, at):  # mostly it is the last one's pool, options and name again
            size, name_at = read_varint(data, at + len(fields))
            if data.startswith(name, name_at) and name_at + size == end:
                return function, name_at + len(name)
        function_at = _function_of_spec(data, at, end)
        _, name_at = read_varint(data, function_at)
        if data[name_at] != 0x0A:
            raise ValueError("no name")
        size, text_at = read_varint(data, name_at + 1)
        arguments_at = text_at + size
        function = self._find(data[text_at:arguments_at].decode())
        self._last = data[at:function_at], data[name_at:arguments_at], function
        return function, arguments_at

    def _prepare_slowly(self, payload: bytes) -> Call:
        """The same for a task that was written in another way than most: by the generated classes."""
        task = worker_pb2.ToWorker.FromString(payload).task
        spec = task.spec
        if task.want_started and match_task(payload) is None:
            self._say_started(ident_of(payload))
        if spec.WhichOneof("work") != "function":
            raise Refused("TypeError", "this worker runs functions, not commands")
        call = spec.function
        function = self._find(call.name)
        if call.HasField("payload"):
            data = self._shared(task) if call.payload.shared_size else call.payload.data
            if call.payload.content_type == CONTENT_TYPE:
                return ident_of(payload), run_pickled, (function, data), {}
            _check_octets(call.payload.content_type)
            return ident_of(payload), function, (_given(data),), {}
        args = [_plain(value) for value in call.args]
        return ident_of(payload), function, args, {key: _plain(value) for key, value in call.kwargs.items()}

    def _shared(self, task: worker_pb2.WorkerTask) -> memoryview:
        if memory.active is None:
            raise Refused("TypeError", "payload: it is in shared memory, and this worker has no socket for that")
        return memory.active.receive(task.task, task.attempt, task.spec.function.payload.shared_size, self._flush)

    def _find(self, name: str) -> Callable[..., Any]:
        function = self._functions.find(name)
        if function is None:
            raise Refused("UnknownFunction", self._functions.explain_missing(name))
        return function


def _function_of_spec(data: bytes, at: int, end: int) -> int:
    """Where in these bytes of a TaskSpec the length of its function stands. ValueError: it has none, or something follows it."""
    while at < end:
        field = data[at]
        number, at_next = read_varint(data, at + 1)
        if field == 0x5A:
            if at_next + number != end:
                break
            return at + 1
        if field in (0x0A, 0x12, 0x1A, 0x3A):  # pool, name, key, a label
            at_next += number
        elif field not in (0x20, 0x28, 0x30):  # priority, attempts, crash_attempts
            break
        at = at_next
    raise ValueError("no function")


def _arguments(data: bytes, at: int, end: int) -> tuple[Any, dict[str, Any]]:
    """The arguments in these bytes of a Function. ValueError, IndexError: they are not written as usual."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    while at < end:
        field = data[at]
        size, at = read_varint(data, at + 1)
        field_end = at + size
        if field == 0x12:
            args.append(decode(data, at, field_end))
        elif field == 0x1A:
            key, value = decode_entry(data, at, field_end)
            kwargs[key] = value
        elif field == 0x22 and field_end == end:
            return (_octets(data[at:end]),), kwargs
        else:
            raise ValueError("an unknown field")
        at = field_end
    return args, kwargs


def _octets(data: bytes) -> bytes | memoryview:
    """The bytes of a Payload that is no more than bytes. ValueError: they are elsewhere."""
    if data.startswith(_OCTETS_HEAD):
        size, at = read_varint(data, len(_OCTETS_HEAD))
        if at + size == len(data):
            return _given(data[at:])
    payload = task_pb2.Payload.FromString(data)
    if payload.shared_size:
        raise ValueError("in shared memory")
    _check_octets(payload.content_type)
    return _given(payload.data)


def _check_octets(content_type: str) -> None:
    if content_type not in ("", OCTETS):
        raise Refused("TypeError", f"payload: type {content_type!r} is not accepted here (accepted: {OCTETS})")


def _given(data: bytes | memoryview) -> bytes | memoryview:
    """As functions get it: in a pool with shared memory always a memoryview, so that it does not depend on the size."""
    return data if memory.active is None else memoryview(data)


def _plain(value: Any) -> Any:
    data = value.SerializeToString()
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    if kind == "struct_value":
        return {key: _plain(item) for key, item in value.struct_value.fields.items()}
    return decode(data, 0, len(data))


def wrong_arguments(function: Any, args: Any, kwargs: dict[str, Any]) -> str:
    """What is wrong with a call that Python refused; empty if the arguments fit, and the error is the function's own."""
    from inspect import signature

    name = getattr(function, "__qualname__", repr(function))
    try:
        form = signature(function)
    except (TypeError, ValueError):
        return ""
    try:
        form.bind(*args, **kwargs)
    except TypeError as error:
        return f"{name}{form}: {error}"
    return ""
