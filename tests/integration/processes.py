"""Looks at processes through /proc: whose child, which session, how many descriptors, alive or a zombie.

Nothing here knows the daemon. The test process makes itself a child subreaper (adopt_orphans), so that whatever a daemon leaves behind
becomes a child of the test and is found by strays(); see harness.py for how a test ends by asking.
"""

import ctypes
import os
import select
import signal
import time

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """From now on processes below us that lose their parent become our children."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


class Process:
    """One process as it was when looked at."""

    def __init__(self, pid):
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
        head, _, tail = text.rpartition(")")
        fields = tail.split()
        self.pid = pid
        self.name = head.partition("(")[2]
        self.state = fields[0]
        self.parent = int(fields[1])
        self.group = int(fields[2])
        self.session = int(fields[3])
        self.cpu_ticks = int(fields[11]) + int(fields[12])
        self.start = int(fields[19])

    def __repr__(self):
        return f"{self.name}[{self.pid}] state={self.state} parent={self.parent} session={self.session}"


def look(pid):
    """The process, or None if there is none."""
    try:
        return Process(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None


def everyone():
    found = (look(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process]


def alive(pid):
    """There is such a process and it is not a zombie."""
    process = look(pid)
    return process is not None and process.state not in "ZX"


def children(pid):
    return [process for process in everyone() if process.parent == pid]


def descendants(pid):
    by_parent = {}
    for process in everyone():
        by_parent.setdefault(process.parent, []).append(process)
    found, todo = [], [pid]
    while todo:
        for process in by_parent.get(todo.pop(), []):
            found.append(process)
            todo.append(process.pid)
    return found


def environment(pid):
    """The environment a process was started with; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return {}
    pairs = (entry.partition(b"=") for entry in entries if entry)
    return {name.decode(): value.decode(errors="replace") for name, _, value in pairs}


def marked(name, value):
    """Every living process whose environment holds this variable with this value."""
    return [p for p in everyone() if p.state not in "ZX" and environment(p.pid).get(name) == value]


def zombies_below(pid):
    return [process for process in descendants(pid) if process.state == "Z"]


def descriptors(pid):
    """What the process has open, as the kernel names it. What is closed while we look is left out."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            pass
    return found


def waits_for_an_answer(pid):
    """It has a connection and sleeps: what it had to send has been sent."""
    return any(target.startswith("socket:") for target in descriptors(pid).values()) and look(pid).state == "S"


def status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def resident_kib(pid):
    return int(status(pid)["VmRSS"].split()[0])


def wake_ups(pid):
    """How often the threads of a process went to sleep and were woken."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
    return total


def watch(pid):
    """A descriptor that becomes readable when the process ends; None if it is gone already."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def wait_gone(pids, seconds):
    """Waits for the ends of all these processes; returns those that still live at the deadline."""
    poll = select.poll()
    watched = {}
    for pid in pids:
        fd = watch(pid)
        if fd is not None:
            watched[fd] = pid
            poll.register(fd, select.POLLIN)
    end = time.monotonic() + seconds
    while watched:
        ready = poll.poll(max(0, int((end - time.monotonic()) * 1000)))
        if not ready:
            break
        for fd, _ in ready:
            poll.unregister(fd)
            os.close(fd)
            del watched[fd]
    for fd in watched:
        os.close(fd)
    return [pid for pid in watched.values() if alive(pid)]


def send(pid, number):
    """os.kill for one process: 0 and -1, which would be all of a group or of the machine, are refused."""
    if pid <= 1:
        raise ValueError(f"no process to signal: {pid}")
    os.kill(pid, number)


def kill_exactly(process, number=signal.SIGKILL):
    """Signals this very process, never another that got its number; False if it is gone."""
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        now = look(process.pid)
        if now is None or now.start != process.start:
            return False
        signal.pidfd_send_signal(fd, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
