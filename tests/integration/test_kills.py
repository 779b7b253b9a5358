"""A thousand SIGKILLs of random workers while twenty thousand tasks run.

Half of the tasks are commands, half are functions; each is a witness (witness.hpp), which writes down its start and its end and notices another
attempt of the same task beside it. POOLD_KILLS and POOLD_KILL_TASKS make the run shorter.
"""

import collections
import os
import random
import threading
import unittest

import harness
import processes
from control import Control, connect, eventually, ndjson_of_chunks
from frames import Stream, outcome_name

QUICK = 10 if harness.SANITIZED else 1
KILLS = int(os.environ.get("POOLD_KILLS", 1000 // QUICK))
TASKS = int(os.environ.get("POOLD_KILL_TASKS", 20_000 // QUICK))
IN_FLIGHT = 400
CRASH_ATTEMPTS = 3


class Kills(harness.DaemonTest):
    def setUp(self):
        plugin = str(harness.LIBRARY / "libpoold_witness.so")
        self.here = self.daemon({
            "default": {"kind": "command", "workers": 4, "retention": {"count": TASKS}},
            "math": {"kind": "function", "plugin": plugin, "workers": 4, "retention": {"count": TASKS}},
        }).wait_ready()
        self.control = self.here.client()
        self.log = self.here.directory / "witness"
        self.random = random.Random(20250101)
        self.results = {}
        self.accepted = {}
        self.killed = set()

    def submit(self, stream, tag):
        pause = self.random.randint(0, 2000)
        options = {"want_accepted": True, "crash_attempts": CRASH_ATTEMPTS}
        if tag % 2:
            argv = [harness.BIN / "poold-test-witness", self.log, tag, pause]
            stream.submit(tag, list(map(str, argv)), **options)
        else:
            stream.submit(tag, function="witness", args=[str(self.log), tag, pause], pool="math", **options)

    def kill_one(self):
        """One random worker that is running tasks; False if none was there to be killed."""
        victims = [w for w in self.control.workers() if w["pid"] and w["state"] in ("IDLE", "BUSY")]
        self.random.shuffle(victims)
        for victim in victims:
            process = processes.look(victim["pid"])
            if process is None or process.parent != self.here.pid or (process.pid, process.start) in self.killed:
                continue  # dead or dying, and not yet known to be
            if processes.kill_exactly(process):
                self.killed.add((process.pid, process.start))
                return True
        return False

    def run_tasks(self, stream):
        """Keeps tasks in flight until all have ended, and spreads the kills over them."""
        submitted = 0
        while len(self.results) < TASKS or len(self.killed) < KILLS:
            while submitted < TASKS and submitted - len(self.results) < IN_FLIGHT:
                submitted += 1
                self.submit(stream, submitted)
            if len(self.killed) < KILLS and len(self.killed) * TASKS <= len(self.results) * KILLS:
                self.kill_one()
            if len(self.results) == TASKS:
                continue
            frame = stream.receive()
            kind = frame.WhichOneof("frame")
            self.assertIn(kind, ("accepted", "result"), frame)
            if kind == "accepted":
                self.accepted[frame.accepted.tag] = frame.accepted.id
            else:
                self.assertNotIn(frame.result.tag, self.results, "a result came twice")
                self.results[frame.result.tag] = frame.result

    def test_every_task_ends_right_and_nothing_overlaps(self):
        descriptors = [len(processes.descriptors(pid)) for pid in (self.here.pid, self.here.engine().pid)]
        events = connect(self.here.socket, 120 * harness.PATIENCE)
        events.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        stream = Stream(self.here.socket, timeout=60 * harness.PATIENCE)
        collector = EventCollector(events, TASKS)
        collector.start()
        self.run_tasks(stream)
        stream.close()
        collector.join(60 * harness.PATIENCE)
        self.assertFalse(collector.is_alive(), "not every task's end was told")
        events.close()
        self.assertGreaterEqual(len(self.killed), KILLS)

        lost = self.check_results()
        starts = self.check_witness(lost)
        self.check_events(collector, lost)
        self.check_leaks(descriptors)
        print(
            f"\n{len(self.killed)} kills, {TASKS} tasks, {starts - TASKS} attempts more than tasks, {collector.dropped} events dropped,"
            f" {len(lost)} tasks used up their {CRASH_ATTEMPTS} crash attempts"
        )

    def check_results(self):
        """Returns the tags of the tasks whose crash attempts were used up, which must be few and say so."""
        lost = []
        for tag, result in self.results.items():
            kind = outcome_name(result.outcome)
            if kind == "WORKER_LOST":
                self.assertEqual(result.outcome.signal, 9)
                task = self.control.task(self.accepted[tag])
                self.assertEqual((task["state"], task["crashes"]), ("FAILED", CRASH_ATTEMPTS), task)
                lost.append(tag)
            elif tag % 2:
                self.assertEqual((kind, result.outcome.exit_code), ("EXITED", tag % 3), f"task {tag}")
            else:
                self.assertEqual((kind, result.outcome.value.number_value), ("RETURNED", tag * 7 + 1), f"task {tag}")
        for tag in self.random.sample([t for t in self.results if t % 2 and t not in lost], 200):
            self.assertEqual(self.control.output(self.accepted[tag])[0], b"%d\n" % (tag * 7 + 1))
        self.assertLess(len(lost), TASKS / 100)
        return lost

    def check_witness(self, lost):
        lines = collections.Counter()
        ends = collections.Counter()
        with open(self.log, encoding="ascii") as file:
            for line in file:
                what, tag, _ = line.split()
                self.assertIn(what, "SE", "two attempts of a task at the same time: " + line)
                (lines if what == "S" else ends)[int(tag)] += 1
        for tag, result in self.results.items():
            if tag in lost:
                continue
            self.assertGreaterEqual(ends[tag], 1, f"task {tag} has a result and never ran to its end")
            # An attempt may have died before its first line, so there may be fewer starts than attempts, but never more.
            self.assertLessEqual(lines[tag], result.attempt, f"task {tag}: more starts than attempts")
        return sum(lines.values())

    def check_events(self, collector, lost):
        if collector.dropped:
            return
        ended = collector.ended
        for tag, task_id in self.accepted.items():
            state = "FAILED" if tag in lost or (tag % 2 and tag % 3) else "SUCCEEDED"
            self.assertEqual(ended[task_id], [state], f"task {tag}")

    def check_leaks(self, descriptors):
        self.control.close()
        others = Control(self.here.socket)

        def lost():
            return sum(int(pool["workersLost"]) for pool in others.call("Pools/List")["pools"])

        try:
            eventually(lambda: lost() == len(self.killed), 5 * harness.PATIENCE)
        except AssertionError:
            self.fail(f"{len(self.killed)} kills, but workersLost is {lost()}")
        self.here.wait_ready()
        pools = others.call("Pools/List")["pools"]
        self.assertEqual([(p["queued"], p["running"], p["busy"], p["state"]) for p in pools], [(0, 0, 0, "READY")] * 2)
        others.close()
        eventually(lambda: not processes.zombies_below(self.here.pid), what="no zombie")

        def now():
            return [len(processes.descriptors(pid)) for pid in (self.here.pid, self.here.engine().pid)]

        eventually(lambda: now()[0] == descriptors[0] and now()[1] <= descriptors[1], 20, f"descriptors {descriptors}, now {now()}")
        family = processes.descendants(self.here.pid)
        self.assertEqual(len(family), 1 + 8, family)
        self.assertEqual(len(processes.marked(harness.MARK, self.here.mark)), 1 + 8)  # the supervisor and its workers


class EventCollector(threading.Thread):
    """Reads /v1/events until so many tasks have ended."""

    def __init__(self, connection, count):
        super().__init__(daemon=True)
        self.connection, self.count = connection, count
        self.ended = collections.defaultdict(list)
        self.dropped = 0

    def run(self):
        reader = self.connection.makefile("rb")
        while reader.readline().strip():
            pass
        total = 0
        for event in ndjson_of_chunks(reader):
            self.dropped += event["dropped"]
            if event["state"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                self.ended[event["id"]].append(event["state"])
                total += 1
            if total + self.dropped >= self.count:
                return


if __name__ == "__main__":
    unittest.main(verbosity=2)
