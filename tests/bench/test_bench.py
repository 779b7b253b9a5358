"""The benchmark itself: that it notices what is wrong, and prints what was asked for and nothing else. Measures nothing."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom

import places
import bars
import plot
import report
import rows
from harness import BIN, DaemonTest, main
from python_pool import python_pool

RUN = places.HERE / "run"
WRONG_FUNCTIONS = """
import poold

@poold.task
def noop():
    return 1
"""


def run(*arguments, programs=BIN):
    return subprocess.run([sys.executable, RUN, *arguments], env={**os.environ, "POOLD_BIN": str(programs)}, capture_output=True, text=True,
                          check=False, timeout=120)


class Results(DaemonTest):
    def test_function_that_returns_something_else(self):
        with tempfile.TemporaryDirectory() as directory:
            pathlib.Path(directory, "wrong_functions.py").write_text(WRONG_FUNCTIONS, encoding="utf-8")
            daemon = self.daemon({"py": python_pool("wrong_functions", path=[directory])}).wait_ready()
            ended = subprocess.run([BIN / "stream_bench", "python", "4", "10"], env={**os.environ, "POOLD_SOCKET": daemon.socket},
                                   capture_output=True, text=True, check=False, timeout=60)
            self.assertEqual(ended.returncode, 1)
            self.assertIn("a wrong result", ended.stderr)
            daemon.wait_ready()


class Run(unittest.TestCase):
    def test_json_alone_on_stdout(self):
        with tempfile.TemporaryDirectory() as directory:
            drawn = pathlib.Path(directory, "plot.svg")
            ended = run("--quick", "--repetitions", "2", "--only", "noop_cpp_window_16", "--json", "--plot", str(drawn))
            self.assertEqual(ended.returncode, 0, ended.stderr)
            result = json.loads(ended.stdout)
            self.assertEqual([(row["name"], row["unit"]) for row in result["rows"]],
                             [("noop_cpp_window_16", "tasks/s"), ("noop_cpp_window_16_p50", "us")])
            self.assertGreater(result["rows"][0]["median"], 0)
            self.assertIn("multiprocessing", result["peers"])
            xml.dom.minidom.parse(str(drawn))

    def test_program_that_complains_of_a_wrong_result(self):
        with tempfile.TemporaryDirectory() as directory:
            for program in BIN.iterdir():
                pathlib.Path(directory, program.name).symlink_to(program)
            liar = pathlib.Path(directory, "limits_bench")
            liar.unlink()
            liar.write_text("#!/bin/sh\necho a wrong result >&2\nexit 1\n", encoding="utf-8")
            liar.chmod(0o755)
            ended = run("--quick", "--only", "limit_spawn", programs=directory)
            self.assertEqual((ended.returncode, ended.stdout), (1, ""))
            self.assertIn("wrong: limit_spawn_width_2:", ended.stderr)
            self.assertIn("a wrong result", ended.stderr)

    def test_misuse_is_named(self):
        for arguments, complaint in (
            (["--only", "nonsense"], "--only nonsense: there is no such row"),
            (["--repetitions", "0"], "--repetitions"),
            (["--plot", "/nowhere/plot.svg"], "--plot: there is no folder"),
            (["--json", "--markdown"], "not both"),
            (["--from", "/nowhere/result.json"], "No such file"),
            (["--from", __file__], "wanted is what --json prints"),
        ):
            ended = run(*arguments)
            self.assertNotEqual(ended.returncode, 0)
            self.assertIn(complaint, ended.stderr)

    def test_names_of_rows_are_unique_and_in_a_group(self):
        names = [row.name for measure in rows.MEASURES for row in measure.rows]
        self.assertEqual(len(names), len(set(names)))
        for name in names:
            report.group(name)
        for one in bars.WATCHED:
            self.assertIn(one.above, names)
            self.assertIn(one.below or one.above, names)

    def test_table_and_plot_of_every_row(self):
        every = [{"name": row.name, "unit": row.unit, "median": 1000.0 + i, "spread": 0.1}
                 for i, row in enumerate(row for measure in rows.MEASURES for row in measure.rows)]
        result = {"rows": every, "ratios": bars.watched(every), "peers": {"xargs": "1"}, "skipped": {}, "repetitions": 5, "seconds": 1, "quick": False,
                  "machine": {"cpus": 2, "cpu": "x", "memory_gib": 4, "kernel": "6", "load_before": 0}}
        text = report.table(result)
        for row in every:
            self.assertIn(row["name"], text)
        nothing = report.table({**result, "rows": [], "ratios": {}, "skipped": {"celery": "not installed"}})
        self.assertIn("left out: celery (not installed)", nothing)
        with tempfile.TemporaryDirectory() as directory:
            plot.write(pathlib.Path(directory, "plot.svg"), every)
            drawn = pathlib.Path(directory, "plot.svg").read_text(encoding="utf-8")
        self.assertNotIn("not measured", drawn)


if __name__ == "__main__":
    main()
