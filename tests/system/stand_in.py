"""A small service manager: speaks LISTEN_FDS, NOTIFY_SOCKET and WATCHDOG_USEC to one poold, as systemd does for poold.service.

For machines where no systemd can be booted; booted.py is the real thing with the same methods. It judges nothing: what was said is kept in
`messages`, what it had to do by force in `violence`.
"""

import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import processes  # noqa: E402
from control import Control, eventually  # noqa: E402

BIN = pathlib.Path(os.environ.get("POOLD_BIN") or pathlib.Path(__file__).resolve().parents[2] / "build/release/bin").resolve()
PATIENCE = 6 if os.environ.get("POOLD_SANITIZED") == "1" else 1


class StandIn:
    name = "a stand-in for systemd"

    def __init__(self, configuration, watchdog=60, stop_timeout=30):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="poold-service-"))
        self.path = str(self.directory / "control.sock")
        self.config = self.directory / "poold.yaml"
        self.config.write_text(configuration, encoding="utf-8")
        self.watchdog, self.stop_timeout = watchdog * PATIENCE, stop_timeout * PATIENCE
        self.messages, self.violence, self.clients = [], [], []
        self.process = None
        self.changed = threading.Condition()
        self.wanted = False  # a service that ends without being told to is started again
        self.ended = False
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.directory / "notify"))
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(128)
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self._receive, self._activate)]
        for thread in self.threads:
            thread.start()

    # What systemd does by itself.

    def _activate(self):
        """The first connection starts the service."""
        while not self.ended:
            select.select([self.listener], [], [])
            with self.changed:
                if self.ended:
                    return
                if self.process is None:
                    self._start()
                self.changed.wait_for(lambda: self.ended or self.process is None)

    def _start(self):
        self.wanted = True
        self.state, self.last_sign, self.stop_limit, self.status_text = "activating", None, None, ""
        line = [str(BIN / "poold"), "--config", str(self.config), "--state-dir", str(self.directory / "state")]
        with open(self.directory / "log", "ab") as log:
            passed = str(self.listener.fileno())
            # LISTEN_PID is known only to the process itself.
            self.process = subprocess.Popen(
                ["/bin/bash", "-c", 'export LISTEN_PID=$$ WATCHDOG_PID=$$; exec "$@" 3<&$PASSED', "bash", *line],
                env={"PATH": os.environ["PATH"], "LISTEN_FDS": "1", "NOTIFY_SOCKET": str(self.directory / "notify"),
                     "WATCHDOG_USEC": str(int(self.watchdog * 1e6)), "PASSED": passed, **self._sanitizer_options()},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[self.listener.fileno()], cwd="/")
        threading.Thread(target=self._watch, args=(self.process,), daemon=True).start()

    @staticmethod
    def _sanitizer_options():
        return {name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")}

    def _watch(self, process):
        """Enforces the watchdog and the limit of a stop; takes note of the end."""
        pidfd = os.pidfd_open(process.pid)
        while True:
            with self.changed:
                limits = [limit for limit in (self.last_sign and self.last_sign + self.watchdog, self.stop_limit) if limit]
                wait = max(0, min(limits) - time.monotonic()) if limits else 0.2
            if select.select([pidfd], [], [], min(wait, 0.2))[0]:
                break
            with self.changed:
                now = time.monotonic()
                late = self.stop_limit and now > self.stop_limit
                silent = not self.stop_limit and self.last_sign and now > self.last_sign + self.watchdog
                if late or silent:
                    self.violence.append("it did not stop in time" if late else "its watchdog was not fed")
                    for number in (signal.SIGKILL,) if late else (signal.SIGABRT, signal.SIGCONT):
                        signal.pidfd_send_signal(pidfd, number)
                    self.last_sign = self.stop_limit = None
        os.close(pidfd)
        with self.changed:
            self.code = process.wait()
            self.process = None
            self.state = "inactive" if self.code == 0 else "failed"
            if self.wanted and self.code != 0 and not self.ended:
                self._start()
            self.changed.notify_all()

    def _receive(self):
        while not self.ended:
            text = self.notify.recv(4096).decode()
            with self.changed:
                fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
                self.messages.append(fields)
                now = time.monotonic()
                if "READY" in fields:
                    self.state, self.last_sign = "active", now
                if "RELOADING" in fields:
                    self.state = "reloading"
                if "STOPPING" in fields:
                    self.state = "deactivating"
                    self.stop_limit = self.stop_limit or now + self.stop_timeout
                if "WATCHDOG" in fields:
                    self.last_sign = now
                if "EXTEND_TIMEOUT_USEC" in fields and self.stop_limit:
                    self.stop_limit = max(self.stop_limit, now + int(fields["EXTEND_TIMEOUT_USEC"]) / 1e6)
                self.status_text = fields.get("STATUS", self.status_text)
                self.changed.notify_all()

    # What an administrator does.

    def wait_state(self, *states, seconds=20):
        with self.changed:
            if not self.changed.wait_for(lambda: getattr(self, "state", "inactive") in states, seconds * PATIENCE):
                raise AssertionError(f"not within {seconds} s: {states}; it is {self.state}\n{self.log()}")

    def start(self):
        with self.changed:
            if self.process is None:
                self._start()
        self.wait_state("active")

    def stop(self):
        with self.changed:
            process = self.process
            if process is None:
                return 0
            self.wanted = False
            self.stop_limit = time.monotonic() + self.stop_timeout
            process.send_signal(signal.SIGTERM)
            self.changed.wait_for(lambda: self.process is not process)
            return self.code

    def restart(self):
        self.stop()
        self.start()

    def reload(self):
        """ExecReload: exit code and what it said."""
        environment = {**os.environ, "POOLD_SOCKET": self.path}
        ended = subprocess.run([BIN / "poolctl", "daemon", "reload"], env=environment, capture_output=True, text=True, check=False, timeout=60)
        return ended.returncode, ended.stdout + ended.stderr

    def configure(self, text):
        self.config.write_text(text, encoding="utf-8")

    def active_state(self):
        with self.changed:
            return getattr(self, "state", "inactive")

    def status(self):
        with self.changed:
            return self.status_text

    def main_pid(self):
        with self.changed:
            return self.process.pid if self.process else 0

    def inside_path(self):
        return self.path

    def inside(self, pid):
        """The pid as the service sees it."""
        return pid

    def shared(self, name):
        """A file that the service's tasks may write, by its names here and there."""
        path = self.directory / name
        return types.SimpleNamespace(inside=path, outside=path)

    def signal(self, pid, number):
        processes.send(pid, number)

    def client(self, seconds=60):
        client = Control(self.path, seconds * PATIENCE)
        self.clients.append(client)
        return client

    def log(self):
        path = self.directory / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def journal(self, **_fields):
        return None  # there is no journal

    def close(self):
        self.stop()
        with self.changed:
            self.ended = True
            self.changed.notify_all()
        for wake in (lambda: self.notify.sendto(b"END=1", str(self.directory / "notify")), self._poke):
            wake()
        eventually(lambda: self.process is None, 10)
        for closing in (*self.clients, *self.threads):
            closing.join() if isinstance(closing, threading.Thread) else closing.close()
        self.notify.close()
        self.listener.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _poke(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as poke:
            poke.setblocking(False)
            try:
                poke.connect(self.path)
            except OSError:
                pass
