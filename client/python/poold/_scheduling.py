"""The options of a task that say when it may run, beside how many others, and what follows when it fails: from Python's values to a TaskSpec's fields.

Each error names the option and what is accepted. What the daemon alone can know (whether a task to wait for exists) it says itself.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from typing import Any, Callable

from .v1 import task_pb2

_DURATIONS = ("delay", "ttl", "backoff", "backoff_max", "timeout", "grace", "deadline")
_SECONDS_MAX = 10 * 365 * 24 * 3600
SCHEDULING = frozenset((*_DURATIONS, "at", "after", "after_any", "on_parent_failure", "hold", "limits", "retry_on", "group", "after_group", "when_full"))


def scheduling_fields(options: Mapping[str, Any]) -> bytes:
    """The fields of a TaskSpec for these options, those that are None left out. TypeError, ValueError: one is not what it has to be."""
    spec = task_pb2.TaskSpec()
    for what, value in options.items():
        if value is not None:
            _WRITERS[what](spec, what, value)
    if options.get("delay") is not None and options.get("at") is not None:
        raise ValueError("at: either delay or at")
    return spec.SerializeToString()


def _write_duration(spec: task_pb2.TaskSpec, what: str, value: Any) -> None:
    accepted = "seconds or a datetime.timedelta"
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what}: {accepted} are wanted, not {type(value).__name__}")
    if not 0 <= value <= _SECONDS_MAX:
        raise ValueError(f"{what}: {value!r} is not from 0 to {_SECONDS_MAX} seconds")
    field = getattr(spec, what)
    fraction, whole = math.modf(value)
    field.seconds, field.nanos = int(whole), int(fraction * 1e9)
    field.SetInParent()


def _write_at(spec: task_pb2.TaskSpec, what: str, value: Any) -> None:
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            raise ValueError(f"{what}: a datetime with a time zone is wanted, such as datetime.datetime.now().astimezone()")
        value = value.timestamp()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what}: a datetime.datetime, or seconds since 1970, is wanted, not {type(value).__name__}")
    if not 0 <= value < 2**33:
        raise ValueError(f"{what}: {value!r} is no time from 1970 on")
    fraction, whole = math.modf(value)
    spec.at.seconds, spec.at.nanos = int(whole), int(fraction * 1e9)


def _write_ids(spec: task_pb2.TaskSpec, what: str, value: Any) -> None:
    ids = [value] if isinstance(value, str) else value
    if not isinstance(ids, Iterable):
        raise TypeError(f"{what}: an id or several are wanted, not {type(value).__name__}")
    for item in ids:
        if not isinstance(item, str):
            raise TypeError(f"{what}: ids are texts, not {type(item).__name__}")
        getattr(spec, what).append(item)


def _write_parent_failure(spec: task_pb2.TaskSpec, what: str, value: Any) -> None:
    if value not in ("cancel", "release"):
        raise ValueError(f"{what}: {value!r} is not 'cancel' or 'release'")
    spec.on_parent_failure = task_pb2.TaskSpec.RELEASE if value == "release" else task_pb2.TaskSpec.CANCEL


def _write_when_full(spec: task_pb2.TaskSpec, what: str, value: Any) -> None:
    if value not in ("refuse", "wait"):
        raise ValueError(f"{what}: {value!r} is not 'refuse' or 'wait'")
    spec.when_full = task_pb2.TaskSpec.WAIT if value == "wait" else task_pb2.TaskSpec.REFUSE


def _write_hold(spec: task_pb2.TaskSpec, what: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{what}: True or False is wanted, not {type(value).__name__}")
    spec.hold = value


def _write_text(spec: task_pb2.TaskSpec, what: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{what}: a text is wanted, not {type(value).__name__}")
    setattr(spec, what, value)


def _write_limits(spec: task_pb2.TaskSpec, what: str, value: Any) -> None:
    if isinstance(value, str):
        value = {value: 1}
    if not isinstance(value, Mapping):
        if not isinstance(value, Iterable):
            raise TypeError(f"{what}: a name, names, or tokens by name are wanted, not {type(value).__name__}")
        value = {name: 1 for name in value}
    for name, tokens in value.items():
        if not isinstance(name, str) or isinstance(tokens, bool) or not isinstance(tokens, int):
            raise TypeError(f"{what}: tokens by name are wanted, not {name!r}: {tokens!r}")
        if not 1 <= tokens < 2**32:
            raise ValueError(f"{what}: {name!r}: {tokens} is not at least 1")
        spec.limits[name] = tokens


def _write_retry_on(spec: task_pb2.TaskSpec, what: str, value: Any) -> None:
    words = [value] if isinstance(value, (str, int)) else value
    if not isinstance(words, Iterable):
        raise TypeError(f"{what}: kinds of outcome and exit codes are wanted, not {type(value).__name__}")
    for word in words:
        if isinstance(word, bool) or not isinstance(word, (str, int)):
            raise TypeError(f"{what}: a kind of outcome or an exit code is wanted, not {type(word).__name__}")
        spec.retry_on.append(word.upper() if isinstance(word, str) else str(word))


_WRITERS: dict[str, Callable[[task_pb2.TaskSpec, str, Any], None]] = {
    **dict.fromkeys(_DURATIONS, _write_duration),
    "at": _write_at,
    "after": _write_ids,
    "after_any": _write_ids,
    "on_parent_failure": _write_parent_failure,
    "hold": _write_hold,
    "limits": _write_limits,
    "retry_on": _write_retry_on,
    "group": _write_text,
    "after_group": _write_text,
    "when_full": _write_when_full,
}
