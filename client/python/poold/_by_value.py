"""Calls as pickles: functions by name where a worker can import them, by value where it cannot.

What belongs to a module travels as "module:qualname". What belongs to the program itself (`__main__`, also from stdin or a prompt), lambdas and
functions within functions travel by value, with python3-cloudpickle, together with the globals they use: the program is never run again in a worker.
All that comes from `__main__` lives in one namespace in the worker, as it does here, so that a function sees what an initializer has set.

A definition is sent as it is when it is first used. In the worker later ones replace earlier ones; plain values of globals are kept as the worker
has them. Who sends and runs calls: _crew.py, and worker/pickled.py.
"""

from __future__ import annotations

import io
import pickle
import socket
import sys
import types
from collections import ChainMap
from functools import cache
from importlib import import_module
from weakref import WeakSet

TYPE_CHECKING = False  # typing itself is not loaded, for the sake of workers
if TYPE_CHECKING:
    from typing import Any, Callable

CONTENT_TYPE = "application/x-python-pickle"
PROTOCOL = 5
_pickle_dumps = pickle.dumps
MAIN = b"__main__"
_NOT_SENT = "A call is sent as a pickle of its arguments, and of the globals that a function of the program uses: make such an object in the worker instead."
_NO_CLOUDPICKLE = "it is defined in the program itself, or inside a function, and to send it by value takes the package python3-cloudpickle (cloudpickle)"


def dumps(value: object, lend: Callable[[int], tuple[str, int]] | None = None, buffers: list[Any] | None = None) -> bytes:
    """Bytes from which a worker can make the value. Raises what pickle raises.

    lend: for bytes that several workers will load: keeps a descriptor for them, and says where and under which number. Without it the descriptor of a
    connection can be fetched once, as in the standard module.
    buffers: gets what can travel beside the pickle, such as the contents of arrays (PEP 574). Without it all is within.
    """
    try:
        data = _pickle_dumps(value, 5, buffer_callback=None if buffers is None else buffers.append)
        if MAIN not in data:
            return data
    except (pickle.PicklingError, AttributeError, TypeError):
        # A lambda, a function or class inside a function; or nothing that can be pickled at all, which is said again.
        pass
    if buffers is not None:
        buffers.clear()
    return _dumps_by_value(value, lend, buffers)


def dumps_apart(value: object, buffers: list[Any] | None = None) -> bytes:
    """dumps() for workers that others use, too: what comes from `__main__` gets a namespace of its own there, for this one call."""
    collect = None if buffers is None else buffers.append
    try:
        data = _pickle_dumps(value, 5, buffer_callback=collect)
        if MAIN not in data:
            return data
    except (pickle.PicklingError, AttributeError, TypeError):
        pass
    if buffers is not None:
        buffers.clear()
    try:
        import cloudpickle
    except ImportError:
        return _dumps_by_value(value, None, buffers)
    return cloudpickle.dumps(value, PROTOCOL, buffer_callback=collect)  # type: ignore[no-any-return]


def importable(function: Callable[..., Any]) -> str:
    """module:qualname, if that is this very function in a worker, too; else empty."""
    module = getattr(function, "__module__", None)
    qualname = getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str) or module == "__main__" or "<" in qualname:
        return ""
    target: Any = sys.modules.get(module)
    for part in qualname.split("."):
        target = getattr(target, part, None)
    return f"{module}:{qualname}" if target is function else ""


def _dumps_by_value(value: object, lend: Callable[[int], tuple[str, int]] | None, buffers: list[Any] | None = None) -> bytes:
    pickler = _pickler()
    if pickler is None:
        pickle.dumps(value, PROTOCOL)  # which may say better what is wrong
        raise pickle.PicklingError(f"cannot send {value!r:.200}: {_NO_CLOUDPICKLE}")
    file = io.BytesIO()
    making = pickler(file, PROTOCOL, None if buffers is None else buffers.append)
    making.lend = lend
    try:
        making.dump(value)
    except Exception as error:
        error.add_note(_NOT_SENT)
        raise
    return file.getvalue()


class NotForWorkers:
    """Base of what only the program itself has, such as pools: functions that only mention one are sent without it."""


# What a worker calls while it loads.


class _Globals(dict[str, object]):
    """Stands for a module's namespace, and is pickled as a reference to the worker's own."""

    def __init__(self, module: str) -> None:
        super().__init__()
        self.module = module


def _cloudpickle() -> Any:
    from cloudpickle import cloudpickle_fast

    return cloudpickle_fast


def module_globals(name: str) -> dict[str, Any]:
    """The namespace of that module, here."""
    return vars(sys.modules[name] if name in sys.modules else import_module(name))


_main_is_here = True


def main_is_elsewhere() -> None:
    """This process is a worker or a child of the program: what comes from `__main__` is made anew here. In the program itself it is there."""
    global _main_is_here
    _main_is_here = False


def _known_here(module: str | None, qualname: str) -> Any:
    """The program's own definition, in the program."""
    return vars(sys.modules["__main__"]).get(qualname) if _main_is_here and module == "__main__" else None


def borrow_connection(desk: str, number: int, readable: bool, writable: bool) -> Any:
    """A connection that the program keeps for all its workers."""
    from multiprocessing.connection import Connection

    return Connection(borrow(desk, number, 1)[0], readable, writable)


# The number of the program's resource tracker.
TRACKER = 2**64 - 1


def borrow(desk: str, number: int, count: int) -> list[int]:
    """Descriptors that the program gives out at this socket (_private.py). OSError: it has ended."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        visitor.connect(desk)
        visitor.sendall(number.to_bytes(8, "big"))
        _, descriptors, _, _ = socket.recv_fds(visitor, 1, count)
        if len(descriptors) != count:
            raise OSError(f"{desk} has no descriptor {number}")
        return list(descriptors)


# Classes whose attributes have been set: a class keeps those that the worker has changed.
_complete: WeakSet[type] = WeakSet()


# Plain values of globals replace those that this worker has.
_replacing = False


def loads_anew(data: bytes) -> Any:
    """pickle.loads(), in a worker, after which globals of the program have the values that came along: of later calls those of later."""
    global _replacing
    _replacing = True
    try:
        return pickle.loads(data)
    finally:
        _replacing = False


def make_class(make: Callable[..., type], module: str, qualname: str, arguments: tuple[Any, ...]) -> type:
    """The class of this definition; the same if it comes again."""
    known = _known_here(module, qualname)
    if isinstance(known, type):
        _complete.add(known)
        return known
    made = make(*arguments)
    if module == "__main__" and "." not in qualname:
        vars(sys.modules["__main__"])[qualname] = made  # instances are pickled by this name on their way back
    return made


def set_class_state(made: type, state: Any) -> None:
    """Gives a new class its attributes."""
    if made not in _complete:
        _complete.add(made)
        _cloudpickle()._class_setstate(made, state)


def make_function(module: str | None, qualname: str, arguments: tuple[Any, ...]) -> types.FunctionType:
    """The function of this definition, still without its attributes."""
    known = _known_here(module, qualname)
    return known if isinstance(known, types.FunctionType) else _cloudpickle()._make_function(*arguments)


def set_function_state(function: types.FunctionType, state: Any) -> None:
    """Gives a new function its attributes, and its namespace what it uses."""
    attributes, slots = state
    if slots["__qualname__"] and function is _known_here(slots["__module__"], slots["__qualname__"]):
        return
    names = slots["__globals__"]
    slots["__globals__"] = {}
    _cloudpickle()._function_setstate(function, (attributes, slots))
    known = function.__globals__
    for name, value in names.items():
        if _replacing or name not in known or isinstance(value, (types.FunctionType, type)):
            known[name] = value
    if function.__module__ == "__main__" and function.__qualname__.isidentifier():
        known[function.__qualname__] = function


@cache
def _pickler() -> Any:
    """The pickler by value; None: cloudpickle is not there. Made when it is first needed: most calls need none."""
    try:
        from cloudpickle import cloudpickle_fast
    except ImportError:
        return None
    from multiprocessing.connection import Connection
    from multiprocessing.reduction import ForkingPickler

    class Pickler(cloudpickle_fast.CloudPickler):  # type: ignore[misc]
        """Also for what multiprocessing can send: connections, sockets."""

        lend: Any = None
        dispatch_table = ChainMap(cloudpickle_fast.CloudPickler.dispatch_table, ForkingPickler._extra_reducers)  # type: ignore[attr-defined]

        def reducer_override(self, obj: Any) -> Any:
            if type(obj) is _Globals:
                return module_globals, (obj.module,)
            if type(obj) is Connection and self.lend is not None:
                return borrow_connection, (*self.lend(obj.fileno()), obj.readable, obj.writable)
            reduced = super().reducer_override(obj)
            if isinstance(reduced, tuple) and len(reduced) == 6 and reduced[5] is cloudpickle_fast._class_setstate:
                return make_class, (reduced[0], obj.__module__, obj.__qualname__, reduced[1]), reduced[2], None, None, set_class_state
            return reduced

        def _dynamic_function_reduce(self, func: types.FunctionType) -> Any:
            module = func.__module__
            home = sys.modules.get(module) if module else None
            state = cloudpickle_fast._function_getstate(func)
            names = state[1]["__globals__"]
            if home is not None and vars(home) is func.__globals__:
                self.globals_ref[id(func.__globals__)] = _Globals(module)
                if module != "__main__":
                    names.clear()  # it has them already
            for name in [name for name, value in names.items() if isinstance(value, NotForWorkers)]:
                del names[name]
            arguments = module, func.__qualname__, self._function_getnewargs(func)
            return make_function, arguments, state, None, None, set_function_state

    return Pickler
