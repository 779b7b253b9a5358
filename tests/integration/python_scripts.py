"""Scripts that use the Python package, each run by an interpreter of its own, as users run theirs."""

import os
import pathlib
import subprocess
import tempfile
import textwrap
import unittest

from harness import BIN, PATIENCE
from python_pool import PACKAGE, PYTHON


def run(script, stdin=False, **environment):
    """The script's exit code, stdout and stderr."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("POOLD_SOCKET", "PYTHONPATH")}
    settings = {**inherited, "POOLD_EXECUTABLE": str(BIN / "poold"), "PYTHONPATH": str(PACKAGE), **environment}
    text = textwrap.dedent(script)
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "script.py")
        path.write_text(text, encoding="utf-8")
        ended = subprocess.run([PYTHON, "-" if stdin else path], input=text if stdin else None, stdin=None if stdin else subprocess.DEVNULL,
                               env={**settings, "TMPDIR": directory}, capture_output=True, text=True, check=False, timeout=400 * PATIENCE)
        left = [name for name in os.listdir(directory) if name.startswith("poold-")]
    return ended.returncode, ended.stdout, ended.stderr + "".join(f"left behind: {name}" for name in left)


class Scripts(unittest.TestCase):
    maxDiff = None

    def expect(self, script, stdout, stdin=False, **environment):
        self.assertEqual(run(script, stdin, **environment), (0, textwrap.dedent(stdout), ""))
