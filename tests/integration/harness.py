"""A daemon of one's own for each test: its directory, its configuration, its processes, and a look at what it leaves behind.

The programs come from the directory POOLD_BIN names (CMake sets it). POOLD_SANITIZED=1 says that they are instrumented: deadlines are then
longer, and tests that measure are skipped. control.py and frames.py speak to the daemon, processes.py looks at processes.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest
import uuid

import processes
from control import ConnectError, Control, eventually

BIN = pathlib.Path(os.environ.get("POOLD_BIN") or pathlib.Path(__file__).resolve().parents[2] / "build/release/bin").resolve()
LIBRARY = BIN.parent / "lib"
SANITIZED = os.environ.get("POOLD_SANITIZED") == "1"
# Deadlines are for things that never happen; instrumented programs are several times slower.
PATIENCE = 6 if SANITIZED else 1
MARK = "INTEGRATION_TEST_MARK"

performance = unittest.skipIf(SANITIZED, "measures time, and these programs are instrumented")

COMMANDS = {"kind": "command", "workers": 2}
FUNCTIONS = {"kind": "function", "plugin": "libpoold_examples.so", "workers": 2}

processes.adopt_orphans()


def yaml(value):
    """Just enough YAML: flow style, plain words where they are plain."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{yaml(key)}: {yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(yaml(item) for item in value) + "]"
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z0-9_./-]+", value):
        return json.dumps(value)
    return str(value)


class Daemon:
    """A private poold in a temporary directory. `pools` is written as its configuration; a text is written as it is."""

    started = []  # daemons whose supervisor was started and not yet cleaned up

    def __init__(self, pools=None, directory=None, **settings):
        self.own_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="poold-test-"))
        self.socket = str(self.directory / "control.sock")
        self.state = self.directory / "state"
        self.config = self.directory / "poold.yaml"
        self.log_path = self.directory / "log"
        self.mark = uuid.uuid4().hex
        self.process = None
        self.descriptors = ()  # that the supervisor inherits
        self.environment = {}  # beside what every daemon gets
        self.clients = []
        self.configure(pools if pools is not None else {"default": COMMANDS}, **settings)

    def configure(self, pools, **settings):
        if isinstance(pools, str):
            self.config.write_text(pools, encoding="utf-8")
            return
        marked = {name: {**pool, "env": {**pool.get("env", {}), MARK: self.mark}} for name, pool in pools.items()}
        settings.setdefault("stop_timeout", "1s")
        lines = [f"{key}: {yaml(value)}" for key, value in settings.items()]
        lines += ["pools:"] + [f"  {name}: {yaml(pool)}" for name, pool in marked.items()]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def command_line(self):
        return [BIN / "poold", "--config", self.config, "--socket", self.socket, "--state-dir", self.state]

    def spawn(self):
        """Starts the supervisor without waiting for anything."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory), MARK: self.mark, **self.environment}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                environment[name] = os.environ[name]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command_line(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self.directory, pass_fds=self.descriptors
            )
        Daemon.started.append(self)

    def start(self, seconds=20):
        self.spawn()
        self.wait_healthy(seconds)
        return self

    def wait_healthy(self, seconds=20):
        eventually(self._healthy, seconds * PATIENCE, "the daemon answers /healthz")

    def _healthy(self):
        if self.process.poll() is not None:
            raise AssertionError(f"poold ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        probe = Control(self.socket, timeout=20)
        try:
            return probe.request("GET", "/healthz")[0] == 200
        except OSError:
            return False
        finally:
            probe.close()

    def wait_ready(self, *pools, seconds=20):
        """Until every worker of these pools (none named: all) has said hello."""
        control = self.client()

        def ready():
            listed = control.call("Pools/List")["pools"]
            return all(p["ready"] == p["workers"] for p in listed if not pools or p["name"] in pools)

        eventually(ready, seconds * PATIENCE, "all workers are ready")
        control.close()
        return self

    def client(self, timeout=60):
        client = Control(self.socket, timeout * PATIENCE)
        self.clients.append(client)
        return client

    @property
    def pid(self):
        return self.process.pid

    def engine(self):
        """The engine's process, or None while there is none."""
        return next((p for p in processes.children(self.pid) if p.name == "poold-engine"), None)

    def worker_processes(self):
        return [p for p in processes.children(self.pid) if "POOLD_WORKER" in processes.environment(p.pid)]

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def poolctl(self, *arguments, stdin=subprocess.DEVNULL, seconds=60, text=True, **options):
        """Runs poolctl to its end."""
        return subprocess.run(self.poolctl_line(*arguments), stdin=stdin, capture_output=True, text=text, check=False,
                              env=self.poolctl_environment(), timeout=seconds * PATIENCE, **options)

    def poolctl_line(self, *arguments):
        return [str(BIN / "poolctl"), *map(str, arguments)]

    def poolctl_environment(self):
        return {**os.environ, "POOLD_SOCKET": self.socket, "NO_COLOR": "1"}

    def kill(self, number=signal.SIGKILL):
        """Signals the supervisor and returns its exit status once it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60 * PATIENCE)

    def stop(self):
        """The orderly end; returns the exit status."""
        return self.kill(signal.SIGTERM)

    def left_behind(self):
        """Living processes that carry this daemon's mark, and orphans: what a dead supervisor left falls to the test process."""
        known = [daemon.process.pid for daemon in Daemon.started]
        orphans = [p for p in processes.children(os.getpid()) if p.state not in "ZX" and p.pid not in known]
        return processes.marked(MARK, self.mark) + orphans

    def clean_up(self):
        for client in self.clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        Daemon.started[:] = [daemon for daemon in Daemon.started if daemon is not self]
        for process in self.left_behind():
            processes.kill_exactly(process)
        reap_orphans()
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)


def reap_orphans():
    """Collects zombies that fell to us; children that subprocess watches are not among them, since every test waits for its own."""
    for child in processes.children(os.getpid()):
        if child.state == "Z":
            try:
                os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                pass


class DaemonTest(unittest.TestCase):
    """Starts daemons for a test, and ends it by showing that they stopped well and left nothing behind."""

    maxDiff = None

    def daemon(self, pools=None, start=True, **settings):
        daemon = Daemon(pools, **settings)
        self.addCleanup(self._end, daemon)
        return daemon.start() if start else daemon

    def _end(self, daemon):
        well = not self._has_failed()
        try:
            self._check_end(daemon)
        except BaseException:
            well = False
            raise
        finally:
            if not well:
                print(f"--- the daemon's log ---\n{daemon.log()[-6000:]}\n---")
            daemon.clean_up()

    def _check_end(self, daemon):
        if daemon.process is not None and daemon.process.poll() is None:
            self.assertEqual(daemon.stop(), 0, "the daemon's exit status")
        try:
            eventually(lambda: not daemon.left_behind(), 2 * PATIENCE)
        except AssertionError:
            self.fail(f"left behind: {daemon.left_behind()}")
        for word in ("invariant broken", "AddressSanitizer", "runtime error:", "LeakSanitizer", "ThreadSanitizer"):
            self.assertNotIn(word, daemon.log())

    def _has_failed(self):
        result = self._outcome.result
        return any(getattr(test, "test_case", test) is self for test, _ in result.failures + result.errors)

    def refused(self, code, function, /, *arguments, **options):
        """Calls and expects a Connect error of this code; returns it."""
        with self.assertRaises(ConnectError) as caught:
            function(*arguments, **options)
        self.assertEqual(caught.exception.code, code, caught.exception)
        return caught.exception

    def assertEnded(self, task, kind, **outcome):
        self.assertIn("outcome", task, task)
        self.assertEqual(task["outcome"]["kind"], kind, task)
        for name, value in outcome.items():
            self.assertEqual(task["outcome"].get(name), value, task)


def main():
    unittest.main(verbosity=2)
