"""The engine or the supervisor dies, and Python functions of disk pools go on: each is finished once, by the same process, and its caller has the result.

Functions here wait for a pipe that is opened after the kill. POOLD_SUPERVISOR_KILLS and POOLD_ENGINE_KILLS make it longer.
"""

import collections
import os
import unittest

import harness
import processes
from control import eventually
from python_pool import python_pool
from test_survival import SurvivalTest

SUPERVISOR_KILLS = int(os.environ.get("POOLD_SUPERVISOR_KILLS", 4))
ENGINE_KILLS = int(os.environ.get("POOLD_ENGINE_KILLS", 4))
# How long the function keeps the interpreter.
HELD_S = 10 if "POOLD_ENGINE_KILLS" in os.environ else 2


class PythonSurvival(SurvivalTest):
    def begin(self, workers=2, **settings):
        here = self.daemon({"py": python_pool(workers=workers, durability="disk", **settings)}).wait_ready()
        self.witness = here.directory / "witness"
        return here

    def call(self, here, function, *args, **options):
        return here.client().call("Tasks/Submit", {"pool": "py", "function": {"name": function, "args": list(args)}, **options})["id"]

    def submit(self, here, tag, **options):
        os.mkfifo(here.directory / f"gate.{tag}")
        return self.call(here, "python_functions:witness", str(here.directory), tag, **options)

    def check_once(self, here, ids):
        for tag, task in zip(ids, here.client().wait(*ids.values())):
            self.assertEnded(task, "RETURNED", value=tag * 7 + 1)
            self.assertEqual((task["attempt"], task["crashes"]), (1, 0), task)

    def rounds(self, count, kill, after):
        here = self.begin()
        tag = 0
        for number in range(count):
            ids = {}
            # Two run, and three wait behind them.
            for _ in range(5):
                tag += 1
                ids[tag] = self.submit(here, tag)
            started = 5 * number + 2
            self.wait_started(started)
            running = [t for t in ids if f"S{t}" in {line[0] + line[1] for line in self.lines()}]
            kill(here)
            # One ends while there is nobody, the other when the next daemon serves.
            self.open_gate(here, running[0])
            eventually(lambda: ["E", str(running[0])] in [line[:2] for line in self.lines()], what="one ends")
            if after:
                here.start()
            for t in ids:
                if t != running[0]:
                    self.open_gate(here, t)
            self.check_once(here, ids)
            for task in ids.values():
                self.assertEqual(here.poolctl("logs", task).stdout, "said go\n")
        seen = collections.Counter(line[0] + line[1] for line in self.lines())
        self.assertEqual(set(seen.values()), {1}, "each started once and ended once")
        self.assertEqual(len(seen), 2 * tag)
        here.wait_ready()
        self.assertEqual(len(self.files(here)), 2, "one file for each worker that lives")

    def test_functions_run_once_whatever_becomes_of_the_engine(self):
        self.rounds(ENGINE_KILLS, self.kill_engine, False)

    def test_functions_run_once_whatever_becomes_of_the_supervisor(self):
        self.rounds(SUPERVISOR_KILLS, self.kill_supervisor, True)

    def test_a_worker_that_only_waited_meets_the_next_engine(self):
        here = self.begin()
        workers = sorted(p.pid for p in here.worker_processes())
        for _ in range(3):
            self.kill_engine(here)
            ids = {tag: self.call(here, "poold_examples:add", tag * 7, 1) for tag in range(20)}
            self.check_once(here, ids)
        self.assertEqual(sorted(p.pid for p in here.worker_processes()), workers)

    def test_a_function_that_keeps_the_interpreter_is_waited_for(self):
        for kill, start in ((self.kill_engine, False), (self.kill_supervisor, True)):
            with self.subTest(kill=kill.__name__):
                here = self.begin(workers=1)
                ids = {1: self.call(here, "python_functions:witness_with_the_interpreter", str(here.directory), 1, HELD_S)}
                self.wait_started(1)
                kill(here)
                if start:
                    here.start()
                self.check_once(here, ids)
                self.assertEqual([line[0] for line in self.lines()], ["S", "E"])
                self.assertEqual(here.stop(), 0)

    def test_cancel_reaches_a_function_whose_engine_was_replaced(self):
        here = self.begin()
        task = self.submit(here, 1)
        self.wait_started(1)
        self.kill_engine(here)
        here.client().call("Tasks/Cancel", {"id": task})
        self.assertEqual([t["state"] for t in here.client().wait(task)], ["CANCELLED"])
        self.assertEqual([line[0] for line in self.lines()], ["S"])

    def test_a_worker_whose_function_is_killed_after_the_engine_costs_a_crash(self):
        here = self.begin(workers=1)
        task = self.submit(here, 1)
        self.wait_started(1)
        self.kill_engine(here)
        processes.kill_exactly(here.worker_processes()[0])
        self.wait_started(2)
        self.open_gate(here, 1)
        [ended] = here.client().wait(task)
        self.assertEnded(ended, "RETURNED", value=8)
        self.assertEqual((ended["attempt"], ended["crashes"]), (2, 1), ended)

    def test_a_stop_after_the_engine_was_replaced_ends_well(self):
        here = self.begin()
        self.kill_engine(here)
        self.assertEqual(here.stop(), 0)
        self.assertEqual(here.left_behind(), [])

    def test_a_pool_in_memory_gets_new_workers(self):
        here = self.daemon({"py": python_pool(workers=2)}).wait_ready()
        self.witness = here.directory / "witness"
        workers = {p.pid for p in here.worker_processes()}
        self.kill_engine(here)
        self.check_once(here, {2: self.call(here, "poold_examples:add", 7, 8)})
        self.assertFalse(workers & {p.pid for p in here.worker_processes()})


if __name__ == "__main__":
    unittest.main(verbosity=2)
