"""The programs of tests/notes/python, written for the standard module without main guards and with globals: with only their import changed, they
print what they print under CPython, times and order aside."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from harness import BIN, PATIENCE, main
from python_pool import PACKAGE, PYTHON

NOTES = pathlib.Path(__file__).resolve().parents[1] / "notes" / "python"
PROGRAMS = sorted(path.stem for path in NOTES.glob("*.py"))
IMPORT = re.compile(r"^from multiprocessing import", re.MULTILINE)


def environment():
    # Unbuffered, the standard module tears the lines of its processes apart.
    inherited = {name: value for name, value in os.environ.items() if name not in ("POOLD_SOCKET", "PYTHONPATH", "PYTHONUNBUFFERED")}
    return {**inherited, "POOLD_EXECUTABLE": str(BIN / "poold"), "PYTHONPATH": str(PACKAGE)}


def run(program, stdin=None, arguments=()):
    """Ended well: what it printed, without times, in any order; and what it said on stderr."""
    ended = subprocess.run([PYTHON, *arguments, *([program] if program else [])], input=stdin, stdin=None if stdin else subprocess.DEVNULL,
                           env=environment(), capture_output=True, text=True, check=False, timeout=120 * PATIENCE)
    lines = sorted(re.sub(r"\d\d:\d\d:\d\d", "TIME", ended.stdout).splitlines())
    return ended.returncode, lines, ended.stderr


class Notes(unittest.TestCase):
    maxDiff = None


def _test_of(name):
    def test(self):
        theirs = NOTES / f"{name}.py"
        text, changed = IMPORT.subn("from poold.multiprocessing import", theirs.read_text(encoding="utf-8"))
        self.assertEqual(changed, 1)
        expected = run(theirs)
        self.assertEqual(expected[0], 0, expected[2])
        with tempfile.TemporaryDirectory() as directory:
            ours = pathlib.Path(directory, f"{name}.py")
            ours.write_text(text, encoding="utf-8")
            self.assertEqual(run(ours), expected)
            self.assertEqual(run(None, stdin=text, arguments=["-"]), expected, "from stdin")

    return test


for _name in PROGRAMS:
    setattr(Notes, f"test_{_name}", _test_of(_name))


if __name__ == "__main__":
    main()
