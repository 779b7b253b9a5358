"""The decorator `@poold.task`, and the names by which functions are called.

A decorated function remains an ordinary function. What the decorator adds is a note of its name and of the options that a submission of it
shall have unless the caller says otherwise; and, in a worker, the function's place in the list of what can be called. How a worker finds a
function by name is in worker/lookup.py.
"""

from __future__ import annotations

# Not typing.TYPE_CHECKING: loading typing would be a good part of a worker's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta
    from typing import Any, Callable, Literal, Mapping, TypeVar, Union, overload

    F = TypeVar("F", bound=Callable[..., Any])
    Duration = Union[float, timedelta]
    Words = Union[str, Iterable[str]]

NOTE = "__poold_task__"

# The options that may have defaults: all of poold.spec.OPTIONS but the key, which is one task's. Not taken from there: a worker has no use for
# what that loads.
_DEFAULTS = frozenset(
    ("pool", "priority", "attempts", "crash_attempts", "labels", "delay", "at", "ttl", "after", "after_any", "on_parent_failure", "hold")
    + ("limits", "backoff", "backoff_max", "retry_on", "timeout", "grace", "deadline", "group", "after_group", "when_full")
)


class TaskOptions:
    """What @poold.task noted about a function: its name, and defaults for the options of poold.Client.submit (None: not given)."""

    __slots__ = ("name", "given")

    def __init__(self, name: str, given: dict[str, Any]) -> None:
        self.name = name
        self.given = given


# Every decorated function, by name, in the order of decoration.
registry: dict[str, Callable[..., Any]] = {}


class NameTaken(ValueError):
    """Two functions were decorated with the same name."""


if TYPE_CHECKING:

    @overload
    def task(function: F, /) -> F: ...
    @overload
    def task(
        *,
        name: str | None = None,
        pool: str | None = None,
        priority: int | None = None,
        attempts: int | None = None,
        crash_attempts: int | None = None,
        labels: Mapping[str, str] | None = None,
        delay: Duration | None = None,
        at: datetime | float | None = None,
        ttl: Duration | None = None,
        after: Words | None = None,
        after_any: Words | None = None,
        on_parent_failure: Literal["cancel", "release"] | None = None,
        hold: bool | None = None,
        limits: Words | Mapping[str, int] | None = None,
        backoff: Duration | None = None,
        backoff_max: Duration | None = None,
        retry_on: str | int | Iterable[str | int] | None = None,
        timeout: Duration | None = None,
        grace: Duration | None = None,
        deadline: Duration | None = None,
        group: str | None = None,
        after_group: str | None = None,
        when_full: Literal["refuse", "wait"] | None = None,
    ) -> Callable[[F], F]: ...


def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    **options: Any,
) -> Any:
    """Makes a function callable through poold by a name of its own: `@poold.task`, or `@poold.task(name="resize", attempts=3)`.

    name: at most 255 bytes without control characters; by default the function's own name (for a method, "Class.method").
    options: pool, priority, attempts, crash_attempts, labels, delay, at, ttl, after, after_any, on_parent_failure, hold, limits, backoff,
    backoff_max, retry_on, timeout, grace, deadline, group, after_group, when_full. They are defaults for poold.Client.submit, Stream.submit and map when they are given this
    function, and mean what they mean there, where wrong values are refused, too.
    NameTaken: another function has this name already. TypeError: there is no such option.
    """
    unknown = options.keys() - _DEFAULTS
    if unknown:
        raise TypeError(f"@poold.task has no option {', '.join(sorted(unknown))}; there are name, {', '.join(sorted(_DEFAULTS))}")
    given = {key: value for key, value in options.items() if value is not None}

    def decorate(target: F) -> F:
        if not callable(target):
            raise TypeError(f"@poold.task is for functions, not for {type(target).__name__}")
        chosen = name or target.__qualname__.replace("<locals>.", "")
        _register(chosen, target)
        setattr(target, NOTE, TaskOptions(chosen, given))
        return target

    return decorate if function is None else decorate(function)


def _register(name: str, function: Callable[..., Any]) -> None:
    known = registry.get(name)
    # A module that is loaded again brings its functions again.
    if known is not None and full_name(known) != full_name(function):
        raise NameTaken(
            f"{full_name(function)}: the name {name!r} is that of {full_name(known)} already; choose another with @poold.task(name=...)"
        )
    registry[name] = function


def full_name(function: Callable[..., Any]) -> str:
    """module:qualname"""
    return f"{getattr(function, '__module__', '?')}:{getattr(function, '__qualname__', repr(function))}"


def note_of(function: object) -> TaskOptions | None:
    """What the decorator noted, if it did."""
    note = getattr(function, NOTE, None)
    return note if isinstance(note, TaskOptions) else None


def callable_name(function: Callable[..., Any]) -> str:
    """The name by which workers know this function. ValueError: they cannot know it."""
    note = note_of(function)
    if note is not None:
        return note.name
    name = full_name(function)
    module, _, qualname = name.partition(":")
    if "<" in qualname:
        raise ValueError(f"{name}: workers can call functions of a module, but not a lambda or a function inside another one")
    if module == "__main__":
        raise ValueError(f"{name}: workers cannot import the program that runs here; move the function into a module, or give its name")
    return name
