"""The private daemon of a program: started when it is first used, ended with it, however it ends.

Its socket, its state and its generated configuration are in a temporary directory, with what its workers need: `NAME.setup` for each pool
(worker/script.py), `functions/` with definitions by value (_by_value.py), `ends/` with what workers have printed last, and `desk`, a socket at
which they fetch the program's stdout and stderr.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import pickle
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from multiprocessing import current_process
from threading import Lock, Thread
from time import sleep
from typing import Any

from .client import Client
from .errors import Unavailable

VARIABLE = "POOLD_EXECUTABLE"
# The daemon's own limit for one pool.
WORKERS_MAX = 1000
_START_PATIENCE_S = 60.0
_STOP_PATIENCE_S = 10.0
_REMOVALS_MAX, _REMOVAL_S = 100, 0.02
# A task runs once. Functions end soon when a pool is terminated.
_POOL = {
    "kind": "function",
    "durability": "memory",
    "output": "discard",
    "accept": "pickle",
    "shared_memory": True,
    "crash_attempts": 1,
    "grace": "200ms",
    "start_timeout": "10m",
    "queue_size": 10_000_000,
    "retention": {"age": "1h", "count": 1000},
}
_QUIET = {"stop_timeout": "0s", "log_level": "warning"}


def executable() -> str:
    """The program poold. Unavailable: it is not there."""
    chosen = os.environ.get(VARIABLE, "")
    if chosen:
        found = shutil.which(chosen)
        if not found:
            raise Unavailable(f"{VARIABLE}={chosen}: no such program")
        return found
    found = shutil.which("poold")
    if not found:
        raise Unavailable(f"the program poold is not in PATH: install it, or set {VARIABLE} to where it is, or POOLD_SOCKET to use a daemon that runs")
    return found


class PrivateDaemon:
    """A daemon that nobody else knows. Use private_daemon()."""

    def __init__(self) -> None:
        program = executable()
        self.directory = tempfile.mkdtemp(prefix="poold-")
        self.socket = f"{self.directory}/socket"
        self._lock = Lock()
        self._pools: dict[str, dict[str, Any]] = {}
        self._count = 0
        # id of a definition: itself, so that the id stays its own, and the name under which workers find it.
        self._definitions: dict[tuple[int, ...], tuple[object, str]] = {}
        # What is given out at the desk, by number: first where the program prints.
        self._lent: list[list[int]] = [[1, 2]]
        os.mkdir(f"{self.directory}/functions")
        os.mkdir(f"{self.directory}/ends")
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        try:
            self._open_desk()
            self._start(program)
        except BaseException:
            self.end()
            raise
        self.client = Client(self.socket, reconnect=0)  # its pools would not come back

    # Pools.

    def add_pool(self, workers: int, max_tasks: int | None, initializer: bytes | None) -> str:
        """Makes a pool; its name."""
        with self._lock:
            self._count += 1
            name = f"pool-{self._count}"
            setup = f"{self.directory}/{name}.setup"
            with open(setup, "wb") as file:
                pickle.dump(self._setup(initializer), file)
            flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
            pool = {**_POOL, "workers": workers, "program": [sys.executable, *flags, "-P", "-m", "poold.worker", "--script", setup]}
            if max_tasks is not None:
                pool["max_tasks"] = max_tasks
            pool["cwd"] = _directory()
            pool["env"] = {"PYTHONPATH": os.pathsep.join([os.path.dirname(os.path.dirname(__file__))]), **_early_variables()}
            self._pools[name] = pool
            try:
                self._reload()
            except BaseException:
                del self._pools[name]  # or no pool could be made any more
                raise
            return name

    def grow_pool(self, name: str, workers: int) -> None:
        """More workers, if the pool is still there."""
        with self._lock:
            pool = self._pools.get(name)
            if pool is not None and pool["workers"] < workers:
                pool["workers"] = workers
                self._reload()

    def remove_pool(self, name: str) -> None:
        """Its workers leave when they have finished what they have."""
        with self._lock:
            if self._pools.pop(name, None) is not None and self._process is not None:
                try:
                    self._reload()
                except Unavailable:
                    pass  # it has ended, and the pool with it

    def publish(self, label: str, key: tuple[int, ...], definition: object, data: bytes) -> str:
        """Leaves a definition for the workers; the name by which they ask for it."""
        digest = hashlib.sha256(data).hexdigest()[:32]
        path = f"{self.directory}/functions/{digest}"
        if not os.path.exists(path):
            with open(path + ".new", "wb") as file:
                file.write(data)
            os.rename(path + ".new", path)
        name = f"{label.encode(errors='replace')[:200].decode(errors='ignore')}#{digest}"
        self._definitions[key] = (definition, name)
        return name

    def published(self, key: tuple[int, ...]) -> str:
        """The name of a definition that was left before, or empty."""
        entry = self._definitions.get(key)
        return entry[1] if entry else ""

    def lend(self, descriptor: int) -> tuple[str, int]:
        """Keeps a copy of it for all workers: the socket at which they get it, and its number there."""
        self._lent.append([os.dup(descriptor)])
        return f"{self.directory}/desk", len(self._lent) - 1

    def last_words(self, pid: int) -> str:
        """What a worker that has died has printed last, and where it crashed."""
        words = b""
        for name in (f"{pid}", f"{pid}.crash"):
            try:
                with open(f"{self.directory}/ends/{name}", "rb") as file:
                    words += file.read().rstrip(b"\0")
            except OSError:
                pass
        return words.decode(errors="replace")

    def _setup(self, initializer: bytes | None) -> dict[str, Any]:
        main = sys.modules["__main__"]
        return {
            "directory": self.directory,
            "path": [path or _directory() for path in sys.path],
            "argv": sys.argv,
            "socket": self.socket,
            "authkey": bytes(current_process().authkey),
            "environ": {name: value for name, value in os.environ.items() if not name.startswith("POOLD_WORKER")},
            "main_file": getattr(main, "__file__", None),
            "initializer": initializer,
        }

    def _reload(self) -> None:
        self._write_configuration()
        self.client.reload()

    def _write_configuration(self) -> None:
        # JSON is YAML.
        pools = self._pools or {"none": {"workers": 0}}
        with open(f"{self.directory}/poold.yaml.new", "w", encoding="utf-8") as file:
            json.dump({**_QUIET, "pools": pools}, file, ensure_ascii=True)
        os.rename(f"{self.directory}/poold.yaml.new", f"{self.directory}/poold.yaml")

    # Beginning and end.

    def _start(self, program: str) -> None:
        self._write_configuration()
        theirs, self._lifeline = os.pipe()
        notice = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            notice.bind(f"{self.directory}/ready")
            with open(f"{self.directory}/log", "ab") as log:
                self._process = subprocess.Popen(
                    [program, "--config", f"{self.directory}/poold.yaml", "--socket", self.socket]
                    + ["--state-dir", f"{self.directory}/state", "--lifeline", str(theirs), "--temporary", self.directory],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs],
                    cwd="/",
                    env={**os.environ, "NOTIFY_SOCKET": f"{self.directory}/ready"},
                    start_new_session=True,
                )
            self._await_ready(notice)
        finally:
            notice.close()
            os.close(theirs)

    def _await_ready(self, notice: socket.socket) -> None:
        assert self._process is not None
        gone = os.pidfd_open(self._process.pid)
        try:
            poll = select.poll()
            poll.register(gone, select.POLLIN)
            poll.register(notice, select.POLLIN)
            while True:
                ready = [descriptor for descriptor, _ in poll.poll(_START_PATIENCE_S * 1000)]
                if notice.fileno() in ready:
                    if b"READY=1" in notice.recv(4096):
                        return
                elif gone in ready:
                    raise Unavailable(f"poold ended with {self._process.wait()}: {self._log_end()}")
                else:
                    raise Unavailable(f"poold was not ready after {_START_PATIENCE_S:.0f} s: {self._log_end()}")
        finally:
            os.close(gone)

    def _log_end(self) -> str:
        with open(f"{self.directory}/log", encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:].strip() or "it said nothing"

    def _open_desk(self) -> None:
        desk = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        desk.bind(f"{self.directory}/desk")
        desk.listen(128)
        self._desk = desk
        Thread(target=_serve_desk, args=(desk, self._lent), name="poold-desk", daemon=True).start()

    def alive(self) -> bool:
        """It has not ended."""
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        """Ends it with all its workers."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self._process is not None:
            try:
                self._process.wait(_STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGKILL)
                self._process.wait()
        # A worker that is just ending may still write its last words.
        for _ in range(_REMOVALS_MAX):
            shutil.rmtree(self.directory, ignore_errors=True)
            if not os.path.exists(self.directory):
                break
            sleep(_REMOVAL_S)
        for descriptors in self._lent[1:]:
            os.close(descriptors[0])
        del self._lent[1:]

    def forget(self) -> None:
        """In a child that was forked: it is the parent's."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        self._desk.close()
        self._pools.clear()  # pools that go away here are the parent's, too


def _serve_desk(desk: socket.socket, lent: list[list[int]]) -> None:
    """Gives descriptors to whoever comes and names a number: the directory is the user's alone."""
    from ._by_value import TRACKER

    while True:
        try:
            visitor, _ = desk.accept()
        except OSError:
            return
        with visitor:
            try:
                number = int.from_bytes(visitor.recv(8, socket.MSG_WAITALL), "big")
                socket.send_fds(visitor, [b"1"], [_tracker()] if number == TRACKER else lent[number])
            except (OSError, IndexError):
                pass  # closed by the program: a worker keeps the daemon's stdout and stderr


def _tracker() -> int:
    """The program's own resource tracker."""
    from multiprocessing import resource_tracker

    return resource_tracker.getfd()  # type: ignore[return-value]


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "/"


def _early_variables() -> dict[str, str]:
    """What counts before a worker has read its setup: for the interpreter, the loader, and libraries."""
    names = [name for name in os.environ if name.startswith(("PYTHON", "LD_")) and name != "PYTHONPATH"]
    return {name: os.environ[name] for name in names if os.environ[name].isprintable() and os.environ[name].isascii()}


_daemon: PrivateDaemon | None = None
_daemon_lock = Lock()


def private_daemon() -> PrivateDaemon:
    """The daemon of this program, started if there is none. Unavailable: poold cannot be found, or does not start."""
    global _daemon
    with _daemon_lock:
        if _daemon is not None and not _daemon.alive():
            _daemon.end()
            _daemon = None
        if _daemon is None:
            _daemon = PrivateDaemon()
        return _daemon


def _forked() -> None:
    global _daemon, _daemon_lock
    _daemon_lock = Lock()
    if _daemon is not None:
        _daemon.forget()
        _daemon = None


@atexit.register
def _end() -> None:
    global _daemon
    with _daemon_lock:
        if _daemon is not None:
            _daemon.end()
            _daemon = None


os.register_at_fork(after_in_child=_forked)
