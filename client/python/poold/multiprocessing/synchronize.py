"""Lock, RLock, Semaphore, BoundedSemaphore, Condition, Event and Barrier, on semaphores of the daemon, whose holders are known.

When a process dies, what it holds comes back, and the next that waits goes on. They pickle as references, to any process of the program.
How each is made of semaphores: common/proto/poold/v1/semaphores.proto.
"""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import Any, Callable

from ..errors import WrongState
from ..v1 import queues_pb2, semaphores_pb2
from ._calls import Caller, set_timeout
from .._home import socket_for_new

_MOST = 2**31 - 1


class _Base:
    """One semaphore of the daemon."""

    def __init__(self, permits: int, permits_max: int) -> None:
        self._caller = Caller(socket_for_new())
        request = semaphores_pb2.CreateSemaphoreRequest(permits=permits, permits_max=permits_max)
        self._name = str(self._caller.call("Semaphores/Create", request, semaphores_pb2.CreateSemaphoreResponse).semaphore.name)

    def __getstate__(self) -> Any:
        return self._caller.socket, self._name

    def __setstate__(self, state: Any) -> None:
        socket, self._name = state
        self._caller = Caller(socket)

    def _acquire(self, timeout: float | None, *, consume: bool = False, only_wait: bool = False) -> bool:
        request = semaphores_pb2.AcquireRequest(semaphore=self._name, consume=consume, only_wait=only_wait)
        set_timeout(request, timeout)
        call = self._caller.call if consume or only_wait else self._caller.acquire
        return bool(call("Semaphores/Acquire", request, semaphores_pb2.AcquireResponse).acquired)

    def _release(self, count: int = 1, *, waiters_only: bool = False, clamp: bool = False) -> int:
        request = semaphores_pb2.ReleaseSemaphoreRequest(semaphore=self._name, count=count, waiters_only=waiters_only, clamp=clamp)
        return int(self._caller.release("Semaphores/Release", request, semaphores_pb2.ReleaseSemaphoreResponse).released)

    def _shown(self) -> Any:
        request = semaphores_pb2.ListSemaphoresRequest(name=self._name)
        return self._caller.call("Semaphores/List", request, semaphores_pb2.ListSemaphoresResponse).semaphores[0]

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Takes one. False: there was none (within so many seconds)."""
        return self._acquire(_timeout(block, timeout))

    def release(self) -> None:
        """Gives one back."""
        self._release()


def _timeout(block: bool, timeout: float | None) -> float | None:
    if not block:
        return 0.0
    return None if timeout is None else max(0.0, timeout)


class Semaphore(_Base):
    """multiprocessing.Semaphore. What a process has acquired comes back when it dies."""

    def __init__(self, value: int = 1) -> None:
        super().__init__(value, _MOST)

    def get_value(self) -> int:
        """How many are free."""
        return int(self._shown().permits)

    def _take(self) -> bool:
        """Takes one for good, without waiting."""
        return self._acquire(0.0, consume=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self.get_value()})>"


class BoundedSemaphore(Semaphore):
    """multiprocessing.BoundedSemaphore: never has more than in the beginning."""

    def __init__(self, value: int = 1) -> None:
        _Base.__init__(self, value, value)

    def release(self) -> None:
        """Gives one back. ValueError: none was taken."""
        try:
            self._release()
        except WrongState:
            raise ValueError("semaphore or lock released too many times") from None


class Lock(_Base):
    """multiprocessing.Lock. It comes free when the process dies that has it."""

    def __init__(self) -> None:
        super().__init__(1, 1)

    def release(self) -> None:
        """Any process may. ValueError: it is free."""
        try:
            self._release()
        except WrongState:
            raise ValueError("semaphore or lock released too many times") from None

    def _is_mine(self) -> bool:
        return bool(self._caller._holding)

    def _give_up(self) -> int:
        return 1

    def _restore(self, count: int) -> None:
        del count


class RLock(Lock):
    """multiprocessing.RLock: a thread that has it can acquire it again."""

    def __init__(self) -> None:
        super().__init__()
        self._count, self._owner = 0, (0, 0)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._count, self._owner = 0, (0, 0)

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Takes it, or once more."""
        if self._is_mine():
            self._count += 1
            return True
        if not super().acquire(block, timeout):
            return False
        self._count, self._owner = 1, (os.getpid(), threading.get_ident())
        return True

    def release(self) -> None:
        """Once for each acquire(). AssertionError: this thread does not have it."""
        if not self._is_mine():
            raise AssertionError("attempt to release recursive lock not owned by thread")
        if self._count == 1:
            self._count, self._owner = 0, (0, 0)
            super().release()
        else:
            self._count -= 1

    def _is_mine(self) -> bool:
        return self._count > 0 and self._owner == (os.getpid(), threading.get_ident())

    def _give_up(self) -> int:
        count, self._count, self._owner = self._count, 0, (0, 0)
        return count

    def _restore(self, count: int) -> None:
        self._count, self._owner = count, (os.getpid(), threading.get_ident())


class _Number:
    """A number that is looked at."""

    def __init__(self, read: Callable[[], int]) -> None:
        self.get_value = read


class Condition:
    """multiprocessing.Condition. lock: a Lock or RLock of this module; by default an RLock of its own."""

    def __init__(self, lock: Lock | None = None) -> None:
        self._lock = lock or RLock()
        self._wait_semaphore = Semaphore(0)
        self.acquire, self.release = self._lock.acquire, self._lock.release

    def __getstate__(self) -> Any:
        return self._lock, self._wait_semaphore

    def __setstate__(self, state: Any) -> None:
        self._lock, self._wait_semaphore = state
        self.acquire, self.release = self._lock.acquire, self._lock.release

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__()

    # By the standard class's names: how many wait, and how many of these were notified, which here happens in one step.

    @property
    def _sleeping_count(self) -> _Number:
        return _Number(lambda: int(self._wait_semaphore._shown().waiting))

    @property
    def _woken_count(self) -> _Number:
        return _Number(lambda: 0)

    def wait(self, timeout: float | None = None) -> bool:
        """Lets go of the lock, waits for a notification, and takes the lock again. False: none came within so many seconds."""
        if not self._lock._is_mine():
            raise AssertionError("must acquire() condition before using wait()")
        request = semaphores_pb2.AcquireRequest(semaphore=self._wait_semaphore._name, consume=True)
        request.release.add(semaphore=self._lock._name)
        set_timeout(request, None if timeout is None else max(0.0, timeout))
        count = self._lock._give_up()
        try:
            # Over the lock's own connection, so that it is this process's hold that ends.
            answer = self._lock._caller.release("Semaphores/Acquire", request, semaphores_pb2.AcquireResponse)
        finally:
            self._lock._acquire(None)
            self._lock._restore(count)
        return bool(answer.acquired)

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """wait() until it holds: its last value."""
        until = None if timeout is None else monotonic() + timeout
        result = predicate()
        while not result:
            left = None if until is None else until - monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    def notify(self, n: int = 1) -> None:
        """Wakes as many as wait, at most n."""
        if not self._lock._is_mine():
            raise AssertionError("lock is not owned")
        if n > 0:
            self._wait_semaphore._release(n, waiters_only=True)

    def notify_all(self) -> None:
        """Wakes all that wait."""
        self.notify(_MOST)


class Event(_Base):
    """multiprocessing.Event."""

    def __init__(self) -> None:
        super().__init__(0, 1)

    def is_set(self) -> bool:
        """set() was called, and not clear() since."""
        return self._acquire(0.0, only_wait=True)

    def set(self) -> None:
        """All that wait go on."""
        self._release(clamp=True)

    def clear(self) -> None:
        """Those that come have to wait."""
        self._acquire(0.0, consume=True)

    def wait(self, timeout: float | None = None) -> bool:
        """Until it is set. False: not within so many seconds."""
        return self._acquire(None if timeout is None else max(0.0, timeout), only_wait=True)

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} at {id(self):#x} {'set' if self.is_set() else 'unset'}>"


class Barrier(threading.Barrier):
    """multiprocessing.Barrier: the standard one's logic over a Condition; its two numbers are a message in a queue of the daemon's."""

    def __init__(self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None) -> None:
        if parties < 1:
            raise ValueError("parties must be > 0")
        condition = Condition()
        caller = condition._lock._caller
        request = queues_pb2.CreateQueueRequest(length_max=1)
        name = str(caller.call("Queues/Create", request, queues_pb2.CreateQueueResponse).queue.name)
        self.__setstate__((parties, action, timeout, condition, name))
        self._put((0, 0))

    def __getstate__(self) -> Any:
        return self._parties, self._action, self._timeout, self._cond, self._name

    def __setstate__(self, state: Any) -> None:
        self._parties, self._action, self._timeout, self._cond, self._name = state
        self._caller = self._cond._lock._caller

    # Read and written with the condition's lock held.

    def _get(self) -> tuple[int, int]:
        answer = self._caller.call("Queues/Get", queues_pb2.GetRequest(queue=self._name), queues_pb2.GetResponse)
        state, count = answer.messages[0].data.split()
        return int(state), int(count)

    def _put(self, numbers: tuple[int, int]) -> None:
        request = queues_pb2.PutRequest(queue=self._name)
        request.messages.add(data=b"%d %d" % numbers)
        self._caller.call("Queues/Put", request, queues_pb2.PutResponse)

    def _read(self) -> tuple[int, int]:
        numbers = self._get()
        self._put(numbers)
        return numbers

    @property
    def _state(self) -> int:
        return self._read()[0]

    @_state.setter
    def _state(self, value: int) -> None:
        self._put((value, self._get()[1]))

    @property
    def _count(self) -> int:
        return self._read()[1]

    @_count.setter
    def _count(self, value: int) -> None:
        self._put((self._get()[0], value))
