"""The scripts that people call by hand answer --help with 0 and on stdout, and an option that they do not know with 2 and on stderr; and the bugs that
some of them plant fit the sources."""

import os
import pathlib
import subprocess
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]


class Scripts(unittest.TestCase):
    def setUp(self):
        found = (path for path in (SOURCE / "tests").rglob("*") if path.is_file() and os.access(path, os.X_OK))
        self.scripts = sorted(path for path in found if path.read_bytes().startswith(b"#!")) + [SOURCE / "dev"]
        self.assertGreater(len(self.scripts), 5)

    def ask(self, script, option):
        return subprocess.run([script, option], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd="/", timeout=120)

    def test_help(self):
        for script in self.scripts:
            with self.subTest(script=script.name):
                answer = self.ask(script, "--help")
                self.assertEqual((answer.returncode, answer.stderr), (0, ""))
                self.assertTrue(answer.stdout.strip())

    def test_an_option_that_there_is_not(self):
        for script in self.scripts:
            with self.subTest(script=script.name):
                answer = self.ask(script, "--no-such-option")
                self.assertEqual((answer.returncode, answer.stdout), (2, ""))
                self.assertTrue(answer.stderr.strip())

    def test_every_planted_bug_can_be_planted(self):
        patches = sorted((SOURCE / "tests").glob("*/planted/*.patch"))
        self.assertGreater(len(patches), 50)
        for patch in patches:
            with self.subTest(patch=patch.name), patch.open("rb") as file:
                answer = subprocess.run(["patch", "-p1", "-s", "-f", "--dry-run"], cwd=SOURCE, stdin=file, capture_output=True, text=True, check=False, timeout=60)
                self.assertEqual(answer.returncode, 0, answer.stdout + answer.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
