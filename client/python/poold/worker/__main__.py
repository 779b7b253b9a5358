"""`python3 -m poold.worker [--check] MODULE...`, as it stands under `program:` of a pool of kind `function`."""

from __future__ import annotations

import gc
import os
import sys

from .kept import WorkerFile, take_worker_file
from .memory import take_memory_socket
from .ring import ResultRing, take_ring

USAGE = """usage: python3 -m poold.worker [--check] MODULE...

Runs the functions of these modules for a poold pool. Started by poold, from its configuration:

  pools:
    py:
      kind: function
      program: [python3, -m, poold.worker, myapp.tasks]
      cwd: /srv/myapp                   # modules are found here ...
      env: {PYTHONPATH: /srv/libraries} # ... and here

  --check   import the modules, print the names that can be called, and end
"""


def main(arguments: list[str]) -> int:
    """The exit code: 0 well, 1 could not start, 2 wrong usage."""
    check = False
    modules = []
    if len(arguments) == 2 and arguments[0] == "--script":
        return _serve_script(arguments[1])
    for word in arguments:
        if word in ("-h", "--help"):
            sys.stdout.write(USAGE)
            return 0
        if word == "--check":
            check = True
        elif word.startswith("-"):
            sys.stderr.write(f"poold.worker: unknown option {word}\n{USAGE}")
            return 2
        else:
            modules.append(word)
    if not modules:
        sys.stderr.write(f"poold.worker: name a module\n{USAGE}")
        return 2
    if not check and not _started_by_poold():
        return 1
    ring, file = (None, None) if check else (take_ring(), take_worker_file())
    if not check:
        take_memory_socket()
    # What is loaded now stays: nothing is to be collected meanwhile, nor looked at later.
    gc.disable()
    complaint = _import(modules)
    if complaint:
        sys.stderr.write(f"poold.worker: {complaint}\n")
        if not check:
            _tell(complaint)
        return 1
    from .lookup import Functions

    functions = Functions(modules)
    if check:
        for name in functions.names():
            print(name)
        return 0
    return _serve(functions, ring, file)


def _started_by_poold() -> bool:
    if _generation() is None:
        sys.stderr.write('poold.worker: POOLD_WORKER is not "pool/slot/generation": workers are started by poold (see --help, or try --check)\n')
        return False
    for descriptor in (3, 4, 5):
        try:
            os.set_inheritable(descriptor, False)
        except OSError:
            sys.stderr.write(f"poold.worker: descriptor {descriptor} is not open: workers are started by poold\n")
            return False
    return True


def _generation() -> int | None:
    parts = os.environ.get("POOLD_WORKER", "").rsplit("/", 2)
    if len(parts) == 3 and parts[0] and parts[1].isdigit() and parts[2].isdigit():
        return int(parts[2])
    return None


def _import(modules: list[str]) -> str:
    """Why one of them cannot be had; empty: all are there."""
    from importlib import import_module

    for name in modules:
        if name.endswith(".py") or "/" in name:
            return f"{name}: a module's name is wanted, not a file's (such as {_module_of(name)}, with its directory in PYTHONPATH)"
        try:
            import_module(name)
        except BaseException as error:
            from traceback import print_exc

            # A module that is not there needs no traceback; one that fails does.
            if not (isinstance(error, ModuleNotFoundError) and error.name == name):
                print_exc()
            where = os.pathsep.join(path or os.getcwd() for path in sys.path[:4])
            return f"cannot import {name!r}: {type(error).__name__}: {error} (looked in {where}, ...)"
    return ""


def _module_of(path: str) -> str:
    return os.path.basename(path).removesuffix(".py") or "tasks"


def _tell(complaint: str) -> None:
    """The pool shows it as the reason why it is throttled."""
    from .._wire import frame
    from ..v1 import worker_pb2

    message = worker_pb2.FromWorker()
    message.hello.versions.append(1)
    message.hello.generation = _generation() or 0
    message.hello.error = complaint[:1000].encode(errors="backslashreplace").decode()
    os.write(4, frame(message.SerializeToString()))


def _serve_script(path: str) -> int:
    """For a program's private daemon: script.py."""
    if not _started_by_poold():
        return 1
    ring = take_ring()
    take_memory_socket()
    gc.disable()
    from .script import Script, ScriptFunctions

    script = Script(path)
    script.take_output()
    code = _serve(ScriptFunctions(script.directory), ring, None, script)
    script.end()
    return code


def _serve(functions: Functions | ScriptFunctions, ring: ResultRing | None, file: WorkerFile | None, script: Script | None = None) -> int:
    from .. import __version__
    from ..errors import ProtocolError
    from .executor import Executor

    gc.freeze()
    gc.enable()
    try:
        return Executor(functions, ring, _generation() or 0, f"poold.worker {__version__}", script, file).run()
    except ProtocolError as error:
        sys.stderr.write(f"poold.worker: the engine sent what is no protocol: {error}\n")
        return 1


TYPE_CHECKING = False
if TYPE_CHECKING:
    from .lookup import Functions
    from .script import Script, ScriptFunctions

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
