"""`pip install client/python` into a virtual environment, without a network, and what is installed at work. Skipped where Debian's python3-pip,
-venv, -setuptools or -wheel is missing."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from harness import BIN, PATIENCE, DaemonTest, main
from python_pool import PACKAGE, PYTHON

TOOLS = ("ensurepip", "pip", "setuptools", "wheel")
MISSING = [name for name in TOOLS if subprocess.run([PYTHON, "-c", f"import {name}"], capture_output=True, check=False).returncode != 0]

FUNCTIONS = """
import poold

@poold.task
def where():
    print("printed by the function")
    return poold.__file__
"""


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)} (apt install python3-pip python3-venv python3-setuptools python3-wheel)")
class Installed(DaemonTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="poold-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        source, environment = cls.directory / "source", cls.directory / "environment"
        # A copy, because setuptools builds where the source is.
        shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
        cls.python = str(environment / "bin/python3")
        cls.settings = {name: value for name, value in os.environ.items() if name not in ("POOLD_SOCKET", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
        cls.settings.update(POOLD_EXECUTABLE=str(BIN / "poold"), TMPDIR=str(cls.directory), PIP_DISABLE_PIP_VERSION_CHECK="1")
        # What pip needs to build, and what the package needs, are Debian's.
        cls.ask(PYTHON, "-m", "venv", "--system-site-packages", str(environment))
        cls.ask(cls.python, "-m", "pip", "install", "--no-index", "--no-build-isolation", str(source))

    @classmethod
    def ask(cls, *command, script=None, **environment):
        ended = subprocess.run(command, input=script, capture_output=True, text=True, check=False, cwd=cls.directory,
                               env={**cls.settings, **environment}, timeout=120 * PATIENCE)
        if ended.returncode:
            raise AssertionError(f"{' '.join(command)}: {ended.returncode}\n{ended.stdout}{ended.stderr}")
        return ended.stdout

    def test_every_module_is_there(self):
        found = self.ask(self.python, "-c", "import poold; print(poold.__file__)").strip()
        self.assertTrue(found.startswith(str(self.directory / "environment")), found)
        there = {str(path.relative_to(pathlib.Path(found).parent)) for path in pathlib.Path(found).parent.rglob("*.py*") if path.suffix != ".pyc"}
        wanted = {str(path.relative_to(PACKAGE / "poold")) for path in (PACKAGE / "poold").rglob("*.py*") if path.suffix != ".pyc"}
        self.assertEqual(there, wanted)

    def test_what_it_says_of_itself(self):
        told = self.ask(self.python, "-m", "pip", "show", "poold")
        version = self.ask(PYTHON, "-c", "import poold; print(poold.__version__)", PYTHONPATH=str(PACKAGE)).strip()
        self.assertIn(f"Version: {version}\n", told)
        self.assertIn("Requires: cloudpickle, protobuf\n", told)

    def test_pool_of_a_script(self):
        printed = self.ask(self.python, "-", script="import poold.multiprocessing as m\nfactor = 3\nwith m.Pool(2) as pool:\n"
                           "    print(pool.map(lambda x: x * factor, range(4)), pool.apply(lambda: __import__('poold').__file__))\n"
                           "import poold\nprint(poold.__file__)\n")
        values, where, here = printed.replace("] ", "]\n").splitlines()
        self.assertEqual((values, where), ("[0, 3, 6, 9]", here))

    def test_client_and_workers_of_a_daemon(self):
        (self.directory / "installed_functions.py").write_text(FUNCTIONS, encoding="utf-8")
        pool = {"kind": "function", "program": [self.python, "-m", "poold.worker", "installed_functions"], "workers": 1, "cwd": str(self.directory)}
        here = self.daemon({"default": {"workers": 1}, "py": pool}).wait_ready()
        self.assertEqual(self.ask(self.python, "-m", "poold.worker", "--check", "installed_functions"), "where\n")
        printed = self.ask(self.python, "-", POOLD_SOCKET=here.socket, script="import poold\nclient = poold.Client()\n"
                           "print(client.call(['true']), client.call('where', pool='py') == poold.__file__)\n"
                           "task = client.submit('where', pool='py')\nclient.result(task)\n"
                           "print(b''.join(chunk.data for chunk in client.logs(task)))\n")
        self.assertEqual(printed, "0 True\nb'printed by the function\\n'\n")


if __name__ == "__main__":
    main()
