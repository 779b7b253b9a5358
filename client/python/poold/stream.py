"""Stream: thousands of tasks in flight over one connection. How they travel is in _traffic.py."""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Iterable, Iterator

from ._traffic import Traffic
from ._wire import varint
from .futures import CANCEL, SIGNAL, Future
from .spec import TaskSpec, Work, make_spec, shared_spec


class Stream(Traffic):
    """Use poold.Client.stream(), best in a `with`, which waits for everything that is unfinished (or, after an exception, closes at once).

    Any thread may use it; a fork of this process may not.

    When its connection breaks, because the engine has died or the daemon is restarted, it connects again for as long as its client says (`reconnect`),
    and each unfinished task goes on: one with want_id, on_started, on_output or a key is found by its id (output goes on where it was), one with a key
    whose id had not come yet is submitted again, which is the same task, and what was not sent yet is sent. A future fails with ConnectionLost, whose
    message says why, if its task had been sent with none of these, if the daemon does not know the task any more (pools with `durability: memory` lose
    theirs with the engine; keys, too), or if the daemon stays away for too long: then the stream is at its end. Signals are not repeated, cancels are.
    """

    def submit(
        self,
        work: Work,
        /,
        *args: Any,
        want_id: bool = False,
        on_started: Callable[..., object] | None = None,
        on_output: Callable[..., object] | None = None,
        **kwargs: Any,
    ) -> Future:
        """Hands a task to the daemon. Work, arguments and options are those of poold.Client.submit.

        want_id: the future's `id` is set once the task is accepted. on_started: called with the attempt and its poold.tasks.Placement when a worker
        begins. on_output: called with a poold.LogChunk for each piece of output. Both run on the stream's thread and must not block. What is refused
        shows in the future. ConnectionLost: the stream has broken for good. Blocks while more than 4 MiB of submissions wait to be sent, as they do while
        there is no connection.
        """
        if isinstance(work, TaskSpec) and not args and not kwargs:
            spec = work
        else:
            spec = (shared_spec(work, args, kwargs) if len(args) == 1 else None) or make_spec(work, args, kwargs)
        if not (want_id or on_started or on_output):
            return self.submit_spec(spec)
        wishes = (b"\x18\x01" if want_id else b"") + (b"\x20\x01" if on_started else b"") + (b"\x28\x01" if on_output else b"")
        return self.submit_spec(spec, wishes, on_started, on_output)

    def map(self, work: Work, items: Iterable[Any], *, window: int = 1024, **options: Any) -> Iterator[Any]:
        """The function's results for each item, in order, with at most `window` tasks in flight: items may be endless. The first task that does not
        succeed ends it with its TaskError."""
        futures: deque[Future] = deque()
        for item in items:
            if len(futures) >= window:
                yield futures.popleft().result()
            futures.append(self.submit(work, item, **dict(options)))
        while futures:
            yield futures.popleft().result()

    def cancel(self, future: Future) -> bool:
        """As Future.cancel()."""
        return self.ask(future, CANCEL)

    def signal(self, future: Future, number: int) -> bool:
        """Sends a signal (1 to 64) to a running command; one that does not run does not get it. False: it has ended."""
        if not 1 <= number <= 64:
            raise ValueError(f"signal: {number} is not from 1 to 64")
        return self.ask(future, SIGNAL, b"\x10" + varint(number))

    @property
    def pending(self) -> int:
        """How many submissions have no result yet."""
        return len(self._pending)

    def join(self, timeout: float | None = None) -> None:
        """Waits until nothing is unfinished. TimeoutError: not within so many seconds."""
        with self.lock:
            self._send()
            if not self._idle.wait_for(lambda: not self._pending, timeout):
                raise TimeoutError(f"{len(self._pending)} tasks have not ended within {timeout} s")

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.join()
        finally:
            self.close()
