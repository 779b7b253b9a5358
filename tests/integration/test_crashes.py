"""Engine, supervisor and workers are killed at random moments while clients submit durable tasks; afterwards everything is accounted for.

Each task is a witness (witness.hpp): it writes down its start and its end, and notices another attempt of itself beside it. Clients submit with
keys, and whoever is cut off before the answer submits the same again. At the end:

- what was acknowledged is there, under one id, with one outcome, and its result matches its input;
- no two attempts of a task ran at the same time, and none started more often than it has attempts;
- a task whose workers were never killed ran once, however often engines died.

`./dev crash --kills N` runs it longer. POOLD_CRASH_KILLS and POOLD_CRASH_SEED do the same for the test.
"""

import argparse
import collections
import os
import random
import sys
import threading
import time
import unittest

import harness
import processes
from control import ConnectError, Control, eventually

KILLS = int(os.environ.get("POOLD_CRASH_KILLS", 30 if harness.SANITIZED else 100))
SEED = int(os.environ.get("POOLD_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
CLIENTS = 3
BATCH = 25
# Unfinished tasks that a client has at most.
BACKLOG = 300
CRASH_ATTEMPTS = 50
# "Serving again within 2 s each time."
SERVING_S = 2
TARGETS = ["engine"] * 4 + ["worker"] * 4 + ["supervisor"] * 2


class Client(threading.Thread):
    """Submits tasks until it is told to stop, and repeats what was not answered."""

    def __init__(self, here, number, log):
        super().__init__(daemon=True)
        self.here, self.number, self.log = here, number, log
        self.random = random.Random(SEED + number)
        self.control = None
        self.accepted = {}  # tag: id
        self.stopping = threading.Event()
        self.ended = set()
        self.error = None
        self.repeated = 0

    def run(self):
        try:
            self.work()
        except BaseException as error:  # told by whoever joins
            self.error = error
        finally:
            self.close()

    def work(self):
        tag = self.number << 24
        while not self.stopping.is_set():
            batch = [self.spec(tag + i) for i in range(BATCH)]
            answers = self.insist("Tasks/SubmitBatch", {"tasks": batch})["tasks"]
            for i, answer in enumerate(answers):
                if not answer["id"]:
                    raise AssertionError(f"task {tag + i} was refused: {answer}")
                self.accepted[tag + i] = answer["id"]
            tag += BATCH
            while len(self.accepted) - len(self.ended) > BACKLOG and not self.stopping.is_set():
                self.wait_for_some()

    def spec(self, tag):
        pause = self.random.randint(0, 3000)
        # Most are functions, so that there are many; every tenth is a command.
        work = {"command": {"argv": [str(harness.BIN / "poold-test-witness"), str(self.log), str(tag), str(pause)]}} if tag % 10 == 0 else {
            "pool": "math",
            "function": {"name": "witness", "args": [str(self.log), tag, pause]},
        }
        return {**work, "key": f"k{tag}", "crashAttempts": CRASH_ATTEMPTS}

    def wait_for_some(self):
        open_ids = [i for i in self.accepted.values() if i not in self.ended][:50]
        for task in self.insist("Tasks/Wait", {"ids": open_ids, "any": True, "timeout": "1s"})["tasks"]:
            if "outcome" in task:
                self.ended.add(task["id"])

    def close(self):
        if self.control is not None:
            self.control.close()
            self.control = None

    def insist(self, method, request):
        """The answer, from whichever engine gives one."""
        while True:
            try:
                if self.control is None:
                    self.control = Control(self.here.socket, 30 * harness.PATIENCE)
                return self.control.call(method, request)
            except ConnectError as error:
                if error.code != "unavailable":
                    raise
            except (OSError, EOFError, ValueError):
                pass
            # Cut off: the daemon is being replaced. A connection to the next one waits in the socket's backlog, so this does not spin; but
            # between two supervisors there is no socket.
            self.repeated += 1
            self.close()
            self.here.back.wait(60 * harness.PATIENCE)


class Crashes(harness.DaemonTest):
    def setUp(self):
        self.random = random.Random(SEED)
        plugin = str(harness.LIBRARY / "libpoold_witness.so")
        common = {"durability": "disk", "workers": 2, "retention": {"count": 10_000_000}}
        self.here = self.daemon({
            "default": {"kind": "command", **common},
            "math": {"kind": "function", "plugin": plugin, **common},
        }).wait_ready()
        self.here.back = threading.Event()
        self.here.back.set()
        self.log = self.here.directory / "witness"
        self.kills = collections.Counter()
        self.slowest = 0.0

    def victim(self, what):
        if what == "supervisor":
            return processes.look(self.here.pid)
        if what == "engine":
            return self.here.engine()
        workers = self.here.worker_processes()
        return self.random.choice(workers) if workers else None

    def kill(self, what):
        victim = self.victim(what)
        if victim is None:
            return
        if what == "supervisor":
            self.here.back.clear()
        if not processes.kill_exactly(victim):
            self.here.back.set()
            return
        self.kills[what] += 1
        began = time.monotonic()
        if what == "supervisor":
            self.here.process.wait()
            self.here.spawn()
        if what != "worker":
            self.here.wait_healthy(SERVING_S)
            self.slowest = max(self.slowest, time.monotonic() - began)
        self.here.back.set()

    def test_everything_is_accounted_for(self):
        print(f"\nseed {SEED}", flush=True)
        clients = [Client(self.here, number, self.log) for number in range(1, CLIENTS + 1)]
        began = time.monotonic()
        for client in clients:
            client.start()
        while sum(self.kills.values()) < KILLS:
            # Some while the last one is still being dealt with, some when all is well.
            before = sum(len(client.accepted) for client in clients)
            enough = self.random.choice((0, 0, 20, 100, 400))
            eventually(lambda: sum(len(c.accepted) for c in clients) >= before + enough or any(c.error for c in clients), 60 * harness.PATIENCE,
                       "clients get through")
            for client in clients:
                if client.error:
                    raise client.error
            self.kill(self.random.choice(TARGETS))
        seconds = time.monotonic() - began
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(60 * harness.PATIENCE)
            self.assertFalse(client.is_alive(), "a client hangs")
            if client.error:
                raise client.error
        accepted = {tag: task for client in clients for tag, task in client.accepted.items()}
        starts = self.check(accepted)
        print(f"{dict(self.kills)}; {len(accepted)} tasks accepted in {seconds:.1f} s ({len(accepted) / seconds:.0f}/s), "
              f"{sum(c.repeated for c in clients)} calls repeated, {starts - len(accepted)} attempts more than tasks, "
              f"serving again after at most {self.slowest * 1000:.0f} ms")

    def check(self, accepted):
        control = self.here.client()
        tasks = {}
        ids = list(accepted.values())
        self.assertEqual(len(set(ids)), len(ids), "two keys, one task")
        for first in range(0, len(ids), 1000):
            answer = control.call("Tasks/Wait", {"ids": ids[first:first + 1000], "timeout": f"{300 * harness.PATIENCE}s"})
            tasks.update((task["id"], task) for task in answer["tasks"])
        starts, ends = collections.Counter(), collections.Counter()
        with open(self.log, encoding="ascii") as file:
            for line in file:
                what, tag, _ = line.split()
                self.assertIn(what, "SE", "two attempts of a task at the same time: " + line)
                (starts if what == "S" else ends)[int(tag)] += 1
        for tag, task_id in accepted.items():
            task = tasks[task_id]
            self.assertIn("outcome", task, f"{tag} has not ended: {task}")
            if tag % 10 == 0:
                self.assertEnded(task, "EXITED", exitCode=tag % 3)
            else:
                self.assertEnded(task, "RETURNED", value=tag * 7 + 1)
            self.assertGreaterEqual(ends[tag], 1, f"{tag} has a result and never ran to its end")
            self.assertLessEqual(starts[tag], task["attempt"], f"{tag}: more starts than attempts")
        unexpected = set(starts) - set(accepted)
        # A batch whose answer nobody waited for at the end may have been accepted.
        self.assertLessEqual(len(unexpected), CLIENTS * BATCH, "tasks that nobody submitted")
        return sum(starts[tag] for tag in accepted)


class EngineDeaths(harness.DaemonTest):
    """What runs is not disturbed by the death of an engine, and is not run twice."""

    ROUNDS = int(os.environ.get("POOLD_ENGINE_KILLS", 10))

    def test_long_tasks_run_once_and_keep_their_exit_status(self):
        plugin = str(harness.LIBRARY / "libpoold_witness.so")
        here = self.daemon({
            "default": {"kind": "command", "durability": "disk", "workers": 2},
            "math": {"kind": "function", "plugin": plugin, "durability": "disk", "workers": 2},
        }).wait_ready()
        log = here.directory / "witness"
        tag = 0
        for _ in range(self.ROUNDS):
            control = here.client()
            ids = {}
            for number in range(4):
                tag += 1
                pause = 300_000
                if number % 2:
                    ids[tag] = control.submit([str(harness.BIN / "poold-test-witness"), str(log), str(tag), str(pause)])
                else:
                    ids[tag] = control.call("Tasks/Submit", {"pool": "math", "function": {"name": "witness", "args": [str(log), tag, pause]}})["id"]
            eventually(lambda last=tag: log.exists() and log.read_text().count("S ") == last, what="all four run")
            engine = here.engine()
            processes.kill_exactly(engine)
            eventually(lambda: (e := here.engine()) and e.pid != engine.pid, what="another engine")
            here.wait_healthy()
            for number, task in zip(ids, here.client().wait(*ids.values())):
                self.assertEqual((task["attempt"], task["crashes"]), (1, 0), task)
                if number % 2 == 0:
                    self.assertEnded(task, "EXITED", exitCode=number % 3)
                else:
                    self.assertEnded(task, "RETURNED", value=number * 7 + 1)
        lines = collections.Counter(line.split()[0] + line.split()[1] for line in log.read_text().splitlines())
        self.assertEqual(set(lines.values()), {1}, "each started once and ended once")
        self.assertEqual(len(lines), 2 * tag)

    def test_cancel_after_the_engine_died(self):
        here = self.daemon({"default": {**harness.COMMANDS, "durability": "disk"}, "math": {**harness.FUNCTIONS, "durability": "disk"}}).wait_ready()
        control = here.client()
        tasks = [control.submit(["sleep", "60"]), control.call("Tasks/Submit", {"pool": "math", "function": {"name": "sleep_ms", "args": [60_000]}})["id"]]
        eventually(lambda: all(control.task(task)["state"] == "RUNNING" for task in tasks), what="both run")
        engine = here.engine()
        processes.kill_exactly(engine)
        eventually(lambda: (e := here.engine()) and e.pid != engine.pid, what="another engine")
        here.wait_healthy()
        control = here.client()
        for task in tasks:
            control.call("Tasks/Cancel", {"id": task})
        self.assertEqual([task["state"] for task in control.wait(*tasks)], ["CANCELLED"] * 2)


def main():
    parser = argparse.ArgumentParser(description="Kills engines, supervisors and workers at random, and accounts for every task afterwards.")
    parser.add_argument("--kills", type=int, default=1000, metavar="N", help="how many (1000)")
    parser.add_argument("--seed", type=int, metavar="N", help="repeats the choices of another run")
    arguments = parser.parse_args()
    global KILLS, SEED
    KILLS = arguments.kills
    if arguments.seed is not None:
        SEED = arguments.seed
    suite = unittest.TestSuite([Crashes("test_everything_is_accounted_for")])
    return 0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main())
    unittest.main(verbosity=2)
