"""Queue, SimpleQueue and JoinableQueue, on queues of the daemon. They pickle as references, to any process of the program.

put() has put when it returns: there is no feeder thread, and what cannot be pickled is said at once.
"""

from __future__ import annotations

import pickle
from queue import Empty, Full
from typing import Any

from .._by_value import CONTENT_TYPE, dumps
from ..v1 import queues_pb2
from ._calls import Caller, set_timeout
from .._home import socket_for_new
from .synchronize import Condition, Semaphore

_BYTES_MAX = 1 << 30


class Queue:
    """multiprocessing.Queue. maxsize: 0 for as many as the daemon takes (1,000,000 messages, 1 GiB)."""

    def __init__(self, maxsize: int = 0) -> None:
        socket = socket_for_new()
        self._caller = Caller(socket)
        request = queues_pb2.CreateQueueRequest(length_max=max(0, maxsize), bytes_max=_BYTES_MAX)
        self._name = str(self._caller.call("Queues/Create", request, queues_pb2.CreateQueueResponse).queue.name)
        self._maxsize = maxsize
        self._closed = False

    def __getstate__(self) -> Any:
        return self._caller.socket, self._name, self._maxsize

    def __setstate__(self, state: Any) -> None:
        socket, self._name, self._maxsize = state
        self._caller = Caller(socket)
        self._closed = False

    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        """Puts it at the end. queue.Full: there was no room (within so many seconds)."""
        if self._closed:
            raise ValueError(f"Queue {self!r} is closed")
        request = queues_pb2.PutRequest(queue=self._name)
        request.messages.add(content_type=CONTENT_TYPE, data=dumps(obj))
        set_timeout(request, timeout if block else 0.0)
        if not self._caller.call("Queues/Put", request, queues_pb2.PutResponse).put:
            raise Full

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Takes the first. queue.Empty: there was none (within so many seconds)."""
        if self._closed:
            raise ValueError(f"Queue {self!r} is closed")
        request = queues_pb2.GetRequest(queue=self._name)
        set_timeout(request, timeout if block else 0.0)
        answer = self._caller.call("Queues/Get", request, queues_pb2.GetResponse)
        if not answer.messages:
            raise Empty
        return pickle.loads(answer.messages[0].data)

    def put_nowait(self, obj: object) -> None:
        """put() without waiting."""
        self.put(obj, False)

    def get_nowait(self) -> Any:
        """get() without waiting."""
        return self.get(False)

    def qsize(self) -> int:
        """How many are in it now."""
        answer = self._caller.call("Queues/List", queues_pb2.ListQueuesRequest(name=self._name), queues_pb2.ListQueuesResponse)
        return answer.queues[0].length if answer.queues else 0

    def empty(self) -> bool:
        """There is none now."""
        return self.qsize() == 0

    def full(self) -> bool:
        """There is no room now."""
        return 0 < self._maxsize <= self.qsize()

    def close(self) -> None:
        """This process uses it no more."""
        self._closed = True

    def join_thread(self) -> None:
        """Nothing to wait for: put() has put."""

    def cancel_join_thread(self) -> None:
        """Nothing to wait for: put() has put."""


class SimpleQueue(Queue):
    """multiprocessing.SimpleQueue."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Takes the first, when there is one."""
        return super().get(block, timeout)


class JoinableQueue(Queue):
    """multiprocessing.JoinableQueue: join() waits until task_done() was called for everything that was put."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self._unfinished = Semaphore(0)
        self._condition = Condition()

    def __getstate__(self) -> Any:
        return super().__getstate__(), self._unfinished, self._condition

    def __setstate__(self, state: Any) -> None:
        inner, self._unfinished, self._condition = state
        super().__setstate__(inner)

    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        """As Queue.put()."""
        self._unfinished.release()
        try:
            super().put(obj, block, timeout)
        except BaseException:
            self._unfinished._take()
            raise

    def task_done(self) -> None:
        """What was got last has been dealt with. ValueError: this was called more often than put()."""
        with self._condition:
            if not self._unfinished._take():
                raise ValueError("task_done() called too many times")
            if self._unfinished.get_value() == 0:
                self._condition.notify_all()

    def join(self) -> None:
        """Until all has been dealt with."""
        with self._condition:
            while self._unfinished.get_value() != 0:
                self._condition.wait()


__all__ = ["Empty", "Full", "JoinableQueue", "Queue", "SimpleQueue"]
