"""Requests for work, as bytes: what poold.Client.submit and poold.Stream.submit send.

A TaskSpec is encoded once, here, by hand (see _wire.py): submitting thousands of small calls costs little more than their arguments.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, Callable, Mapping, Union

from ._functions import callable_name, note_of
from ._memory import SHARED_FROM
from ._scheduling import SCHEDULING, scheduling_fields
from ._values import NotAValue, decode, encode, map_entry
from ._wire import FRAME_SIZE_MAX, bytes_field, varint
from .v1 import task_pb2


@dataclass(frozen=True)
class Payload:
    """Bytes with a MIME type. A result's of more than 256 KiB, from a pool that shares memory, are a read-only memoryview of that."""

    data: bytes | memoryview
    content_type: str = "application/octet-stream"


@dataclass(frozen=True)
class Command:
    """A program and its arguments, run without a shell.

    argv: the program, looked up in PATH unless it contains a slash, and its arguments; text, bytes or paths. env: set in addition to the pool's.
    cwd: an absolute path; empty: the pool's. stdin: what it reads from standard input; None: /dev/null.
    """

    argv: Sequence[str | bytes | os.PathLike[str]]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""
    stdin: bytes | None = None

    def to_field(self) -> bytes:
        """TaskSpec.command"""
        if isinstance(self.argv, (str, bytes)) or not self.argv:
            raise ValueError(f'argv: a list of words is wanted, such as ["ls", "-l"], not {self.argv!r}')
        for name, text in self.env.items():
            if not isinstance(name, str) or not isinstance(text, str):
                raise TypeError(f"env: texts are wanted, not {name!r}: {text!r}")
        if self.stdin is not None and not isinstance(self.stdin, bytes):
            raise TypeError(f"stdin: bytes are wanted, not {type(self.stdin).__name__}")
        message = task_pb2.Command(env=dict(self.env), cwd=os.fspath(self.cwd))
        words = [os.fspath(word) for word in self.argv]
        try:
            message.argv.extend(word.decode() if isinstance(word, bytes) else word for word in words)
        except (UnicodeError, ValueError):  # file names may be any bytes
            del message.argv[:]
            message.argv_bytes.extend(os.fsencode(word) for word in words)
        if self.stdin is not None:
            message.stdin = self.stdin
        return bytes_field(10, message.SerializeToString())

    @staticmethod
    def from_message(message: task_pb2.Command) -> Command:
        """From the contract's message."""
        stdin = message.stdin if message.HasField("stdin") else None
        return Command(list(message.argv) or list(message.argv_bytes), dict(message.env), message.cwd, stdin)


class Function:
    """A call of a function that the pool's workers know: `Function("add", 1, 2, z=3)`.

    The name is one that was given with @poold.task, or "module:qualname"; in place of it the function itself may be given. Arguments are JSON
    values (see _values.py), or the only one is bytes or a Payload, which travels as it is. ValueError: an argument is no JSON value.
    """

    __slots__ = ("name", "args", "kwargs", "defaults")

    def __init__(self, function: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        note = None if isinstance(function, str) else note_of(function)
        self.name: str = function if isinstance(function, str) else callable_name(function)
        self.args = args
        self.kwargs = kwargs
        self.defaults: dict[str, Any] = note.given if note else {}

    def __repr__(self) -> str:
        words = [repr(self.name), *map(repr, self.args), *(f"{key}={value!r}" for key, value in self.kwargs.items())]
        return f"Function({', '.join(words)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and (self.name, self.args, self.kwargs) == (other.name, other.args, other.kwargs)

    def to_field(self) -> bytes:
        """TaskSpec.function"""
        return function_field(self.name, self.args, self.kwargs)

    @staticmethod
    def from_message(message: task_pb2.Function) -> Function:
        """From the contract's message."""
        if message.HasField("payload"):
            return Function(message.name, Payload(message.payload.data, message.payload.content_type))
        values = [value.SerializeToString() for value in message.args]
        keywords = {key: value.SerializeToString() for key, value in message.kwargs.items()}
        return Function(
            message.name, *(decode(data, 0, len(data)) for data in values), **{key: decode(data, 0, len(data)) for key, data in keywords.items()}
        )


def function_field(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """TaskSpec.function"""
    data = _text_field(1, name) + arguments_fields(name, args, kwargs)
    return b"\x5a" + varint(len(data)) + data


def arguments_fields(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """The fields of Function after its name. NotAValue: an argument, which is named, cannot be sent."""
    if len(args) == 1 and not kwargs:
        if isinstance(args[0], (bytes, bytearray, memoryview)):
            return bytes_field(4, _OCTETS_FIELD + bytes_field(2, bytes(args[0])))
        if isinstance(args[0], Payload):
            return bytes_field(4, _text_field(1, args[0].content_type) + bytes_field(2, bytes(args[0].data)))
    parts = []
    index: object = 0
    try:
        for index, value in enumerate(args):
            data = encode(value)
            parts.append(b"\x12" + varint(len(data)) + data)
        for index, value in kwargs.items():
            entry = map_entry(index, encode(value))
            parts.append(b"\x1a" + varint(len(entry)) + entry)
    except NotAValue as error:
        raise NotAValue(f"{name}: argument {index!r}{error}") from None
    return b"".join(parts)


def _text_field(number: int, text: str) -> bytes:
    return bytes_field(number, text.encode())


class SharedTail:
    """The field `task` of a StreamSubmit whose payload is not in the frame, but in shared memory.

    options: the fields before the function; name: the function's; content_type: the payload's, both as fields. parts: its bytes.
    """

    __slots__ = ("_options", "_name", "_content_type", "parts", "size")

    def __init__(self, options: bytes, name: bytes, content_type: bytes, parts: Sequence[Any]) -> None:
        self._options, self._name, self._content_type = options, name, content_type
        self.parts = parts
        self.size = sum(memoryview(part).nbytes for part in parts)

    def announcing(self, size: int) -> bytes:
        """For a payload that travels beside it."""
        return self._with(b"\x18" + varint(size))

    def carrying(self) -> bytes:
        """With the payload itself. ValueError: a frame does not take as much."""
        if self.size > FRAME_SIZE_MAX - 4096:
            raise ValueError(f"a payload of {self.size} bytes; a frame takes {FRAME_SIZE_MAX - 4096}, and this daemon takes no shared memory")
        return self._with(bytes_field(2, b"".join(self.parts)))

    def _with(self, data: bytes) -> bytes:
        function = self._name + bytes_field(4, self._content_type + data)
        spec = self._options + b"\x5a" + varint(len(function)) + function
        return b"\x12" + varint(len(spec)) + spec


class TaskSpec:
    """A request for work with its options, encoded once: to submit the same one many times costs a copy of its bytes.

    work: a Command, a Function, or a list of words. The options are those of poold.Client.submit.
    """

    __slots__ = ("bytes", "tail", "special")

    def __init__(self, work: Union[Command, Function, Sequence[str]], **options: Any) -> None:
        if not isinstance(work, (Command, Function)):
            work = Command(work)
        if isinstance(work, Function):
            options = merged(work.defaults, options)
        # What takes a stream's longer way: a large payload (in place of the bytes and the tail), or a key (True).
        self.special: SharedTail | bool | None = True if options.get("key") else None
        self.bytes = options_fields(**options) + work.to_field()
        # As the field `task` of a StreamSubmit.
        self.tail = b"\x12" + varint(len(self.bytes)) + self.bytes

    @property
    def has_key(self) -> bool:
        """It may be submitted any number of times, and is one task."""
        return self.special is True

    @property
    def waits_for_room(self) -> bool:
        """when_full="wait", its own or its function's: the answer to its submission may take long."""
        # Mostly without a look inside: field 36 as a varint of 1.
        return b"\xa0\x02\x01" in self.bytes and task_pb2.TaskSpec.FromString(self.bytes).when_full == task_pb2.TaskSpec.WAIT


def merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a decorated function, unless others are given."""
    return {**defaults, **{key: value for key, value in given.items() if value is not None}}


def options_fields(
    *,
    pool: str | None = None,
    name: str | None = None,
    key: str | None = None,
    priority: int | None = None,
    attempts: int | None = None,
    crash_attempts: int | None = None,
    labels: Mapping[str, str] | None = None,
    **scheduling: Any,
) -> bytes:
    """The fields of a TaskSpec before its work. TypeError, ValueError: an option is not what it has to be."""
    parts = []
    for number, what, text in ((1, "pool", pool), (2, "name", name), (3, "key", key)):
        if text:
            if not isinstance(text, str):
                raise TypeError(f"{what}: a text is wanted, not {type(text).__name__}")
            parts.append(_text_field(number, text))
    for number, what, count, low, high in (
        (4, "priority", priority, -(2**31), 2**31 - 1),
        (5, "attempts", attempts, 0, 2**32 - 1),
        (6, "crash_attempts", crash_attempts, 0, 2**32 - 1),
    ):
        if count:
            if not isinstance(count, int):
                raise TypeError(f"{what}: a whole number is wanted, not {type(count).__name__}")
            if not low <= count <= high:
                raise ValueError(f"{what}: {count} is not from {low} to {high}")
            parts.append(bytes((number << 3,)) + varint(count))
    for label, text in (labels or {}).items():
        if not isinstance(label, str) or not isinstance(text, str):
            raise TypeError(f"labels: texts are wanted, not {label!r}: {text!r}")
        parts.append(bytes_field(7, _text_field(1, label) + _text_field(2, text)))
    if scheduling:
        unknown = scheduling.keys() - SCHEDULING
        if unknown:
            raise TypeError(f"there is no option {', '.join(sorted(unknown))}")
        parts.append(scheduling_fields(scheduling))
    return b"".join(parts)


_OCTETS_FIELD = _text_field(1, "application/octet-stream")

# What may be given beside a function's arguments; the first four are mostly the same for many tasks.
_STEADY_OPTIONS = ("pool", "priority", "attempts", "crash_attempts")
OPTIONS = frozenset((*_STEADY_OPTIONS, "name", "key", "labels")) | SCHEDULING
_COMMAND_OPTIONS = frozenset(("env", "cwd", "stdin"))
Work = Union[TaskSpec, Command, Function, str, Callable[..., Any], Sequence[Any]]

# A function with such options: its name, and the bytes before its arguments (fields before the function, and the function's name).
_beginnings: dict[tuple[Any, ...], tuple[str, bytes, bytes]] = {}
_BEGINNINGS_MAX = 1000


def _spec_of_call(work: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TaskSpec | None:
    """The quick way, for calls with steady options only; None: it has others."""
    options: tuple[Any, ...] = ()
    if kwargs:
        options = tuple([(option, kwargs[option]) for option in _STEADY_OPTIONS if option in kwargs])
        if len(options) < len(kwargs):
            if not OPTIONS.isdisjoint(kwargs.keys() - _STEADY_OPTIONS):
                return None
            kwargs = {key: value for key, value in kwargs.items() if key not in OPTIONS}
        else:
            kwargs = {}
    key = (work, options)
    beginning = _beginnings.get(key)
    if beginning is None:
        function = Function(work)
        name = _text_field(1, function.name)
        beginning = function.name, options_fields(**merged(function.defaults, dict(options))), name
        if len(_beginnings) >= _BEGINNINGS_MAX:
            _beginnings.clear()
        _beginnings[key] = beginning
    name_text, fields, name = beginning
    data = name + arguments_fields(name_text, args, kwargs) if args or kwargs else name
    spec = TaskSpec.__new__(TaskSpec)
    spec.special = None
    spec.bytes = data = fields + b"\x5a" + varint(len(data)) + data
    spec.tail = b"\x12" + varint(len(data)) + data
    return spec


def shared_spec(work: Work, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TaskSpec | None:
    """The same for a stream, if the only argument is so large that it travels in shared memory; else None. With a key it does not: the daemon compares
    what comes under a key."""
    if len(args) != 1 or not (isinstance(work, str) or callable(work)) or not OPTIONS.issuperset(kwargs) or kwargs.get("key"):
        return None
    payload = args[0] if isinstance(args[0], Payload) else None
    data = payload.data if payload else args[0]
    if not isinstance(data, (bytes, bytearray, memoryview)) or memoryview(data).nbytes <= SHARED_FROM:
        return None
    function = Function(work)
    content_type = _text_field(1, payload.content_type) if payload else _OCTETS_FIELD
    spec = TaskSpec.__new__(TaskSpec)
    spec.bytes = spec.tail = b""
    spec.special = SharedTail(options_fields(**merged(function.defaults, kwargs)), _text_field(1, function.name), content_type, [data])
    return spec


def make_spec(work: Work, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TaskSpec:
    """What submit(work, *args, **kwargs) means: options are taken out of kwargs, the rest is the function's."""
    if isinstance(work, TaskSpec):
        if args or kwargs:
            raise TypeError("a TaskSpec has its arguments and options already")
        return work
    if isinstance(work, (str, FunctionType)):
        spec = _spec_of_call(work, args, kwargs)
        if spec is not None:
            return spec
    options = {key: kwargs.pop(key) for key in OPTIONS & kwargs.keys()}
    if isinstance(work, (Command, Function)):
        if args or kwargs:
            raise TypeError(f"a {type(work).__name__} has its arguments already: {[*args, *kwargs]!r} would be lost")
        return TaskSpec(work, **options)
    if isinstance(work, str) or callable(work):
        return TaskSpec(Function(work, *args, **kwargs), **options)
    if not isinstance(work, Sequence):
        raise TypeError(f"a list of words, a function or its name is wanted, not {type(work).__name__}")
    unknown = kwargs.keys() - _COMMAND_OPTIONS
    if args or unknown:
        raise TypeError(f"a command takes one list of words, and options; not {', '.join([*map(repr, args), *sorted(unknown)])}")
    return TaskSpec(Command(work, **kwargs), **options)
