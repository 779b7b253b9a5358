"""Runs tasks, one after the other, in the main thread.

The way of a task that returns is made short: its frame is cut by hand, task and attempt are echoed as they came, results go through memory that
the engine reads (ring.py), which is told of many at a time. It costs a few microseconds, most of which are the interpreter's.
"""

from __future__ import annotations

import os
import signal
import sys
from _thread import get_ident
from time import monotonic

from .._wire import frame, oneof_head, oneof_heads, read_varint, varint
from ..errors import Cancelled, Interrupted, TimeLimit
from ..v1 import worker_pb2
from .capture import Capture
from . import memory
from .exchange import INTERRUPT, VERSION, EngineGone, Exchange, ident_of
from .lookup import Functions
from .outcome import CANCELLED, RETURNED_NONE, raised, rejected, returned, timed_out
from .pickled import run_pickled
from .request import Refused, Requests, wrong_arguments
from .ring import ResultRing
from .session import end_by_signal, end_with_session
from .watcher import Watcher

TYPE_CHECKING = False  # typing itself is not loaded: it would be a good part of the start
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from .kept import WorkerFile
    from .script import NoCapture, Script, ScriptFunctions

# The engine is told of results when nothing is left to do, or when one of these is reached: bytes, seconds.
_GATHERED_MAX = 32 * 1024
_GATHERED_S = 0.001
# How long the second thread may wait for the interpreter, each time it has let go of it. Python's own 5 ms would make every answer late.
_SWITCH_S = 0.0005
# How long frames may lie in the pipe while there are tasks to run: some of them may take tasks back.
_UNREAD_S = 0.002

_HEADS = oneof_heads(2, 256)


class _End(BaseException):
    """SIGTERM came while nothing ran."""


class Executor:
    """One worker's life, from hello to exit."""

    def __init__(self, functions: Functions | ScriptFunctions, ring: ResultRing | None, generation: int, agent: str, script: Script | None = None,
                 file: WorkerFile | None = None) -> None:
        self._functions = functions
        self._generation = generation
        self._agent = agent
        self._exchange = Exchange(ring, self._on_welcome, file)
        self._requests = Requests(functions, self._say_started, self._exchange.flush_all)
        self._script = script
        self._capture: Capture | NoCapture = Capture(self._exchange) if script is None else script.no_capture()
        self._watcher = Watcher(self._exchange, self._capture)
        self._inside = False  # a function runs, and may be interrupted
        self._waiting = False  # for input
        self._ending = False  # SIGTERM came
        self._forked = False  # this is a child that a function forked
        # The signal masks of threads that fork just now.
        self._masks: dict[int, set[Any]] = {}
        self._gathered_since = 0.0
        self._read_at = 0.0

    def run(self) -> int:
        """The exit code."""
        exchange = self._exchange
        exchange.lock.acquire()
        sys.setswitchinterval(min(_SWITCH_S, sys.getswitchinterval()))
        signal.signal(INTERRUPT, self._on_interrupt)
        signal.signal(signal.SIGTERM, self._on_terminate)
        os.register_at_fork(before=self._before_fork, after_in_parent=self._unmask, after_in_child=self._on_fork)
        self._say_hello()
        try:
            if self._script is not None:
                self._initialize(self._script)
            self._work()
            exchange.flush_all()
        except EngineGone:
            pass
        except _End:
            self._finish_writing()
        if self._ending:
            end_by_signal(signal.SIGTERM)
        return 0

    def _initialize(self, script: Script) -> None:
        """Once the engine has answered: from then on the second thread watches."""
        exchange = self._exchange
        while not self._watcher.started and not exchange.closed:
            self._wait()
        exchange.lock.release()
        try:
            self._functions.failure = script.initialize()  # type: ignore[union-attr]
        finally:
            exchange.lock.acquire()

    def _finish_writing(self) -> None:
        try:
            self._exchange.flush_all()
        except EngineGone:
            pass

    def _say_hello(self) -> None:
        message = self._exchange.hello
        message.hello.versions.append(VERSION)
        message.hello.generation = self._generation
        message.hello.agent = self._agent
        message.hello.want_ids = self._script is None  # logs are named by them
        message.hello.shared_memory = memory.active is not None
        message.hello.functions.extend(self._functions.names())
        data = message.SerializeToString()
        self._exchange.add(frame(data))
        self._exchange.flush_all()

    def _on_welcome(self, welcome: worker_pb2.WorkerWelcome) -> None:
        if self._watcher.started:
            return  # by another engine; logs are where they were
        self._capture.begin(welcome)
        self._watcher.start()

    def _work(self) -> None:
        exchange = self._exchange
        held = exchange.held
        while True:
            if held:
                self._run_task(held.popleft())
                continue
            self._watcher.since = 0.0
            exchange.flush_all()
            if exchange.finished or self._ending:
                return
            self._wait()

    def _wait(self) -> None:
        self._waiting = True
        if self._ending:
            return
        self._exchange.wait_for_input()
        self._waiting = False
        self._capture.leave_to_daemon()
        self._read_at = monotonic()

    def _run_task(self, payload: bytes) -> None:
        exchange = self._exchange
        try:
            ident, function, args, kwargs = self._requests.prepare(payload)
        except Refused as refusal:
            return self._add_result(ident_of(payload), rejected(*refusal.args), monotonic())
        watcher = self._watcher
        exchange.running = ident
        watcher.task = payload
        watcher.since = now = monotonic()
        if not watcher.armed:
            watcher.arm()
        error: BaseException | None = None
        value: Any = None
        exchange.lock.release()
        try:
            try:
                self._inside = True
                value = function(*args, **kwargs)
                self._inside = False
            except BaseException as caught:
                self._inside = False
                error = caught
        except BaseException as caught:  # the interrupt, at the worst moment: there is one at most
            self._inside = False
            error = caught
        if self._forked:
            os._exit(0)  # the function forked and its child came back: it has no business here
        exchange.lock.acquire()
        exchange.running = None
        self._capture.take(payload)
        if self._ending and isinstance(error, Interrupted):
            return  # without a result: whoever is told of this worker's end tries the task again
        if error is None and exchange.wish is None:
            outcome = RETURNED_NONE if value is None else value if function is run_pickled else returned(value)
        else:
            outcome = self._outcome_of_trouble(function, args, kwargs, value, error)
        self._capture.end_task()
        now = monotonic()
        if type(outcome) is memory.SharedOutcome:
            self._send_memory(ident, outcome)
        self._add_result(ident, outcome, now)
        if exchange.orphaned:
            exchange.say_last_words()
            end_with_session(0)
        if now - self._read_at > _UNREAD_S and exchange.held:
            self._read_at = now
            exchange.take_in()

    # Results out.

    def _say_started(self, ident: bytes) -> None:
        self._exchange.add(oneof_head(3, len(ident)) + ident)
        self._exchange.flush_all()

    def _add_result(self, ident: bytes, outcome: bytes, now: float) -> None:
        exchange = self._exchange
        if exchange.unrung == 0:
            self._gathered_since = now
        result = ident + b"\x1a" + varint(len(outcome)) + outcome
        size = len(result)
        data = (_HEADS[size] if size < 256 else oneof_head(2, size)) + result
        if exchange.kept is not None:
            exchange.kept.add(ident, data)
        exchange.add(data)
        # What is not safe must be written now: the first task without a result is the one that is charged if this worker dies, and that is
        # to be the next.
        if not exchange.safe or exchange.unrung > _GATHERED_MAX or now - self._gathered_since > _GATHERED_S:
            exchange.flush_all()

    def _send_memory(self, ident: bytes, outcome: memory.SharedOutcome) -> None:
        """Before its frame. What was sent before is written first: the engine takes one from the socket for each frame that it reads."""
        assert memory.active is not None
        self._exchange.flush_all()
        task, at = read_varint(ident, 1)
        try:
            memory.active.send(task, read_varint(ident, at + 1)[0], outcome.descriptor)
        except OSError:
            raise EngineGone from None

    def _outcome_of_trouble(self, function: Any, args: Any, kwargs: dict[str, Any], value: object, error: BaseException | None) -> bytes:
        exchange = self._exchange
        wish, exchange.wish, exchange.wish_granted = exchange.wish, None, False
        if self._ending:
            wish = None  # it was this worker that was to end, and the function has ended in its own way
        if wish is TimeLimit and error is not None:
            return timed_out(error)
        if wish is Cancelled:
            return CANCELLED
        if error is None:
            return value if function is run_pickled else returned(value)  # type: ignore[return-value]
        if isinstance(error, TypeError) and error.__traceback__ and error.__traceback__.tb_next is None:
            complaint = wrong_arguments(function, args, kwargs)
            if complaint:
                return rejected("TypeError", complaint)
        return raised(error, 1)

    # Signals and forks.

    def _on_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        exchange = self._exchange
        if exchange.wish is not None and self._inside and not exchange.wish_granted:
            exchange.wish_granted = True
            raise exchange.wish(_WHY[exchange.wish], exchange.grace)

    def _on_terminate(self, _number: int, _frame: FrameType | None) -> None:
        """The running function is interrupted, the tasks behind it are left to others, and this process ends by this signal."""
        if self._ending:
            end_by_signal(signal.SIGTERM)
        self._ending = True
        self._exchange.held.clear()
        if self._inside:
            if self._exchange.wish is None:
                self._exchange.wish = Cancelled
                self._exchange.wish_granted = True
                raise Cancelled("the worker was told to end")
        elif self._waiting:
            raise _End

    def _before_fork(self) -> None:
        """A signal that comes to the child at once would be handled as this worker's, or be lost: it waits until the child has its own handlers."""
        self._masks[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, (INTERRUPT, signal.SIGTERM))

    def _unmask(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.pop(get_ident()))

    def _on_fork(self) -> None:
        """In a child that a function forked: the pipes are not its business. What a child of that one has is its own."""
        if not self._forked:
            self._forked = True
            os.closerange(3, 6 if self._exchange.file is None else 7)
            if memory.active is not None:
                memory.active.close()
            signal.signal(INTERRUPT, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._unmask()


_WHY = {Cancelled: "the task was cancelled", TimeLimit: "the task's time limit was reached"}
