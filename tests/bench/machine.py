"""What the figures were measured on and beside: the machine, and the peers that are installed, with their versions."""

import importlib.metadata
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys


def first_match(pattern, text, otherwise="?"):
    match = re.search(pattern, text, re.MULTILINE)
    return match.group(1).strip() if match else otherwise


def machine():
    memory = int(first_match(r"^MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text(encoding="utf-8"), "0"))
    return {
        "cpu": first_match(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"), platform.machine()),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 1024 / 1024, 1),
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def python_version():
    return platform.python_version()


def package(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def program(*line):
    """The first thing it prints that looks like a version; none if it is not installed."""
    if not shutil.which(line[0]):
        return None
    ended = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=20)
    return first_match(r"(\d+(?:\.\d+)*[\w+~-]*)", ended.stdout + ended.stderr)


def celery():
    versions = package("celery"), package("redis"), program("redis-server", "--version")
    return f"{versions[0]} with Redis {versions[2]}" if all(versions) else None


# Name, how its version is found, the Debian package that has it.
PEERS = {
    "multiprocessing": (python_version, ""),
    "concurrent.futures": (python_version, ""),
    "numpy": (lambda: package("numpy"), "python3-numpy"),
    "joblib": (lambda: package("joblib"), "python3-joblib"),
    "xargs": (lambda: program("xargs", "--version"), "findutils"),
    "parallel": (lambda: program("parallel", "--version"), "parallel"),
    "task-spooler": (lambda: program("tsp", "-V"), "task-spooler"),
    "beanstalkd": (lambda: program("beanstalkd", "-v"), "beanstalkd"),
    "gearmand": (lambda: program("/usr/sbin/gearmand", "--version"), "gearman-job-server"),
    "celery": (celery, "celery redis-server python3-redis"),
}


def peers():
    """Versions by name; None for one that is not installed."""
    return {name: version() for name, (version, _) in PEERS.items()}


def python_package():
    """Why the Python package cannot be used; empty if it can."""
    path = pathlib.Path(__file__).resolve().parents[2] / "client" / "python"
    code = "import poold; poold.Client, poold.TaskSpec, poold.Stream; import poold.worker"
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(path)}, capture_output=True, text=True, check=False)
    return "" if ended.returncode == 0 else ended.stderr.strip().splitlines()[-1]
