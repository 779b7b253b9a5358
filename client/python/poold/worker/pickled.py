"""Calls whose arguments and results are pickles, for pools with `accept: pickle`. What a client sends, and why, is in ../_by_value.py.

The payload is a tuple of positional arguments; or a list of those and a dict of the others; or a dict that says that the function is to be called
for each item: {"map": items} or {"starmap": items}. All is done while the task runs, so that what a pickle does when it is loaded or made belongs to
the task. Answers are outcomes, encoded.
"""

from __future__ import annotations

# Without what Python adds around them, for the sake of the start.
from _pickle import dumps as _dumps  # type: ignore[import]
from _pickle import loads as _loads
from itertools import starmap
from sys import modules as _modules

from .._wire import bytes_field, varint
from ..errors import Interrupted
from . import memory
from .outcome import RESULT_SIZE_MAX, raised

TYPE_CHECKING = False  # typing itself is not loaded: it would be a good part of the start
if TYPE_CHECKING:
    from typing import Any, Callable

CONTENT_TYPE = "application/x-python-pickle"
_PROTOCOL = 5
# Payload.content_type, and the key of its data; an Outcome's kind RETURNED, and the key of its payload.
_TYPE_FIELD = bytes_field(1, CONTENT_TYPE.encode())
PICKLE_HEAD = _TYPE_FIELD + b"\x12"
# How a pickle begins, if nothing stands before it.
_PICKLE = 0x80
# Without buffers: what is smaller is not looked at.
_MAYBE_SHARED = 256 * 1024
_RETURNED_PAYLOAD = b"\x08\x02\x32"
# By far the most results: sizes that fit into one byte.
_SMALL_MAX = 0x7F - len(PICKLE_HEAD) - 1
_SMALL = [_RETURNED_PAYLOAD + varint(len(PICKLE_HEAD) + 1 + size) + PICKLE_HEAD + varint(size) for size in range(_SMALL_MAX + 1)]


class ArgumentsNotLoaded(RuntimeError):
    """What the client has pickled cannot be loaded here."""


class ResultNotSendable(RuntimeError):
    """A result, or an exception, that cannot be pickled: why, and what it looks like. Clients make of it what the standard library would raise."""


_knows_connections = False


def _learn_connections() -> None:
    """How they travel, once a function has some: it takes a good part of a worker's start to load."""
    global _knows_connections
    from .. import multiprocessing  # which tells pickle

    del multiprocessing
    _knows_connections = True


def run_pickled(function: Callable[..., Any], data: bytes | memoryview) -> bytes:
    """Calls the function and returns the outcome; only what ends the task from outside comes through."""
    try:
        arguments = _loads(data) if data[0] == _PICKLE else _unpickle(data)
    except Interrupted:
        raise
    except BaseException as error:
        failure = ArgumentsNotLoaded(f"the call arrived in the worker, but cannot be loaded: {type(error).__name__}: {error}")
        failure.__cause__ = error
        return _raised(failure)
    try:
        kind = type(arguments)
        if kind is tuple:
            value = function(*arguments)
        elif kind is list:
            value = function(*arguments[0], **arguments[1])
        elif "map" in arguments:
            value = list(map(function, arguments["map"]))
        else:
            value = list(starmap(function, arguments["starmap"]))
    except Interrupted:
        raise
    except BaseException as error:
        return _raised(error)
    if not _knows_connections and "multiprocessing.connection" in _modules:
        _learn_connections()
    buffers: list[Any] = []
    try:
        if memory.active is None:
            answer = _dumps(value, _PROTOCOL)
        else:
            answer = _dumps(value, _PROTOCOL, buffer_callback=buffers.append)
            if buffers or len(answer) > _MAYBE_SHARED:
                shared = _shared(answer, buffers)
                if shared is not None:
                    return shared
                answer = _dumps(value, _PROTOCOL)
    except Interrupted:
        raise
    except BaseException as error:
        return _raised(ResultNotSendable(error, repr(value)))
    size = len(answer)
    if size <= _SMALL_MAX:
        return _SMALL[size] + answer
    if size > RESULT_SIZE_MAX - len(PICKLE_HEAD):
        what = f"the result is {size} bytes as a pickle; one may have {RESULT_SIZE_MAX - len(PICKLE_HEAD)}: return less at a time, or a file's name"
        return _raised(ResultNotSendable(ValueError(what), repr(type(value))))
    payload = PICKLE_HEAD + varint(size)
    return _RETURNED_PAYLOAD + varint(len(payload) + size) + payload + answer


def _shared(answer: bytes, buffers: list[Any]) -> bytes | None:
    """The outcome with its payload in shared memory; None: it is not large enough for that."""
    from .. import _memory

    if len(answer) + _memory.size_of(buffers) <= _memory.SHARED_FROM:
        return None
    return memory.shared_outcome(_TYPE_FIELD, _memory.pack(answer, buffers))


def _unpickle(data: bytes | memoryview) -> Any:
    """What was pickled with buffers of its own."""
    from .._memory import unpickle

    return unpickle(data)


def call_pickled(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """In a worker: a call whose function came with its arguments."""
    return function(*args, **kwargs)


def call_each(function: Callable[..., Any], items: list[Any], star: bool) -> list[Any]:
    """In a worker: a chunk whose function came with it."""
    return [function(*item) for item in items] if star else list(map(function, items))


def _raised(error: BaseException) -> bytes:
    """RAISED, in words and as the exception itself, if that can be sent."""
    try:
        data = _dumps(error, _PROTOCOL)
        _loads(data)  # many a class of exceptions can be pickled, but not made again from that
    except Exception as second:
        # Of an error while a result was pickled, that is the first argument.
        note = f"the call raised {type(error).__qualname__}({error}), which cannot be sent as it is ({second}): give its class a __reduce__"
        reason, shown = error.args if isinstance(error, ResultNotSendable) else (note, repr(error))
        data = _dumps(ResultNotSendable(Exception(str(reason)), shown), _PROTOCOL)
    return raised(error, 1) + bytes_field(6, PICKLE_HEAD + varint(len(data)) + data)
