"""Process: multiprocessing.Process, started afresh, without running the program again.

The standard class does all that is not starting: names, joining at the program's end, exit codes, sentinels. Here a process gets a new interpreter
(child.py) and the pickle of its object, in which everything of the program itself travels by value (../_by_value.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing import popen_spawn_posix, resource_tracker, spawn, util
from multiprocessing.context import get_spawning_popen, set_spawning_popen
from multiprocessing.process import BaseProcess, active_children, current_process, parent_process
from types import MappingProxyType
from typing import Any, Callable, Iterable, Mapping

from .._by_value import dumps
from .._home import home_socket

__all__ = ["Process", "active_children", "current_process", "parent_process"]

_PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PROGRAM = "import sys; sys.path.insert(0, {0!r}); from poold.multiprocessing.child import main; main({1}, {2})"


class _Popen(popen_spawn_posix.Popen):  # type: ignore[misc]
    """One started process."""

    method = "poold"
    _fds: list[int]

    def duplicate_for_child(self, fd: int) -> int:
        """It keeps its number. One may be asked for twice: as a whole by name, and again by value."""
        if fd not in self._fds:
            self._fds.append(fd)
        return fd

    def _launch(self, process_obj: BaseProcess) -> None:
        tracker: int = resource_tracker.getfd()  # type: ignore[assignment]
        self._fds.append(tracker)
        preparation = spawn.get_preparation_data(process_obj._name)  # type: ignore[attr-defined]
        main_file = preparation.pop("init_main_from_path", None)
        preparation.pop("init_main_from_name", None)
        preparation["start_method"] = None
        set_spawning_popen(self)
        try:
            data = dumps((preparation, main_file or getattr(sys.modules["__main__"], "__file__", None), home_socket(), _Late(process_obj)))
        finally:
            set_spawning_popen(None)
        ours = theirs = given = taken = None
        try:
            ours, theirs = os.pipe()  # whose end is that process's end
            taken, given = os.pipe()
            flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
            command = [spawn.get_executable(), *flags, "-P", "-c", _PROGRAM.format(_PACKAGE_PARENT, tracker, taken)]
            self._fds.extend([taken, theirs])
            self.pid = util.spawnv_passfds(spawn.get_executable(), command, self._fds)  # type: ignore[arg-type]
            self.sentinel = ours
            os.close(taken)
            os.close(theirs)
            taken = theirs = None
            with open(given, "wb", closefd=False) as file:
                file.write(data)
        finally:
            kept = [ours, given] if hasattr(self, "sentinel") else []
            for descriptor in (ours, theirs, given, taken):
                if descriptor is not None and descriptor not in kept:
                    os.close(descriptor)
            self.finalizer = util.Finalize(self, util.close_fds, kept)  # type: ignore[attr-defined]


class _Late:
    """A process object that is unpickled after everything else has been prepared."""

    def __init__(self, process: BaseProcess) -> None:
        self.data = dumps(process)


class Process(BaseProcess):
    """multiprocessing.Process. target, args, kwargs, and a class of one's own with run(), may be the program's own: no main guard is needed.

    pool: instead of a child of this program, a process of its own in a daemon that runs (POOLD_SOCKET, or where it usually listens), with that pool's
    program, user and limits; the pool says `accept: pickle`. Its output is the log of the task `task_id`. start() raises ValueError: there is no such
    pool; ResourceExhausted: the pool has as many processes as it may; and what Client.submit() raises. exitcode is 255 where the daemon has lost it.
    """

    _start_method = None
    _pool: str | None = None

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] = MappingProxyType({}),
        *,
        daemon: bool | None = None,
        pool: str | None = None,
    ) -> None:
        super().__init__(group, target, name, args, kwargs, daemon=daemon)
        self._pool = pool

    @property
    def task_id(self) -> str | None:
        """Of a process in a daemon's pool, once it is started: by this id Client.wait(), logs(), get(), and poolctl know it."""
        return getattr(self._popen, "task_id", None)  # type: ignore[attr-defined]

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        if process_obj._pool is None:
            return _Popen(process_obj)
        from .dedicated import Popen

        return Popen(process_obj, process_obj._pool)

    @staticmethod
    def _after_fork() -> None:
        """Nothing was forked."""


def spawning() -> bool:
    """A process object is being pickled for its child."""
    return get_spawning_popen() is not None
