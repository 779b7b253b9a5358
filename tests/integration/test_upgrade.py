"""Another engine takes over while tasks run and clients are connected: nothing is lost, in memory pools either, and nobody waits long.

POOLD_UPGRADES and POOLD_UPGRADE_QUEUED make it longer (100 and 10,000 for the whole proof).
"""

import collections
import json
import os
import pathlib
import shutil
import signal
import threading
import time
import unittest

import harness
import processes
from control import eventually

UPGRADES = int(os.environ.get("POOLD_UPGRADES", 10))
QUEUED = int(os.environ.get("POOLD_UPGRADE_QUEUED", 1000))  # 10,000 for the whole proof
# The longest that a client waits for an answer; sanitized programs take their time.
PAUSE_MAX = 0.3 * harness.PATIENCE
# Says when it starts and when it ends, and waits in between until somebody opens the gate.
SCRIPT = 'echo "S $2 $$" >> "$1/witness"; read word < "$1/gate.$2"; echo "E $2 $$" >> "$1/witness"; echo "said $word"; exit $3'
# The same as a worker that speaks lines.
LINES = """
import json, sys
print(json.dumps({"hello": {"functions": ["wait"]}}), flush=True)
for line in sys.stdin:
    task = json.loads(line).get("task")
    if task is None:
        continue
    directory, tag = task["spec"]["function"]["args"]
    with open(directory + "/witness", "a") as witness:
        print("S", tag, file=witness, flush=True)
        open(f"{directory}/gate.{tag}").readline()
        print("E", tag, file=witness, flush=True)
    result = {"task": task["task"], "attempt": task["attempt"], "outcome": {"kind": "RETURNED"}}
    print(json.dumps({"result": result}), flush=True)
"""
COMMANDS = {"kind": "command", "workers": 2}
POOLS = {
    "default": {**COMMANDS, "durability": "memory"},
    "disk": {**COMMANDS, "durability": "disk"},
    "paced": {**COMMANDS, "durability": "disk", "rate": "100/s"},  # time alone lets its tasks start
    "math": {**harness.FUNCTIONS, "durability": "memory"},
}


class UpgradeTest(harness.DaemonTest):
    def begin(self, pools=None, **settings):
        here = self.daemon(pools or POOLS, **settings).wait_ready()
        self.here, self.control = here, here.client()
        self.witness = here.directory / "witness"
        return here

    def gated(self, tag, code=0, **spec):
        gate = self.here.directory / f"gate.{tag}"
        os.mkfifo(gate)
        return self.control.submit(["/bin/sh", "-c", SCRIPT, "sh", str(self.here.directory), str(tag), str(code)], **spec)

    def open_gate(self, tag):
        with open(self.here.directory / f"gate.{tag}", "w", encoding="ascii") as gate:
            gate.write("go\n")

    def lines(self):
        return [line.split() for line in self.witness.read_text().splitlines()] if self.witness.exists() else []

    def wait_started(self, count):
        eventually(lambda: len([line for line in self.lines() if line[0] == "S"]) == count, what=f"{count} run")

    def upgrade(self):
        before = self.here.engine().pid
        answer = self.control.call("Daemon/Upgrade")
        self.assertEqual(answer["enginePid"], before)
        info = self.control.info()  # over the same connection
        self.assertNotEqual(info["enginePid"], before)
        self.assertEqual(info.get("upgradeError", ""), "")
        return info


class Upgrade(UpgradeTest):
    def test_what_runs_goes_on_and_what_waits_runs_afterwards(self):
        self.begin()
        running = {tag: self.gated(tag, tag, pool=pool) for tag, pool in ((1, "default"), (2, "default"), (3, "disk"))}
        self.wait_started(3)
        queued = [self.control.submit(["sh", "-c", f"exit {number}"], pool=pool, name=f"n{number}", labels={"n": str(number)})
                  for number in range(4, 8) for pool in ("default", "disk")]
        workers = {(w["pool"], w["slot"]): w["pid"] for w in self.control.workers()}
        self.upgrade()
        self.assertEqual({(w["pool"], w["slot"]): w["pid"] for w in self.control.workers()}, workers, "the same processes")
        for tag in running:
            self.open_gate(tag)
        for tag, task in zip(running, self.control.wait(*running.values())):
            self.assertEnded(task, "EXITED", exitCode=tag)
            self.assertEqual((task["attempt"], task["crashes"]), (1, 0), task)
            self.assertEqual(self.here.poolctl("logs", task["id"]).stdout, "said go\n")
        for index, task in enumerate(self.control.wait(*queued)):
            self.assertEqual((task["outcome"]["exitCode"], task["name"], task["labels"]), (4 + index // 2, f"n{4 + index // 2}", {"n": str(4 + index // 2)}))
        self.assertEqual(collections.Counter(line[0] for line in self.lines()), {"S": 3, "E": 3})

    def test_results_keys_and_logs_of_ended_tasks_are_kept(self):
        self.begin()
        ids = [self.control.submit(["sh", "-c", "echo out; exit 3"], pool=pool, key="k") for pool in ("default", "disk")]
        sums = self.control.call("Tasks/Submit", {"pool": "math", "function": {"name": "add", "args": [1, 2]}})["id"]
        before = self.control.wait(*ids, sums)
        self.upgrade()
        self.assertEqual(self.control.wait(*ids, sums), before)
        self.assertEqual([self.here.poolctl("logs", task).stdout for task in ids], ["out\n"] * 2)
        again = [self.control.submit(["sh", "-c", "echo out; exit 3"], pool=pool, key="k") for pool in ("default", "disk")]
        self.assertEqual(again, ids)
        fresh = self.control.submit(["true"])
        self.assertNotIn(fresh, ids)

    def test_what_operators_asked_for_stays(self):
        self.begin()
        self.control.call("Pools/Pause", {"name": "default"})
        self.control.call("Pools/Scale", {"name": "math", "workers": 3})
        self.control.call("Limits/Set", {"name": "gpu", "size": 2})
        self.control.call("Queues/Create", {"name": "q"})
        self.control.call("Queues/Put", {"queue": "q", "messages": [{"data": "b25l"}, {"data": "dHdv"}]})
        self.control.call("Semaphores/Create", {"name": "s", "permits": 3})
        self.control.call("Schedules/Add", {"schedule": {"name": "hourly", "spec": "@hourly", "task": {"command": {"argv": ["true"]}}}})
        waiting = self.control.submit(["true"], delay="3600s")
        held = self.control.submit(["true"], hold=True)
        self.upgrade()
        self.assertEqual(self.control.pool("default")["state"], "PAUSED")
        self.assertEqual(self.control.pool("math")["workers"], 3)
        self.assertEqual([limit["size"] for limit in self.control.call("Limits/List")["limits"] if limit["name"] == "gpu"], [2])
        self.assertEqual([message["data"] for message in self.control.call("Queues/Get", {"queue": "q", "count": 2})["messages"]], ["b25l", "dHdv"])
        self.assertEqual([s["permits"] for s in self.control.call("Semaphores/List")["semaphores"] if s["name"] == "s"], [3])
        self.assertEqual([s["name"] for s in self.control.call("Schedules/List")["schedules"]], ["hourly"])
        self.assertEqual([self.control.task(task)["state"] for task in (waiting, held)], ["WAITING"] * 2)
        self.control.call("Tasks/Release", {"id": held})
        self.control.call("Pools/Resume", {"name": "default"})
        self.assertEqual(self.control.wait(held)[0]["state"], "SUCCEEDED")

    def test_dedicated_process_lives_on(self):
        self.begin()
        gate = self.here.directory / "gate.1"
        os.mkfifo(gate)
        started = self.control.call("Processes/Start", {"task": {"command": {"argv": ["/bin/sh", "-c", SCRIPT, "sh", str(self.here.directory), "1", "4"]}}})
        self.wait_started(1)
        self.upgrade()
        self.open_gate(1)
        [ended] = self.control.wait(started["process"]["id"])
        self.assertEnded(ended, "EXITED", exitCode=4)

    def test_a_worker_of_lines_notices_nothing(self):
        lines = {"kind": "function", "program": ["/usr/bin/python3", "-c", LINES], "protocol": "lines", "workers": 1}
        self.begin({"memory": lines, "disk": {**lines, "durability": "disk"}})
        tasks = []
        for tag, pool in enumerate(("memory", "disk")):
            os.mkfifo(self.here.directory / f"gate.{tag}")
            tasks.append(self.control.call("Tasks/Submit", {"pool": pool, "function": {"name": "wait", "args": [f"{self.here.directory}", tag]}})["id"])
        self.wait_started(2)
        self.upgrade()
        for tag in range(2):
            self.open_gate(tag)
        for task in self.control.wait(*tasks):
            self.assertEqual((task["state"], task["attempt"], task["crashes"]), ("SUCCEEDED", 1, 0), task)
        self.assertEqual(len(self.lines()), 4)

    def test_cancel_reaches_what_the_former_engine_started(self):
        self.begin()
        tasks = [self.gated(1), self.gated(2, pool="disk")]
        self.wait_started(2)
        self.upgrade()
        for task in tasks:
            self.control.call("Tasks/Cancel", {"id": task})
        self.assertEqual([task["state"] for task in self.control.wait(*tasks)], ["CANCELLED"] * 2)

    def test_while_workers_start_and_end(self):
        """The supervisor is busy with them while the engine goes, and tells it of them when it has gone."""
        self.begin()
        task = self.control.run(["true"])["id"]
        for number in range(20):
            self.control.call("Pools/Scale", {"name": "default", "workers": 1 + number % 3})
            for pool in ("default", "disk", "math"):
                self.control.call("Pools/Recycle", {"name": pool})
            self.upgrade()
            self.assertEqual(self.control.task(task)["state"], "SUCCEEDED")
        self.assertEqual(self.control.run(["true"])["state"], "SUCCEEDED")

    def test_poolctl_says_what_came_of_it(self):
        self.begin()
        before = self.here.engine().pid
        ended = self.here.poolctl("daemon", "upgrade")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertRegex(ended.stdout, rf"^engine {before} replaced by \d+, version ")
        told = self.here.poolctl("daemon", "upgrade", "--json")
        self.assertEqual(json.loads(told.stdout)["enginePid"], self.here.engine().pid)
        before = self.here.engine().pid
        waiting = threading.Thread(target=lambda: ended_waits.append(self.here.poolctl("wait", task)))
        task, ended_waits = self.gated(1), []
        self.wait_started(1)
        waiting.start()
        os.kill(self.here.pid, signal.SIGUSR2)
        eventually(lambda: (e := self.here.engine()) and e.pid != before, what="another engine")
        self.open_gate(1)
        waiting.join(60 * harness.PATIENCE)
        self.assertEqual([e.returncode for e in ended_waits], [0])

    def test_many_upgrades_under_load(self):
        self.begin()
        stop, pauses, stalls, ids, errors = threading.Event(), [], [], [], []

        def ask():
            control = self.here.client()
            while not stop.is_set():
                begin = time.monotonic()
                try:
                    control.info()
                except Exception as error:
                    errors.append(error)
                    return
                pauses.append((begin, time.monotonic() - begin))

        # How long nobody got a processor here: what a busy machine adds.
        def stand_by():
            while not stop.is_set():
                begin = time.monotonic()
                time.sleep(0.005)
                stalls.append((begin, time.monotonic() - begin - 0.005))

        def submit(pool):
            control = self.here.client()
            number = 0
            while not stop.is_set():
                number += 1
                key = f"{pool}-{number}"
                spec = {"pool": pool, "key": key}
                spec |= {"function": {"name": "add", "args": [number, 1]}} if pool == "math" else {"command": {"argv": ["true"]}}
                try:
                    ids.append((pool, number, control.call("Tasks/Submit", spec)["id"]))
                except Exception as error:
                    errors.append(error)
                    return

        # So many in queues that every engine has something to take over.
        backlog = []
        for pool in ("default", "disk"):
            batch = self.control.call("Tasks/SubmitBatch", {"tasks": [{"pool": pool, "command": {"argv": ["true"]}, "hold": True}] * (QUEUED // 2)})
            backlog += [entry["id"] for entry in batch["tasks"]]
        threads = [threading.Thread(target=ask), threading.Thread(target=stand_by)] + [threading.Thread(target=submit, args=(pool,)) for pool in ("default", "disk", "paced", "math")]
        for thread in threads:
            thread.start()
        engines = set()
        for _ in range(UPGRADES):
            seen = len(ids)
            eventually(lambda: len(ids) > seen + 50 or errors, what="the load goes on")
            engines.add(self.upgrade()["enginePid"])
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [], "no connection was refused or cut")
        self.assertEqual(len(engines), UPGRADES)
        longest = max(pauses, key=lambda pause: pause[1])
        stalled = sum(stall for begin, stall in stalls if longest[0] - 0.01 <= begin <= sum(longest))
        self.assertLess(longest[1] - stalled, PAUSE_MAX, f"{stalled:.3f} s of which the machine was busy otherwise")
        for begin in range(0, len(ids), 1000):
            some = ids[begin : begin + 1000]
            for (pool, number, _), task in zip(some, self.control.wait(*(task for _, _, task in some))):
                self.assertEqual((task["state"], task["attempt"], task["crashes"]), ("SUCCEEDED", 1, 0), task)
                if pool == "math":
                    self.assertEqual(task["outcome"]["value"], number + 1)
        self.assertEqual({self.control.task(task)["state"] for task in backlog[:: QUEUED // 100]}, {"WAITING"})
        print(f"{UPGRADES} upgrades with {len(ids)} tasks: a GetInfo took {longest[1] * 1e3:.0f} ms at most", flush=True)


class Programs(UpgradeTest):
    """The program on the disk is another one than the one that runs."""

    def begin(self, pools=None, **settings):
        # A copy of the installation, whose engine can be replaced.
        here = self.daemon(pools or POOLS, start=False, **settings)
        self.programs = here.directory / "bin"
        self.programs.mkdir()
        for name in ("poold", "poold-engine", "poold-worker"):
            shutil.copy2(harness.BIN / name, self.programs / name)
        (here.directory / "lib").symlink_to(harness.LIBRARY)
        known = here.command_line
        here.command_line = lambda: [self.programs / "poold", *known()[1:]]
        here.start()
        here.wait_ready()
        self.here, self.control = here, here.client()
        self.witness = here.directory / "witness"
        return here

    def install(self, script):
        new = self.programs / "poold-engine.new"
        new.write_text(script)
        new.chmod(0o755)
        new.rename(self.programs / "poold-engine")

    def fails(self, script, reason):
        self.begin()
        tasks = [self.gated(1, 1), self.gated(2, 2, pool="disk")]
        self.wait_started(2)
        queued = self.control.submit(["true"])
        before = self.here.engine().pid
        self.install(script)
        ended = self.here.poolctl("daemon", "upgrade")
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))
        self.assertIn(reason, ended.stderr)
        self.assertNotEqual(self.here.engine().pid, before)
        self.assertEqual(pathlib.Path(os.readlink(f"/proc/{self.here.engine().pid}/exe")).name, "poold-engine (deleted)")
        for tag in (1, 2):
            self.open_gate(tag)
        for tag, task in zip((1, 2), self.control.wait(*tasks)):
            self.assertEnded(task, "EXITED", exitCode=tag)
            self.assertEqual((task["attempt"], task["crashes"]), (1, 0), task)
        self.assertEqual(self.control.wait(queued)[0]["state"], "SUCCEEDED")
        self.assertEqual(len(self.lines()), 4)

    def test_new_engine_that_ends_is_replaced_by_the_former(self):
        self.fails("#!/bin/sh\nexit 3\n", "the new engine ended before it served; the former one was started again")

    def test_new_engine_that_does_not_serve_is_replaced_by_the_former(self):
        self.fails("#!/bin/sh\nexec sleep 1000\n", "the former one was started again")

    def test_new_program_takes_over(self):
        self.begin()
        shutil.copy2(self.programs / "poold-engine", self.programs / "other")
        (self.programs / "other").rename(self.programs / "poold-engine")
        task = self.gated(1)
        self.wait_started(1)
        self.upgrade()
        self.assertEqual(pathlib.Path(os.readlink(f"/proc/{self.here.engine().pid}/exe")), self.programs / "poold-engine")
        self.open_gate(1)
        self.assertEqual(self.control.wait(task)[0]["state"], "SUCCEEDED")


if __name__ == "__main__":
    harness.main()
