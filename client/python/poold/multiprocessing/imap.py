"""The iterators of Pool.imap and imap_unordered. A thread takes the items and submits them, so that they may come slowly, or fail."""

from __future__ import annotations

import itertools
from collections import deque
from multiprocessing import TimeoutError
from threading import Condition
from time import monotonic
from typing import Any, Iterable, Iterator, Sequence

from .._crew import Crew


def chunks_of(items: Iterable[Any], size: int) -> Iterator[Sequence[Any]]:
    """The items in lists of this length; the last may be shorter."""
    if isinstance(items, (list, tuple, range)):
        for start in range(0, len(items), size):
            yield items[start : start + size]
        return
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


class IMapIterator:
    """Values in the order of the items. A call that fails raises in its place, and the next goes on."""

    def __init__(self) -> None:
        self._changed = Condition()
        # Calls that were submitted (in order; of unordered ones those that have ended), and values of a chunk that has been begun.
        self._calls: deque[Any] = deque()
        self._values: deque[Any] = deque()
        self._left = 0  # calls that have not been taken
        self._fed = False
        self._error: Exception | None = None  # of the items
        self._chunked = False

    def feed(self, crew: Crew, make: Any, func: Any, iterable: Iterable[Any], chunksize: int) -> None:
        """On a thread of its own: submits all items."""
        self._chunked = chunksize > 1
        error: Exception | None = None
        try:
            if self._chunked:
                for chunk in chunks_of(iterable, chunksize):
                    self._add(crew.submit_chunk(make, func, chunk, False))
            else:
                for item in iterable:
                    self._add(crew.submit(make, func, (item,), {}))
        except Exception as caught:
            error = caught
        with self._changed:
            self._fed, self._error = True, error
            self._changed.notify_all()

    def _add(self, call: Any) -> None:
        with self._changed:
            self._left += 1
            self._calls.append(call)
            self._changed.notify()

    def next(self, timeout: float | None = None) -> Any:
        """The next value. StopIteration: there is none. multiprocessing.TimeoutError: not within so many seconds."""
        until = None if timeout is None else monotonic() + timeout
        while not self._values:
            with self._changed:
                self._changed.wait_for(self._something, None if until is None else max(0.0, until - monotonic()))
                if not self._calls:
                    if not self._fed or self._left:
                        raise TimeoutError(f"there is no value after {timeout} s")
                    error, self._error = self._error, None
                    if error is not None:
                        raise error
                    raise StopIteration
                call = self._calls[0]
            if not call.has_ended(None if until is None else until - monotonic()):
                raise TimeoutError(f"there is no value after {timeout} s")
            self._take(call)
            value = call.load()
            if not self._chunked:
                return value
            self._values.extend(value)
        return self._values.popleft()

    def _something(self) -> bool:
        return bool(self._calls) or (self._fed and not self._left)

    def _take(self, call: Any) -> None:
        with self._changed:
            if self._calls and self._calls[0] is call:
                self._calls.popleft()
                self._left -= 1

    def __iter__(self) -> IMapIterator:
        return self

    def __next__(self) -> Any:
        return self.next()


class IMapUnorderedIterator(IMapIterator):
    """Values in the order in which they come."""

    def _add(self, call: Any) -> None:
        with self._changed:
            self._left += 1
        call.add_done_callback(self._ended)

    def _ended(self, call: Any) -> None:
        with self._changed:
            self._calls.append(call)
            self._changed.notify()
