"""The two minutes and the evening in README.md, typed line by line into one shell. What comes is compared with what the page shows: in a line "…" stands for
anything, a line that is "…" alone for any number of lines. Lines with ">" go on a command, as a terminal shows them.

test_readme.py --print shows what came instead, to be looked at and put into the page.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

import harness
import processes
from control import Control, eventually

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def steps(heading):
    """(command, expected lines) in order."""
    text = (SOURCE / "README.md").read_text(encoding="utf-8")
    section = text[text.index(heading + "\n"):].split("\n##")[0]
    found = []
    for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(([line[2:]], []))
            elif line.startswith(">") and not found[-1][1]:
                found[-1][0].append(line[2:])
            else:
                found[-1][1].append(line)
    return [("\n".join(command), expected) for command, expected in found]


def same(shown, came):
    """Whether the lines that came are those shown."""
    pattern = ""
    for line in shown:
        pattern += r"(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n"
    return re.fullmatch(pattern, "".join(line + "\n" for line in came)) is not None


class Shell:
    """One bash that is told a command at a time."""

    END = "== end of output =="

    def __init__(self, environment):
        self.bash = subprocess.Popen(["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                     cwd=SOURCE, env=environment)

    def run(self, command):
        # What was asked for decides $?, not the line that marks the end.
        self.bash.stdin.write(f"{command}\n{{ status=$?; echo; echo '{self.END}'; (exit $status); }}\n")
        self.bash.stdin.flush()
        came = []
        for line in self.bash.stdout:
            if line.rstrip("\n") == self.END:
                return came[:-1] if came and came[-1] == "" else came
            came.append(line.rstrip("\n"))
        raise AssertionError(f"the shell ended in {command!r}: {came}")

    def close(self):
        self.bash.stdin.close()
        self.bash.stdout.close()
        self.bash.wait()


class Typed(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.home = tempfile.TemporaryDirectory(prefix="poold-evening-")
        self.addCleanup(self.home.cleanup)
        # Debian's python3 is the one that has protobuf.
        environment = {"PATH": "/usr/bin:/bin:" + os.environ["PATH"], "HOME": self.home.name, "TMPDIR": self.home.name, "LC_ALL": "C.UTF-8", "NO_COLOR": "1",
                       "PYTHONDONTWRITEBYTECODE": "1", "EVENING": self.home.name}
        self.shell = Shell(environment)
        self.addCleanup(self.end)

    def end(self):
        for process in processes.marked("EVENING", self.home.name):
            if process.pid != self.shell.bash.pid:
                processes.kill_exactly(process, signal.SIGKILL)
        self.shell.close()

    def test_every_line_of_the_two_minutes(self):
        self.type(steps("## Two minutes"), 20)

    def test_every_line_of_the_evening(self):
        self.type(steps("## A first evening"), 30)

    def type(self, done, at_least):
        self.assertGreater(len(done), at_least)
        for command, expected in done:
            came = self.shell.run(command.replace("$PWD/build/release/bin", str(harness.BIN)))
            if PRINT:
                print("$ " + command.replace("\n", "\n> "), *came, sep="\n")
            elif not same(expected, came):
                self.assertEqual("\n".join(expected), "\n".join(came), f"after: $ {command}")
            if command.endswith("&"):  # a person takes longer to type than it to start
                self.wait_for_the_daemon()

    def wait_for_the_daemon(self):
        path = self.shell.run("echo $POOLD_SOCKET")[0]

        def ready():
            control = Control(path, 20 * harness.PATIENCE)
            try:
                return all(pool["ready"] == pool["workers"] for pool in control.call("Pools/List")["pools"])
            except OSError:
                return False
            finally:
                control.close()

        eventually(ready, 60 * harness.PATIENCE, "the daemon and its workers are ready")


PRINT = "--print" in sys.argv

if __name__ == "__main__":
    if PRINT:
        sys.argv.remove("--print")
    unittest.main(verbosity=2)
