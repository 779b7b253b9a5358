"""The second thread: watches the lifeline always, and does the executor's work at the pipes once a function has run for 5 ms, so that tasks can
be taken back and cancelled meanwhile, and what the function prints shows.

It needs the interpreter for that. A function in C code that does not let go of it is not interrupted, and the tasks behind it wait.
"""

from __future__ import annotations

import os
import select
import signal
from _thread import start_new_thread
from time import monotonic

from ..errors import ProtocolError
from .exchange import LIFELINE, RESULT_PIPE, TASK_PIPE, EngineGone, Exchange
from .ring import map_ring
from .session import end_with_session

TYPE_CHECKING = False  # typing itself is not loaded: it would be a good part of the start
if TYPE_CHECKING:
    from .capture import Capture
    from .script import NoCapture

# Long against handing over, short against the 10 ms that a task may wait behind another.
_TAKEOVER_S = 0.005
# When the executor had the lock at that moment.
_RETRY_S = 0.001


class Watcher:
    """Start it once, from the main thread."""

    def __init__(self, exchange: Exchange, capture: Capture | NoCapture) -> None:
        self._exchange = exchange
        self._capture = capture
        # The frame of the running task and when it began; 0.0 while none runs. Between two tasks they are the former's.
        self.task = b""
        self.since = 0.0
        # The thread will look at `since` in time, or has been woken to do so. Whoever sets this wakes it.
        self.armed = False
        self.started = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # The function whose time it was when the pipes were taken over, 0.0: none. This and what follows are the thread's own.
        self._taken_over = 0.0
        self._look_at: float | None = None
        self._output = -1
        self._poll = select.poll()
        self._poll.register(LIFELINE, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def start(self) -> None:
        """Signals are the functions' business, and their thread's: this one takes none."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        start_new_thread(self._run, ())
        self.started = True
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _outlive_supervisor()

    def arm(self) -> None:
        """A function begins, and nobody looks after it yet. The executor calls this at most once in 5 ms."""
        self.armed = True
        os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        try:
            while True:
                timeout = None if self._look_at is None else max(0.0, self._look_at - monotonic()) * 1000
                ready = [descriptor for descriptor, _ in self._poll.poll(timeout)]
                if LIFELINE in ready:
                    self._look_at_lifeline()
                if self._wake in ready:
                    os.eventfd_read(self._wake)
                if self._output in ready:
                    os.read(self._output, 64 * 1024)
                self._tick(TASK_PIPE in ready, self._output in ready)
        except EngineGone:
            # The executor finds out by itself, and ends when its function does.
            self._watch_lifeline_only()
        except ProtocolError as error:
            self._capture.complain(f"the engine sent what is no protocol: {error}")
            os._exit(1)
        except BaseException as error:  # a defect of ours: better no worker than one that nobody can reach
            self._capture.complain(f"the second thread failed: {error!r}")
            os._exit(1)

    def _watch_lifeline_only(self) -> None:
        poll = select.poll()
        poll.register(LIFELINE, select.POLLIN)
        while True:
            poll.poll()
            if _lifeline_ended():
                end_with_session(0)

    def _look_at_lifeline(self) -> None:
        """New pipes, if the engine was replaced; or the end of the supervisor."""
        exchange = self._exchange
        if exchange.kept is None:
            if _lifeline_ended():
                end_with_session(0)
            return
        # Whoever reads or writes does it with the lock, so no call is under way on the pipes that are replaced. An executor that waits for input
        # finds its pipe ended and gives the lock up.
        exchange.lock.acquire()
        try:
            pipes, ended = _take_pipes()
            if pipes:
                exchange.meet_engine(map_ring(pipes[2]) if len(pipes) > 2 else None)
                written = exchange.flush()
                if self._taken_over:
                    self._watch(TASK_PIPE, select.POLLIN)
                    self._watch(RESULT_PIPE, 0 if written else select.POLLOUT)
            if ended:
                if not exchange.become_orphan():
                    end_with_session(0)
                for descriptor in (LIFELINE, TASK_PIPE, RESULT_PIPE):
                    self._watch(descriptor, 0)
        finally:
            exchange.lock.release()

    def _tick(self, readable: bool, printed: bool) -> None:
        since = self.since
        if self._taken_over and self._taken_over != since:
            self._release()
            readable = False  # the executor has read since
        if since == 0.0:
            return self._disarm()
        now = monotonic()
        if self._taken_over == 0.0 and now - since < _TAKEOVER_S:
            self._look_at = since + _TAKEOVER_S
        elif self._take_over(since, readable, printed):
            self._disarm()
        else:
            # Not watching the pipes meanwhile: what lies there would wake this thread over and over.
            self._release()
            self._look_at = now + _RETRY_S

    def _disarm(self) -> None:
        """Nothing is to be looked at by the clock; the executor arms for the next function."""
        self._look_at = None
        self.armed = False
        # It may have begun one in between and have relied on this thread.
        since = self.since
        if since not in (0.0, self._taken_over) and not self.armed:
            self.armed = True
            self._look_at = since + _TAKEOVER_S

    def _take_over(self, since: float, readable: bool, printed: bool) -> bool:
        """False: the executor is back at the pipes."""
        exchange = self._exchange
        first = self._taken_over == 0.0
        if not exchange.lock.acquire(False):
            return False
        try:
            if self.since != since:
                return False
            # Few calls, and the answers first: each call lets go of the interpreter, and somebody counts the milliseconds.
            if readable:
                exchange.read_ahead()
            written = exchange.flush()
            if first:
                self._follow_output()
            if first or printed:
                self._capture.take(self.task)
                written = exchange.flush()
            reads = not exchange.closed and not exchange.full
        finally:
            exchange.lock.release()
        self._taken_over = since
        # What came before shows at once in the next poll.
        self._watch(TASK_PIPE, select.POLLIN if reads else 0)
        self._watch(RESULT_PIPE, 0 if written else select.POLLOUT)
        return True

    def _release(self) -> None:
        """The function has ended, and the executor has the pipes."""
        self._taken_over = 0.0
        self._watch(TASK_PIPE, 0)
        self._watch(RESULT_PIPE, 0)
        if self._output >= 0:
            self._watch(self._output, 0)
            os.close(self._output)
            self._output = -1

    def _follow_output(self) -> None:
        self._output = self._capture.follow()
        if self._output >= 0:
            self._watch(self._output, select.POLLIN)

    def _watch(self, descriptor: int, events: int) -> None:
        if events:
            self._poll.register(descriptor, events)
            return
        try:
            self._poll.unregister(descriptor)
        except KeyError:
            pass


def _outlive_supervisor() -> None:
    """The supervisor lets the kernel kill programs that it does not know when it dies. This one ends by itself, with what its functions started,
    which would be left behind otherwise."""
    try:
        from ctypes import CDLL
    except ImportError:
        return
    pr_set_pdeathsig = 1
    CDLL(None).prctl(pr_set_pdeathsig, 0, 0, 0, 0)


def _take_pipes() -> tuple[list[int], bool]:
    """The newest pipes that came over the lifeline, in place of the old ones, with the result ring's descriptor if there is one; and whether the
    supervisor is gone. Of several the newest counts: what was sent through the others is known to have been lost."""
    from array import array
    from socket import CMSG_LEN, MSG_CMSG_CLOEXEC, MSG_DONTWAIT, socket

    newest: list[int] = []
    lifeline = socket(fileno=os.dup(LIFELINE))
    try:
        while True:
            try:
                data, messages, _, _ = lifeline.recvmsg(64, CMSG_LEN(8 * 4), MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return newest, False
            except OSError:
                return newest, True
            descriptors = [descriptor for _, _, content in messages for descriptor in array("i", content)]
            if not data and not descriptors:
                return newest, True
            if data != b"pipes" or len(descriptors) < 2:
                for descriptor in descriptors:
                    os.close(descriptor)
                continue
            for descriptor in newest[2:]:
                os.close(descriptor)
            for theirs, ours in zip(descriptors, (TASK_PIPE, RESULT_PIPE)):
                os.dup2(theirs, ours, inheritable=False)
                os.close(theirs)
            os.set_blocking(RESULT_PIPE, False)
            newest = list(descriptors)
    finally:
        lifeline.close()


def _lifeline_ended() -> bool:
    """The supervisor is gone. What it may send here is for workers of pools on disk."""
    try:
        return not os.read(LIFELINE, 4096)
    except OSError as error:
        return not isinstance(error, BlockingIOError)
