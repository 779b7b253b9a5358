"""The end of a worker whose daemon is gone: with everything that it started."""

from __future__ import annotations

import os
import select
import signal
import sys
from time import monotonic

TYPE_CHECKING = False  # typing itself is not loaded: it would be a good part of the start
if TYPE_CHECKING:
    from typing import NoReturn

_PATIENCE_S = 0.5


def end_with_session(exit_code: int) -> NoReturn:
    """Kills every other process of this session, and exits at once."""
    if os.getsid(0) == os.getpid():
        until = monotonic() + _PATIENCE_S
        # A process may fork between the look and the signal, so one more look is needed until it finds nobody.
        while (killed := _kill_members(os.getpid())) and monotonic() < until:
            _wait_for_end(killed, until)
    os._exit(exit_code)


def _kill_members(session: int) -> list[int]:
    """Descriptors of the living members, each with the signal sent."""
    killed = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid() or _session_of(int(name)) != session:
            continue
        try:
            process = os.pidfd_open(int(name))
        except OSError:
            continue
        # Asked again: the number may have gone to another process before it was held.
        if _session_of(int(name)) != session or _has_ended(process):
            os.close(process)
            continue
        try:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            killed.append(process)
        except OSError:
            os.close(process)
    return killed


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _has_ended(process: int) -> bool:
    return _poll(process, 0)


def _poll(process: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _wait_for_end(processes: list[int], until: float) -> None:
    for process in processes:
        _poll(process, max(0.0, until - monotonic()))
        os.close(process)


def end_by_signal(number: int) -> NoReturn:
    """Ends as by this signal's default action, with what was printed written."""
    for text in (sys.stdout, sys.stderr):
        try:
            text.flush()
        except Exception:  # replaced or closed by a function
            pass
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)
