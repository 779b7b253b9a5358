"""What the tests of the Python package share: pools that run it, and FIFOs, by which a function in a worker and its test wait for each other."""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "client" / "python"
PYTHON = "/usr/bin/python3"

sys.path[:0] = [str(PACKAGE), str(PACKAGE / "examples"), str(HERE)]


def python_pool(*modules, workers=1, path=(), **settings):
    """The configuration of a pool that runs these modules (by default the examples and the tests' functions)."""
    places = [PACKAGE, PACKAGE / "examples", HERE, *path]
    return {
        "kind": "function",
        "program": [PYTHON, "-m", "poold.worker", *(modules or ("poold_examples", "python_functions"))],
        "workers": workers,
        "env": {"PYTHONPATH": os.pathsep.join(map(str, places))},
        **settings,
    }


class Fifo:
    """A named pipe in a daemon's directory."""

    def __init__(self, daemon, name):
        self.path = str(daemon.directory / name)
        os.mkfifo(self.path)

    def read(self):
        """What the function says when it has got there."""
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def write(self, text):
        """Lets a function go on that reads."""
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
