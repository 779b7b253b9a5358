"""What functions print becomes their task's log: sys.stdout and sys.stderr, the descriptors 1 and 2, C code and child processes alike.

Both descriptors append to a file each, without a name. The executor looks at their sizes after each task: silent tasks cost two calls of lseek.
A task that prints gets its log at its end; one that runs for longer than a few milliseconds is followed by the watcher, so that its output shows
while it runs. Files, not pipes: a pipe that is full would block C code that holds the interpreter, for ever.
"""

from __future__ import annotations

import os
import sys
from fcntl import F_DUPFD_CLOEXEC, F_SETFL, fcntl

from .._wire import frame
from ..v1 import worker_pb2
from .attempt_log import STDERR, STDOUT, AttemptLog, punch_hole
from .exchange import numbers

TYPE_CHECKING = False  # typing itself is not loaded: it would be a good part of the start
if TYPE_CHECKING:
    from .exchange import Exchange

_PIECE = 1024 * 1024
# What was taken is given back to the file system in pieces of this size. Nothing is cut off: a program may be writing just now.
_GIVEN_BACK_AT = 256 * 1024
_IN_MODIFY = 2


class Capture:
    """The output of the running task, and its log once there is some."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._directory = ""
        self._log_size = 0
        self._log: AttemptLog | None = None
        # For each stream: its number in logs, its file, how much of it has been taken, and how much has been given back.
        self._files: list[list[int]] = []
        # Where output goes that is no task's: the daemon's log.
        self._daemon_log = fcntl(2, F_DUPFD_CLOEXEC, 10)

    def begin(self, welcome: worker_pb2.WorkerWelcome) -> None:
        """From now on output is caught. Without a directory for logs it is thrown away."""
        self._directory = welcome.log_directory
        self._log_size = welcome.log_size
        for stream, descriptor in ((STDOUT, 1), (STDERR, 2)):
            file = self._open(f"{welcome.log_directory}/.output-{welcome.slot}-{welcome.generation}-{descriptor}")
            os.dup2(file, descriptor)
            # Kept apart from 1 and 2, which are the functions' to change.
            if self._directory:
                self._files.append([stream, fcntl(file, F_DUPFD_CLOEXEC, 10), 0, 0])
            os.close(file)
        _write_at_once()

    def _open(self, path: str) -> int:
        if not self._directory:
            return os.open("/dev/null", os.O_WRONLY)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            os.unlink(path)
        except OSError:
            # A directory that cannot be written to costs the output, not the tasks.
            file = os.memfd_create("poold-output")
        fcntl(file, F_SETFL, os.O_APPEND)
        return file

    def take(self, payload: bytes) -> None:
        """Moves what is new to the log of the attempt that this frame began. Called with the lock held."""
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except Exception:  # replaced or closed by a function
            pass
        for entry in self._files:
            size = os.lseek(entry[1], 0, os.SEEK_END)
            if size != entry[2]:
                self._take_file(entry, size, payload)

    def _take_file(self, entry: list[int], size: int, payload: bytes) -> None:
        stream, file, taken, given_back = entry
        while taken < size and (data := os.pread(file, min(size - taken, _PIECE), taken)):
            taken += len(data)
            self._log_of(payload).append(stream, data)
        entry[2] = taken
        if taken - given_back > _GIVEN_BACK_AT and punch_hole(file, given_back, taken - given_back):
            entry[3] = taken

    def _log_of(self, payload: bytes) -> AttemptLog:
        if self._log is None:
            task = worker_pb2.ToWorker.FromString(payload).task
            self._log = AttemptLog(self._directory, task.id, task.attempt, self._log_size)
            if self._log.exists:
                answer = worker_pb2.FromWorker()
                answer.output.task = task.task
                answer.output.attempt = task.attempt
                self._exchange.add_about(numbers(task.task, task.attempt), frame(answer.SerializeToString()), False)
        return self._log

    def end_task(self) -> None:
        """The attempt is over; take() was called. Only for one that has a log."""
        if self._log is not None:
            self._log.finish()
            self._log = None

    def leave_to_daemon(self) -> None:
        """What was printed while no task ran goes to the daemon's log."""
        for entry in self._files:
            _, file, taken, _ = entry
            if os.lseek(file, 0, os.SEEK_END) != taken:
                data = os.pread(file, _PIECE, taken)
                entry[2] = taken + len(data)
                os.write(self._daemon_log, data)

    def complain(self, text: str) -> None:
        """Writes a line of this worker's own to the daemon's log."""
        os.write(self._daemon_log, f"poold.worker: {text}\n".encode(errors="backslashreplace"))

    def follow(self) -> int:
        """A descriptor that becomes readable when there is new output; -1 if that cannot be told. The caller closes it."""
        try:
            from ctypes import CDLL
        except ImportError:
            return -1
        libc = CDLL(None)
        watch = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        for _, file, _, _ in self._files:
            libc.inotify_add_watch(watch, b"/proc/self/fd/%d" % file, _IN_MODIFY)
        return watch


def _write_at_once() -> None:
    """Python's text goes out line by line, C's at once: neither may keep a task's output back for the next."""
    for text in (sys.stdout, sys.stderr):
        if text is not None and hasattr(text, "reconfigure"):
            text.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    try:
        from ctypes import CDLL, c_void_p
    except ImportError:
        return
    libc = CDLL(None)
    unbuffered = 2  # _IONBF
    libc.setvbuf(c_void_p.in_dll(libc, "stdout"), None, unbuffered, 0)
