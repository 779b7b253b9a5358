"""CPython's own test classes with poold's in place of multiprocessing's, put in through their mixin; and with poold.Executor in place of
ProcessPoolExecutor. An importable module, so that workers find the classes. `cpython` runs them and judges."""

import multiprocessing
import os
import select
import types
import unittest

import poold
import poold.multiprocessing as ours
from test import _test_multiprocessing as theirs
from test import test_concurrent_futures as their_futures

MULTIPROCESSING = [
    "_TestPool",
    "_TestPoolWorkerErrors",
    "_TestPoolWorkerLifetime",
    "_TestSubclassingProcess",
    "_TestProcess",
    "_TestConnection",
    "_TestPoll",
    "_TestQueue",
    "_TestLock",
    "_TestSemaphore",
    "_TestCondition",
    "_TestEvent",
    "_TestBarrier",
]
FUTURES = {
    "ProcessPoolExecutorTest": "WithPooldExecutorTest",
    "WaitTests": "WithPooldWaitTests",
    "AsCompletedTests": "WithPooldAsCompletedTests",
    "ProcessPoolShutdownTest": "WithPooldShutdownTest",
    "InitializerMixin": "WithPooldInitializerTest",
    "FailingInitializerMixin": "WithPooldFailingInitializerTest",
    "ExecutorDeadlockTest": "WithPooldDeadlockTest",
}


class ProcessesMixin(theirs.BaseMixin):
    """As theirs of this name."""

    TYPE = "processes"
    Process = ours.Process
    connection = multiprocessing.connection
    current_process = staticmethod(ours.current_process)
    parent_process = staticmethod(ours.parent_process)
    active_children = staticmethod(ours.active_children)
    set_executable = staticmethod(multiprocessing.set_executable)
    Pool = staticmethod(ours.Pool)
    Pipe = staticmethod(ours.Pipe)
    Queue = staticmethod(ours.Queue)
    JoinableQueue = staticmethod(ours.JoinableQueue)
    Lock = staticmethod(ours.Lock)
    RLock = staticmethod(ours.RLock)
    Semaphore = staticmethod(ours.Semaphore)
    BoundedSemaphore = staticmethod(ours.BoundedSemaphore)
    Condition = staticmethod(ours.Condition)
    Event = staticmethod(ours.Event)
    Barrier = staticmethod(ours.Barrier)
    Value = staticmethod(ours.Value)
    Array = staticmethod(ours.Array)
    RawValue = staticmethod(ours.RawValue)
    RawArray = staticmethod(ours.RawArray)


class Place:
    """A worker, as far as their cases look at one."""

    def __init__(self, pid):
        self.pid = pid

    def join(self):
        """Until it is gone."""
        if not self.pid:
            return  # it had not been started
        try:
            process = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        select.select([process], [], [])
        os.close(process)


class ExecutorInPlace(poold.Executor):
    """With the standard executor's argument that has no meaning here, and the names that its cases look at."""

    @property
    def _processes(self):
        return {worker.slot: Place(worker.pid) for worker in self._crew.client.workers(self._crew.pool)}

    def __init__(self, max_workers=None, mp_context=None, initializer=None, initargs=(), *, max_tasks_per_child=None):
        self._mp_context = mp_context or multiprocessing.get_context("spawn")
        super().__init__(max_workers, initializer, initargs, max_tasks_per_child)


class PooldMixin(their_futures.ExecutorMixin):
    """As their ProcessPoolSpawnMixin."""

    executor_type = ExecutorInPlace
    ctx = "spawn"

    def get_context(self):
        """Where their cases take queues and locks from."""
        standard = multiprocessing.get_context(self.ctx)
        return types.SimpleNamespace(Manager=standard.Manager, get_start_method=standard.get_start_method, Queue=ours.Queue,
                                     Semaphore=ours.Semaphore, Lock=ours.Lock, Event=ours.Event, Process=ours.Process)


their_futures.futures.ProcessPoolExecutor = ExecutorInPlace


def _make():
    for name in MULTIPROCESSING:
        yield "WithPoold" + name[1:], (getattr(theirs, name), ProcessesMixin, unittest.TestCase)
    for name, made in FUTURES.items():
        base = getattr(their_futures, name)
        bases = (PooldMixin, base) if issubclass(base, unittest.TestCase) else (PooldMixin, base, their_futures.BaseTestCase)
        yield made, bases


for _name, _bases in _make():
    globals()[_name] = type(_name, _bases, {"__module__": __name__, "__qualname__": _name})
