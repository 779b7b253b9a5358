"""In steady state a task of a memory pool costs the engine no allocation: counted in the engine itself, by a library that is preloaded into it."""

import os
import shutil
import struct
import subprocess

import harness
from harness import BIN, COMMANDS, FUNCTIONS, LIBRARY, Daemon, DaemonTest, performance

# The directory of the programs under test, with an engine that counts.
SCRIPT = """#!/bin/sh
export COUNT_ALLOCATIONS='{counter}' LD_PRELOAD='{library}/libcount_allocations.so'
exec '{programs}/poold-engine' "$@"
"""


class CountingDaemon(Daemon):
    def command_line(self):
        programs = self.directory / "bin"
        if not programs.exists():
            programs.mkdir()
            for name in ("poold", "poold-worker"):
                shutil.copy(BIN / name, programs / name)
            (self.directory / "lib").symlink_to(LIBRARY)
            engine = programs / "poold-engine"
            engine.write_text(SCRIPT.format(counter=self.counter(), library=LIBRARY, programs=BIN), encoding="utf-8")
            engine.chmod(0o755)
        return [programs / "poold", *super().command_line()[1:]]

    def counter(self):
        return self.directory / "allocations"

    def allocations(self):
        return struct.unpack("Q", self.counter().read_bytes())[0]


@performance
class Allocations(DaemonTest):
    def run_tasks(self, daemon, what, window, count, size):
        subprocess.run([BIN / "stream_bench", what, str(window), str(count), str(size)], check=True, capture_output=True,
                       env={**os.environ, "POOLD_SOCKET": daemon.socket})

    def allocations_per_task(self, what, window, count, retained, size=100):
        retention = {"retention": {"count": retained}}
        daemon = CountingDaemon({"default": {**COMMANDS, **retention}, "math": {**FUNCTIONS, **retention}})
        self.addCleanup(self._end, daemon)
        daemon.start().wait_ready()
        # Until every table has its size, and as many ended tasks are retained as may be.
        self.run_tasks(daemon, what, window, 2 * max(retained, count), size)
        # What a connection costs, measured with its own first task.
        before = daemon.allocations()
        self.run_tasks(daemon, what, window, 1, size)
        connection = daemon.allocations() - before
        self.assertGreater(connection, 0, "they are counted")
        before = daemon.allocations()
        self.run_tasks(daemon, what, window, count, size)
        return (daemon.allocations() - before - connection) / count

    def test_many_tasks_in_flight(self):
        self.assertLess(self.allocations_per_task("noop", window=1024, count=200_000, retained=10_000), 0.01)

    def test_one_task_in_flight(self):
        self.assertLess(self.allocations_per_task("noop", window=1, count=5_000, retained=1_000), 0.01)

    def test_tasks_and_results_that_do_not_fit_into_a_string_object(self):
        self.assertLess(self.allocations_per_task("echo", window=256, count=100_000, retained=10_000), 0.01)

    def test_results_of_64_kib(self):
        """What the channels keep of such a size is less than one of them."""
        self.assertLess(self.allocations_per_task("echo", window=16, count=5_000, retained=1_000, size=64 * 1024), 1)

    def test_commands(self):
        """Not none: a command's arguments and environment are read as messages, which is nothing beside the process that it starts."""
        self.assertLess(self.allocations_per_task("true", window=16, count=1_000, retained=500), 20)


if __name__ == "__main__":
    harness.main()
