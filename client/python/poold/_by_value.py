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
import sys
import types
from importlib import import_module
from typing import Any, Callable
from weakref import WeakSet

CONTENT_TYPE = "application/x-python-pickle"
PROTOCOL = 5
_pickle_dumps = pickle.dumps
MAIN = b"__main__"
_NO_CLOUDPICKLE = "it is defined in the program itself, or inside a function, and to send it by value takes the package python3-cloudpickle (cloudpickle)"


def dumps(value: object) -> bytes:
    """Bytes from which a worker can make the value. Raises what pickle raises."""
    try:
        data = _pickle_dumps(value, 5)
    except (pickle.PicklingError, AttributeError, TypeError):
        # A lambda, a function or class inside a function; or nothing that can be pickled at all, which is said again.
        return _dumps_by_value(value)
    return _dumps_by_value(value) if MAIN in data else data


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


def _dumps_by_value(value: object) -> bytes:
    if _ValuePickler is None:
        data = pickle.dumps(value, PROTOCOL)  # which says what is wrong, or
        raise pickle.PicklingError(f"cannot send {value!r:.200}: {_NO_CLOUDPICKLE}") if MAIN in data else AssertionError
    file = io.BytesIO()
    _ValuePickler(file, PROTOCOL).dump(value)
    return file.getvalue()


# What a worker calls while it loads.


class _Globals(dict[str, Any]):
    """Stands for a module's namespace, and is pickled as a reference to the worker's own."""

    def __init__(self, module: str) -> None:
        super().__init__()
        self.module = module


def module_globals(name: str) -> dict[str, Any]:
    """The namespace of that module, here."""
    return vars(sys.modules[name] if name in sys.modules else import_module(name))


# Classes whose attributes have been set: a class keeps those that the worker has changed.
_complete: WeakSet[type] = WeakSet()


def make_class(make: Callable[..., type], module: str, qualname: str, arguments: tuple[Any, ...]) -> type:
    """The class of this definition; the same if it comes again."""
    made = make(*arguments)
    if module == "__main__" and "." not in qualname:
        vars(sys.modules["__main__"])[qualname] = made  # instances are pickled by this name on their way back
    return made


def set_class_state(made: type, state: Any) -> None:
    """Gives a new class its attributes."""
    if made not in _complete:
        _complete.add(made)
        _cloudpickle_fast._class_setstate(made, state)


def set_function_state(function: types.FunctionType, state: Any) -> None:
    """Gives a new function its attributes, and its namespace what it uses."""
    attributes, slots = state
    names = slots["__globals__"]
    slots["__globals__"] = {}
    _cloudpickle_fast._function_setstate(function, (attributes, slots))
    known = function.__globals__
    for name, value in names.items():
        if name not in known or isinstance(value, (types.FunctionType, type)):
            known[name] = value
    if function.__module__ == "__main__" and function.__qualname__.isidentifier():
        known[function.__qualname__] = function


try:
    from cloudpickle import cloudpickle_fast as _cloudpickle_fast
except ImportError:
    _ValuePickler: Any = None
else:

    class _Pickler(_cloudpickle_fast.CloudPickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if type(obj) is _Globals:
                return module_globals, (obj.module,)
            reduced = super().reducer_override(obj)
            if isinstance(reduced, tuple) and len(reduced) == 6 and reduced[5] is _cloudpickle_fast._class_setstate:
                return make_class, (reduced[0], obj.__module__, obj.__qualname__, reduced[1]), reduced[2], None, None, set_class_state
            return reduced

        def _dynamic_function_reduce(self, func: types.FunctionType) -> Any:
            module = func.__module__
            home = sys.modules.get(module) if module else None
            state = _cloudpickle_fast._function_getstate(func)
            if home is not None and vars(home) is func.__globals__:
                self.globals_ref[id(func.__globals__)] = _Globals(module)
                if module != "__main__":
                    state[1]["__globals__"] = {}  # it has them already
            for name in [name for name, value in state[1]["__globals__"].items() if isinstance(value, _NotForWorkers)]:
                del state[1]["__globals__"][name]
            make, arguments = _cloudpickle_fast._make_function, self._function_getnewargs(func)
            return make, arguments, state, None, None, set_function_state

    _ValuePickler = _Pickler


class _NotForWorkers:
    """Base of what only the program itself has, such as pools: functions that only mention one are sent without it."""


NotForWorkers = _NotForWorkers
