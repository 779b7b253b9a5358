"""The beginning of a Process in its new interpreter. What started it is in process.py."""

from __future__ import annotations

import os
import pickle
import sys
from multiprocessing import resource_tracker, spawn, util
from multiprocessing.process import current_process
from types import ModuleType

from .. import _by_value, _home


def main(tracker: int, pipe: int) -> None:
    """Reads the process object and runs it."""
    resource_tracker._resource_tracker._fd = tracker  # type: ignore[attr-defined]
    parent_sentinel = os.dup(pipe)
    with os.fdopen(pipe, "rb") as file:
        preparing = current_process()
        preparing._inheriting = True  # type: ignore[attr-defined]
        try:
            # Whoever pickles by reference to the program finds it here.
            sys.modules["__main__"] = program = ModuleType("__main__")
            _by_value.main_is_elsewhere()
            preparation, main_file, socket, late = pickle.load(file)
            spawn.prepare(preparation)
            if main_file:
                program.__file__ = main_file
            _home.set_home(socket)
            process = pickle.loads(late.data)
        finally:
            del preparing._inheriting  # type: ignore[attr-defined]
    code = process._bootstrap(parent_sentinel)
    util._flush_std_streams()  # type: ignore[attr-defined]
    sys.exit(code)
