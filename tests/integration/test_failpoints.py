"""At every fail point the daemon is killed under load, started again, and every task is accounted for.

One test for each point of `poold --list-failpoints`: those on a task's way kill twice, those on the way of a recovery kill three recoveries one
after the other. A point that the load does not reach fails its test. The checker is that of test_crashes, and beside it: a key still names its
task, an outcome that was seen once is the outcome, also after another crash, a cancel that was answered holds, a large result is whole, and where
engines died and no worker did, nothing ran twice. A build without fail points says so, and nothing is run.
"""

import os
import random
import subprocess
import threading
import unittest

import failpoints
import harness
import processes
import test_crashes
from control import ConnectError, eventually

POINTS = failpoints.listed()
SEED = int(os.environ.get("POOLD_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
LARGE = 3000
# Passages of a point for each kill: more where there is a passage for each task.
PER_TASK = {"store-loading", "task-recovered", "ended-task-recovered"}


class Client(test_crashes.Client):
    """Remembers, beside what was accepted, what it asked for and which outcomes it was told."""

    def __init__(self, here, log):
        super().__init__(here, 1, log)
        self.specs = {}  # tag: what was submitted
        self.told = {}  # id: (state, outcome) as first seen

    def spec(self, tag):
        self.specs[tag] = super().spec(tag)
        return self.specs[tag]

    def wait_for_some(self):
        open_ids = [i for i in self.accepted.values() if i not in self.ended][:50]
        for task in self.insist("Tasks/Wait", {"ids": open_ids, "any": True, "timeout": "1s"})["tasks"]:
            if "outcome" in task:
                self.ended.add(task["id"])
                self.told.setdefault(task["id"], standing(task))


class Others(test_crashes.Client):
    """What few tasks do: large results, tasks that are soon forgotten, cancels of what runs."""

    def __init__(self, here, log):
        super().__init__(here, 2, log)
        self.rounds = 0
        self.large = []
        self.cancelled = []

    def work(self):
        while not self.stopping.is_set():
            number = self.rounds
            large = {"pool": "math", "function": {"name": "large", "args": [LARGE]}, "key": f"large{number}", "crashAttempts": 50}
            self.large.append(self.insist("Tasks/Submit", large)["id"])
            for other in range(3):
                self.insist("Tasks/Submit", {"pool": "brief", "function": {"name": "large", "args": [10]}, "key": f"brief{number}.{other}"})
            sleeper = {"pool": "sleepers", "command": {"argv": ["sleep", "1000"]}, "key": f"sleep{number}", "crashAttempts": 50}
            self.cancel(self.insist("Tasks/Submit", sleeper)["id"])
            self.rounds += 1

    def cancel(self, task):
        eventually(lambda: self.insist("Tasks/Get", {"id": task})["task"]["state"] == "RUNNING", 60 * harness.PATIENCE, "the sleeper runs")
        try:
            self.insist("Tasks/Cancel", {"id": task})
        except ConnectError as error:
            # Asked again, because the first answer was lost: it has ended.
            if error.code != "failed_precondition":
                raise
        self.cancelled.append(task)


def standing(task):
    return task["state"], task["attempt"], {name: value for name, value in task["outcome"].items() if name != "usage"}


class FailPoints(harness.DaemonTest):
    check = test_crashes.Crashes.check

    def setUp(self):
        plugin = str(harness.LIBRARY / "libpoold_witness.so")
        disk = {"durability": "disk", "retention": {"count": 10_000_000}}
        functions = {"kind": "function", "plugin": plugin, **disk}
        self.here = self.daemon({
            "default": {"kind": "command", "workers": 1, **disk},
            "sleepers": {"kind": "command", "workers": 1, "grace": "1s", **disk},
            "math": {"workers": 2, **functions},
            "brief": {**functions, "workers": 1, "retention": {"count": 2}},
        }, start=False)
        self.here.back = threading.Event()
        self.here.back.set()
        self.log = self.here.directory / "witness"
        path = self.here.directory / "failpoints"
        self.trap = failpoints.Trap(path, POINTS)
        self.addCleanup(self.trap.close)
        self.here.environment["POOLD_FAILPOINTS"] = str(path)
        self.here.start().wait_ready()

    def dies_at(self, point):
        self.client, self.others = Client(self.here, self.log), Others(self.here, self.log)
        for thread in (self.client, self.others):
            thread.start()
        try:
            self.until(lambda: len(self.client.accepted) >= 50 and self.others.rounds >= 2, "the load is there")
            kills = 3 if point.in_recovery else 2
            count = 5 if point.name in PER_TASK else 1 if point.in_recovery else random.Random(f"{SEED} {point.name}").randint(1, 5)
            self.trap.arm(point, count, kills)
            while self.trap.killed(point) < kills:
                self.one_kill(point)
            after, rounds = len(self.client.accepted), self.others.rounds
            self.until(lambda: len(self.client.accepted) > after and self.others.rounds > rounds, "clients get through again")
        finally:
            for thread in (self.client, self.others):
                thread.stopping.set()
        for thread in (self.client, self.others):
            thread.join(60 * harness.PATIENCE)
            self.assertFalse(thread.is_alive(), "a client hangs")
            if thread.error:
                raise thread.error
        self.account(point)

    def one_kill(self, point):
        """Until the point has killed once more. A recovery is brought about each time the load goes on without having met it."""
        before = self.trap.killed(point)
        if point.in_recovery:
            engine = self.here.engine()
            if engine is not None:
                processes.kill_exactly(engine)
        accepted = len(self.client.accepted)
        patience = 200 if point.in_recovery else 3000
        self.until(lambda: self.trap.killed(point) > before or len(self.client.accepted) > accepted + patience, f"{point.name} kills")
        if not point.in_recovery:
            self.assertGreater(self.trap.killed(point), before, f"the load does not reach {point.name} ({self.trap.passed(point)} passages)")

    def until(self, condition, what):
        """Waits, sees to it that there is a supervisor, and hears of clients in trouble."""
        def look():
            for thread in (self.client, self.others):
                if thread.error:
                    raise thread.error
            if self.here.process.poll() is not None:
                self.here.back.clear()
                self.here.spawn()
                self.here.back.set()
            return condition()

        eventually(look, 60 * harness.PATIENCE, what)

    def account(self, point):
        self.here.wait_healthy(60)
        starts = self.check(self.client.accepted)
        if point.process == "engine":
            self.assertEqual(starts, len(self.client.accepted), "no worker died, and something ran twice")
        control = self.here.client()
        ids = list(self.client.accepted.values())
        before = self.standings(control, ids)
        for task, told in self.client.told.items():
            self.assertEqual(before[task], told, "a second outcome")
        self.check_others(control)
        engine = self.here.engine()
        processes.kill_exactly(engine)
        eventually(lambda: (e := self.here.engine()) and e.pid != engine.pid, 60 * harness.PATIENCE, "another engine")
        self.here.wait_healthy(60)
        control = self.here.client()
        after = self.standings(control, ids)
        self.assertEqual([(before[task], after[task]) for task in ids if before[task] != after[task]], [], "another outcome after another crash")
        self.check_others(control)
        tags = list(self.client.accepted)
        again = control.call("Tasks/SubmitBatch", {"tasks": [self.client.specs[tag] for tag in tags]})["tasks"]
        self.assertEqual([tag for tag, answer in zip(tags, again) if answer["id"] != self.client.accepted[tag]], [], "keys that name another task")

    def check_others(self, control):
        for task in control.wait(*self.others.large):
            self.assertEnded(task, "RETURNED", value="x" * LARGE)
        for task in control.wait(*self.others.cancelled):
            self.assertEqual(task["state"], "CANCELLED", task)

    def standings(self, control, ids):
        found = {}
        for first in range(0, len(ids), 1000):
            found.update((task["id"], standing(task)) for task in control.wait(*ids[first:first + 1000]))
        return found


def test_of(point):
    def test(self):
        self.dies_at(point)

    test.__doc__ = f"{point.process}: {point.place} (seed {SEED})"
    return test


for each in POINTS:
    setattr(FailPoints, "test_" + each.name.replace("-", "_"), test_of(each))


class List(unittest.TestCase):
    def test_names_are_there_and_once(self):
        if not POINTS:
            self.skipTest("this build has no fail points")
        self.assertGreaterEqual(len(POINTS), 25)
        self.assertEqual(len({point.name for point in POINTS}), len(POINTS))

    def test_what_is_shipped_has_none_and_says_so(self):
        if POINTS:
            self.skipTest("this build has fail points")
        answer = subprocess.run([harness.BIN / "poold", "--list-failpoints"], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual((answer.returncode, answer.stdout), (1, ""))
        self.assertIn("no fail points", answer.stderr)


if __name__ == "__main__":
    harness.main()
