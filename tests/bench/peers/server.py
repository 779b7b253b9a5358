"""A peer that is a daemon, started for one measurement in a temporary directory and ended with it, however that ends."""

import contextlib
import ctypes
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration"))
from control import eventually  # noqa: E402  pylint: disable=wrong-import-position

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def end_with_parent():
    """In the child before exec: also a killed benchmark leaves no daemon behind."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def directory():
    """A temporary one, gone afterwards, also when this program is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    path = pathlib.Path(tempfile.mkdtemp(prefix="poold-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def running(line, log, **options):
    """The process, ended with SIGTERM, or SIGKILL if that does not help."""
    with open(log, "ab") as file:
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=file, stderr=file, preexec_fn=end_with_parent, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(process, address, log):
    """A connection, as soon as the daemon accepts one: a path, or (host, port)."""

    def attempt():
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with {process.returncode}: {pathlib.Path(log).read_text(errors='replace')[-2000:]}")
        connection = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        try:
            connection.connect(address)
            return connection
        except OSError:
            connection.close()
            return None

    connection = eventually(attempt, 10, f"{process.args[0]} accepts a connection")
    if not isinstance(address, str):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(60)
    return connection
