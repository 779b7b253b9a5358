"""What a client may call: decorated functions by their names, and the functions of the modules named on the command line as
"module:qualname". Nothing else is found, and nothing is imported, on a client's word.
"""

from __future__ import annotations

import sys
from types import ModuleType

from .._functions import full_name, registry
from .pickled import call_pickled

TYPE_CHECKING = False  # typing itself is not loaded: it would be a good part of the start
if TYPE_CHECKING:
    from typing import Any, Callable

# Names are the client's: what is remembered of them is bounded.
_KNOWN_MAX = 10_000


class Functions:
    """The callable functions of some imported modules."""

    def __init__(self, modules: list[str]) -> None:
        self._modules = modules
        self._known: dict[str, Callable[..., Any]] = dict(registry)
        # Its arguments can only be a pickle, and the engine lets those through only where the pool says `accept: pickle`.
        self._known["poold.worker.pickled:call_pickled"] = call_pickled
        for function in registry.values():
            self._known.setdefault(full_name(function), function)

    def names(self) -> list[str]:
        """The names of the decorated functions."""
        return sorted(registry)

    def find(self, name: str) -> Callable[..., Any] | None:
        """The function, or None."""
        known = self._known.get(name)
        if known is not None:
            return known
        # Decorated since, by a function that ran or in a module that it imported.
        function = registry.get(name) or self._of_module(name)
        if function is not None and len(self._known) < _KNOWN_MAX:
            self._known[name] = function
        return function

    def _of_module(self, name: str) -> Callable[..., Any] | None:
        module_name, colon, qualname = name.partition(":")
        if not colon or module_name not in self._modules:
            return None
        module = sys.modules.get(module_name)
        target: Any = module
        for part in qualname.split("."):
            # Through classes, never into another module, nor into the inside of a function.
            if not isinstance(target, (ModuleType, type)):
                return None
            target = getattr(target, part, None)
        if not callable(target) or isinstance(target, (type, ModuleType)):
            return None
        return target if self._is_own(module, module_name, target, qualname) else None

    @staticmethod
    def _is_own(module: ModuleType | None, module_name: str, target: Any, qualname: str) -> bool:
        """Written there, or offered by it; not merely imported there for its own use."""
        if getattr(target, "__module__", None) == module_name:
            return True
        return qualname.partition(".")[0] in getattr(module, "__all__", ())

    def explain_missing(self, name: str) -> str:
        """Why find() has nothing, and what there is instead."""
        module_name, colon, qualname = name.partition(":")
        if not colon:
            from difflib import get_close_matches

            names = self.names()
            near = get_close_matches(name[:255], names, 1)
            some = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") or "none"
            hint = f"is {near[0]!r} meant?" if near else f"the decorated functions of {', '.join(self._modules)} are: {some}"
            return f"no function {name!r}; {hint}"
        if module_name not in self._modules:
            return f"no function {name!r}; this pool's workers run {', '.join(self._modules)}, not {module_name!r}"
        return f"no function {name!r}; {module_name} has no function {qualname!r} of its own"
