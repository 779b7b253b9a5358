"""A booted systemd with the Debian package installed in it, and its poold.service with the methods of stand_in.StandIn.

The package is made from the CMake folder POOLD_BUILD. One systemd serves all cases of a run: each begins by putting the service back to where
an installation leaves it.
"""

import atexit
import functools
import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import types

import processes
from control import Control, eventually

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("POOLD_BUILD") or HERE.parents[1] / "build/release").resolve()
PATIENCE = 6 if os.environ.get("POOLD_SANITIZED") == "1" else 1
SOCKET = "/run/poold/control.sock"


def cgroup2():
    """Where control groups of version 2 are mounted; None if they are not, or cannot be made."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        places = [line.split()[4] for line in mounts if " - cgroup2 " in line]
    return next((place for place in places if os.access(place, os.W_OK)), None)


@functools.cache
def reason():
    """Why none can be booted here; empty if one can."""
    if os.geteuid() != 0:
        return "not root, so no systemd can be booted"
    for program in ("/lib/systemd/systemd", "/usr/bin/nsenter", "/usr/bin/dpkg-deb", "/usr/sbin/ip", "/usr/bin/dpkg-shlibdeps"):
        if not os.path.exists(program) and not os.path.exists(program.replace("/usr", "", 1)):
            return f"no {program}, so no systemd can be booted"
    if cgroup2() is None:
        return "no control groups of version 2 can be made, so no systemd can be booted"
    probe = subprocess.run(["unshare", "--mount", "--pid", "--cgroup", "--net", "--fork", "true"], capture_output=True, check=False)
    return "" if probe.returncode == 0 else "no namespaces can be made, so no systemd can be booted"


def possible():
    return not reason()


class Machine:
    """The systemd, and commands in it."""

    @staticmethod
    @functools.cache
    def get():
        return Machine()

    def __init__(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="poold-boot-"))
        for name in ("memory", "files"):
            (self.work / name).mkdir()
        self.cgroup = pathlib.Path(cgroup2()) / f"poold-test-{os.getpid()}"
        self.cgroup.mkdir()
        self._make_package()
        self.console = open(self.work / "console", "wb")
        self.process = subprocess.Popen([HERE / "boot.sh", self.work, self.cgroup], stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console)
        atexit.register(self.close)
        self.init = eventually(self._find_init, 30 * PATIENCE, "a pid 1")
        self.root = pathlib.Path(f"/proc/{self.init}/root")
        eventually(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"), 60 * PATIENCE, "it is up")
        installed = self.run("dpkg", "--install", f"/{self.package}", check=False)
        assert installed.returncode == 0, installed.stderr + installed.stdout
        self.door = Door(self)

    def _make_package(self):
        subprocess.run(["cpack", "-G", "DEB", "-B", self.work / "package"], cwd=BUILD, check=True, stdout=subprocess.DEVNULL)
        made = next((self.work / "package").glob("*.deb"))
        self.package = made.name
        shutil.copy(made, self.work / "files" / self.package)
        shutil.rmtree(self.work / "package")

    def _find_init(self):
        assert self.process.poll() is None, (self.work / "console").read_text(errors="replace")
        return next((p.pid for p in processes.descendants(self.process.pid) if p.name == "systemd" and self._is_root(p.pid)), None)

    @staticmethod
    def _is_root(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").split("NSpid:")[1].split("\n")[0].split()[-1] == "1"
        except OSError:
            return False

    def run(self, *command, check=True, user=None, **options):
        """A command inside, by default root's."""
        return subprocess.run(self._enter(command, user), capture_output=True, text=True, check=check, env=self._environment(user),
                              timeout=180 * PATIENCE, **options)

    def open(self, command, **options):
        return subprocess.Popen(self._enter(command, None), env=self._environment(None), **options)

    def _enter(self, command, user):
        enter = ["nsenter", "--target", str(self.init), "--mount", "--pid", "--net", "--cgroup", "--uts", "--ipc"]
        if user is not None:
            enter += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return [*enter, *map(str, command)]

    @staticmethod
    def _environment(user):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "DEBIAN_FRONTEND": "noninteractive"}
        if user is not None:
            environment |= {"XDG_RUNTIME_DIR": f"/run/user/{user}", "HOME": f"/home/u{user}"}
        return environment

    def close(self):
        if hasattr(self, "door"):
            self.door.close()
        if self.process.poll() is None and self.init > 1:
            os.kill(self.init, signal.SIGKILL)
            self.process.wait()
        self.console.close()
        try:
            for inner in sorted((p for p in self.cgroup.rglob("*") if p.is_dir()), reverse=True):
                inner.rmdir()
            self.cgroup.rmdir()
        except OSError:
            pass  # a process of it is still being taken apart
        shutil.rmtree(self.work, ignore_errors=True)


class Door:
    """Connects to the daemon from inside: a daemon refuses who is not in its pid namespace, because nobody vouches for him."""

    INSIDE = """
import socket, sys
door = socket.socket(fileno=0)
while (path := door.recv(200)):
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path.decode())
        socket.send_fds(door, [b"+"], [connection.fileno()])
    except OSError as error:
        door.send(str(error.errno).encode())
    connection.close()
"""

    def __init__(self, machine):
        self.lock = threading.Lock()
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = machine.open(["python3", "-c", self.INSIDE], stdin=theirs)
        theirs.close()

    def connect(self, path):
        with self.lock:
            self.ours.send(path.encode())
            answer, descriptors, _, _ = socket.recv_fds(self.ours, 16, 1)
        if answer != b"+":
            raise OSError(int(answer), os.strerror(int(answer)))
        return socket.socket(fileno=descriptors[0])

    def close(self):
        self.ours.close()
        self.process.wait()


class InsideControl(Control):
    def __init__(self, door, path, timeout):
        super().__init__(path, timeout)
        self.door = door

    def request(self, *arguments, **options):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("localhost", timeout=self.timeout)
            self.connection.sock = self.door.connect(self.path)
            self.connection.sock.settimeout(self.timeout)
        return super().request(*arguments, **options)


class Service:
    """poold.service of the booted systemd."""

    name = "systemd"
    violence = ()

    def __init__(self, machine, configuration, watchdog=60, stop_timeout=30):
        self.machine, self.clients, self.violence = machine, [], []
        self.reset()
        (machine.root / "etc/poold/poold.yaml").write_text(configuration, encoding="utf-8")
        self.drop_in("test", f"[Service]\nWatchdogSec={watchdog * PATIENCE}s\nTimeoutStopSec={stop_timeout * PATIENCE}s\nStartLimitBurst=0\n")
        machine.run("systemctl", "start", "poold.socket")

    def reset(self):
        self.machine.run("systemctl", "stop", "poold.socket", "poold.service", check=False)
        self.machine.run("systemctl", "reset-failed", "poold.service", "poold.socket", check=False)
        shutil.rmtree(self.machine.root / "run/systemd/system/poold.service.d", ignore_errors=True)

    def drop_in(self, name, text):
        directory = self.machine.root / "run/systemd/system/poold.service.d"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{name}.conf").write_text(text, encoding="utf-8")
        self.machine.run("systemctl", "daemon-reload")

    def property(self, name):
        return self.machine.run("systemctl", "show", "--property", name, "--value", "poold.service").stdout.strip()

    def wait_state(self, *states, seconds=20):
        eventually(lambda: self.active_state() in states, seconds * PATIENCE, f"poold.service is {states}")

    def active_state(self):
        return self.property("ActiveState")

    def status(self):
        return self.property("StatusText")

    def main_pid(self):
        return int(self.property("MainPID"))

    def inside(self, pid):
        return pid

    def inside_path(self):
        return SOCKET

    def start(self):
        self.machine.run("systemctl", "start", "poold.service")

    def stop(self):
        return self.machine.run("systemctl", "stop", "poold.service").returncode

    def restart(self):
        self.machine.run("systemctl", "restart", "poold.service")

    def reload(self):
        """Exit code, and what the journal says of it: ExecReload's words go there."""
        ended = self.machine.run("systemctl", "reload", "poold.service", check=False)
        return ended.returncode, ended.stderr + self.log()

    def configure(self, text):
        (self.machine.root / "etc/poold/poold.yaml").write_text(text, encoding="utf-8")

    def signal(self, pid, number):
        assert pid > 1
        self.machine.run("kill", f"-{int(number)}", pid)

    def shared(self, name):
        path = pathlib.Path("/var/lib/poold") / name
        outside = self.machine.root / str(path).lstrip("/")
        outside.unlink(missing_ok=True)
        return types.SimpleNamespace(inside=path, outside=outside)

    def client(self, seconds=60):
        client = InsideControl(self.machine.door, SOCKET, seconds * PATIENCE)
        self.clients.append(client)
        return client

    def log(self):
        return self.machine.run("journalctl", "--sync", check=False).stdout + \
            self.machine.run("journalctl", "--unit", "poold.service", "--no-pager", "--output", "cat", "--lines", 200).stdout

    def journal(self, **fields):
        """Messages of the entries with these fields."""
        self.machine.run("journalctl", "--sync", check=False)
        matches = [f"{name}={value}" for name, value in fields.items()]
        return self.machine.run("journalctl", "--no-pager", "--output", "cat", "--quiet", *matches, check=False).stdout

    def close(self):
        for client in self.clients:
            client.close()
        self.reset()


class Fixture:
    """What a test class needs to run its cases under the booted systemd."""

    def service(self, configuration, **options):
        service = Service(Machine.get(), configuration, **options)
        self.addCleanup(self._end, service)
        return service

    def _end(self, service):
        if any(test is self for test, _ in self._outcome.result.failures + self._outcome.result.errors):
            print(f"--- the service's journal ---\n{service.log()[-5000:]}\n---")
        service.close()
