"""A worker of a program's private daemon: `python3 -m poold.worker --script FILE`, started by ../_private.py.

It has the program's sys.path, directory, arguments and environment, and prints where the program prints. Its functions are whatever the program
asks for: "module:qualname" is imported, "NAME#DIGEST" is a definition that the program has left in a file (../_by_value.py).
"""

from __future__ import annotations

import faulthandler
import io
import os
import pickle
import sys
from mmap import mmap
from types import ModuleType

TYPE_CHECKING = False  # typing itself is not loaded: it would be a good part of the start
if TYPE_CHECKING:
    from typing import Any, Callable

# How much of what a worker has printed last is kept for the error that tells of its end.
TAIL_SIZE = 4096


class InitializerFailed(RuntimeError):
    """A worker's initializer has raised: nothing can run there."""


def add_environment(variables: dict[str, str]) -> None:
    """An initializer: for what libraries read when they are loaded, so that this module must not load any."""
    os.environ.update(variables)


class _TrackerOfTheProgram:
    """Lets this worker use the program's resource tracker, as children of the standard module do, once it needs one: its own would remove what the
    program shares with it as soon as this worker ends."""

    NAME = "multiprocessing.resource_tracker"

    def __init__(self, desk: str) -> None:
        self._desk = desk

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """For whoever imports it: as usual, and one thing more."""
        if name != self.NAME:
            return None
        from importlib.machinery import PathFinder

        sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self._replace_in(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign, assignment]
        return spec

    def _replace_in(self, module: Any) -> None:
        from .._by_value import TRACKER, borrow

        try:
            module._resource_tracker._fd = borrow(self._desk, TRACKER, 1)[0]
        except OSError:
            pass  # the program has ended, and so will this worker


class Script:
    """What the program has written down for its workers, put into effect."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            self.setup: dict[str, Any] = pickle.load(file)
        self.directory: str = self.setup["directory"]
        for name in [name for name in os.environ if name not in self.setup["environ"] and name != "POOLD_WORKER"]:
            del os.environ[name]
        os.environ.update(self.setup["environ"])
        sys.path[:] = self.setup["path"]
        sys.argv[:] = self.setup["argv"]
        import multiprocessing

        from .. import _by_value, _home

        _by_value.main_is_elsewhere()
        _home.set_home(self.setup["socket"])
        # Whoever pickles by reference to the program finds it here; this worker's own main module has another name from now on.
        sys.modules["__main__"] = main = ModuleType("__main__")
        if self.setup["main_file"]:
            main.__file__ = self.setup["main_file"]
        multiprocessing.current_process().authkey = self.setup["authkey"]
        sys.meta_path.insert(0, _TrackerOfTheProgram(f"{self.directory}/desk"))
        self._tail = f"{self.directory}/ends/{os.getpid()}"

    def take_output(self) -> None:
        """From now on this process prints where the program prints, and remembers the end of it."""
        from .._by_value import borrow

        try:
            descriptors = borrow(f"{self.directory}/desk", 0, 2)
        except OSError:
            return  # the program has ended, and so will this worker
        for target, descriptor in zip((1, 2), descriptors):
            os.dup2(descriptor, target)
            os.close(descriptor)
        tail = _Tail(self._tail)
        sys.stdout = _text(1, tail)
        sys.stderr = _text(2, tail)
        # A crash in C code leaves its traceback here.
        self._crash = open(self._tail + ".crash", "wb", buffering=0)
        faulthandler.enable(self._crash)

    def no_capture(self) -> NoCapture:
        """What a worker has in place of Capture."""
        return NoCapture()

    def initialize(self) -> Exception | None:
        """Runs the program's initializer: what is wrong with it."""
        if self.setup["initializer"] is None:
            return None
        try:
            function, arguments = pickle.loads(self.setup["initializer"])
            function(*arguments)
            return None
        except BaseException as error:
            from logging import getLogger

            # Where ProcessPoolExecutor reports it; without a handler it is printed.
            getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=True)
            failure = InitializerFailed(f"the initializer failed: {type(error).__name__}: {error}")
            failure.__cause__ = error
            return failure

    def end(self) -> None:
        """An orderly end leaves nothing to tell."""
        from multiprocessing import util

        util._exit_function()  # type: ignore[attr-defined]
        for path in (self._tail, self._tail + ".crash"):
            try:
                os.unlink(path)
            except OSError:
                pass


class ScriptFunctions:
    """Finds functions for a worker, as Functions (lookup.py) does in other pools."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._known: dict[str, Callable[..., Any]] = {}
        # Of the initializer: then every call raises it.
        self.failure: Exception | None = None

    def names(self) -> list[str]:
        """Not known before they are asked for."""
        return []

    def find(self, name: str) -> Callable[..., Any]:
        """The function; or one that raises why it cannot be had."""
        if self.failure is not None:
            return _raising(self.failure)
        function = self._known.get(name)
        if function is None:
            try:
                function = self._load(name)
            except Exception as error:
                if "#" not in name:
                    error.add_note(f"The worker looks for the function {name} where the program's sys.path led when its pool was made, and does not find it.")
                return _raising(error)
            self._known[name] = function
        return function

    def _load(self, name: str) -> Callable[..., Any]:
        label, by_value, digest = name.rpartition("#")
        if by_value:
            with open(f"{self._directory}/functions/{digest}", "rb") as file:
                return pickle.load(file)  # type: ignore[no-any-return]
        from importlib import import_module

        module, _, qualname = name.partition(":")
        target: Any = import_module(module)
        for part in qualname.split("."):
            target = getattr(target, part)
        return target  # type: ignore[no-any-return]

    def explain_missing(self, name: str) -> str:
        """find() always has something."""
        return name


class NoCapture:
    """In place of Capture: output goes where it goes."""

    def __init__(self) -> None:
        self._stdout, self._stderr = sys.stdout, sys.stderr

    def begin(self, welcome: object) -> None:
        """Nothing is caught."""

    def take(self, payload: bytes) -> None:
        """What a function has printed is out before its result."""
        if not _Text.dirty and sys.stdout is self._stdout and sys.stderr is self._stderr:
            return
        _Text.dirty = False
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except Exception:  # replaced or closed by a function
            pass

    def end_task(self) -> None:
        """There is no log."""

    def leave_to_daemon(self) -> None:
        """There is nothing left."""

    def complain(self, text: str) -> None:
        """To the program's stderr."""
        os.write(2, f"poold.worker: {text}\n".encode(errors="backslashreplace"))

    def follow(self) -> int:
        """There is nothing to follow."""
        return -1


class _Tail:
    """The last bytes that were printed, in a file that outlives this process."""

    def __init__(self, path: str) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.truncate(file, TAIL_SIZE)
        self._memory = mmap(file, TAIL_SIZE)
        os.close(file)
        self._bytes = b""

    def add(self, data: bytes) -> None:
        self._bytes = (self._bytes + data)[-TAIL_SIZE:]
        self._memory[: len(self._bytes)] = self._bytes


class _Printer(io.RawIOBase):
    """A descriptor of the program's."""

    def __init__(self, descriptor: int, tail: _Tail) -> None:
        self._descriptor = descriptor
        self._tail = tail

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        taken = os.write(self._descriptor, data)
        self._tail.add(bytes(data[:taken]))
        return taken


class _Text(io.TextIOWrapper):
    """Notes that there may be something to flush: most functions print nothing, and flushing has its price."""

    dirty = False

    def write(self, text: str, /) -> int:
        _Text.dirty = True
        return super().write(text)


class _Buffer(io.BufferedWriter):
    """The same for bytes."""

    def write(self, data: Any, /) -> int:
        _Text.dirty = True
        return super().write(data)


def _text(descriptor: int, tail: _Tail) -> io.TextIOWrapper:
    printer = _Printer(descriptor, tail)
    encoding = getattr(sys.stdout if descriptor == 1 else sys.stderr, "encoding", "utf-8")
    errors = "backslashreplace" if descriptor == 2 else "surrogateescape"
    line_buffering = descriptor == 2 or printer.isatty()
    return _Text(_Buffer(printer), encoding, errors, line_buffering=line_buffering)


def _raising(error: Exception) -> Callable[..., Any]:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    return fail
