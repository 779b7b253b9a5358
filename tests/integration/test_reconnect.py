"""Clients that follow tasks outlive the engine: it is killed under them, and they go on where they were."""

import collections
import json
import os
import signal
import subprocess
import unittest

import harness
import processes
from control import eventually

POOLS = {
    "default": {**harness.COMMANDS, "durability": "disk"},
    "memory": {**harness.COMMANDS, "durability": "memory"},
}


class ReconnectTest(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon(POOLS).wait_ready()

    def poolctl(self, *arguments):
        process = subprocess.Popen(self.here.poolctl_line(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.here.poolctl_environment(), text=True)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def finish(self, process):
        """Its exit status, and what it still printed."""
        out, err = process.communicate(timeout=60 * harness.PATIENCE)
        return process.returncode, out, err

    def kill_engine(self):
        engine = self.here.engine()
        processes.kill_exactly(engine)
        eventually(lambda: (e := self.here.engine()) and e.pid != engine.pid, 20 * harness.PATIENCE, "another engine")
        self.here.wait_healthy()

    def wait_asked(self, process):
        """Until the daemon has read what the process asked it."""
        eventually(lambda: processes.waits_for_an_answer(process.pid), what="its question is sent")
        self.here.client().call("Daemon/GetInfo")  # who comes later is heard later

    def gate(self, name):
        """A named pipe: a command that reads from it goes on when the test has opened it."""
        path = self.here.directory / name
        os.mkfifo(path)
        return path

    @staticmethod
    def open_gate(path):
        path.write_text("go\n", encoding="utf-8")

    def counting(self, gates):
        """A command that prints ten numbers, waits at a gate, and so on; it ends with 7."""
        script, number = "", 0
        for gate in [*gates, None]:
            script += "".join(f"echo {number + i}; " for i in range(10))
            number += 10
            script += f"read x < {gate}; " if gate else "exit 7"
        return ["sh", "-c", script], "".join(f"{i}\n" for i in range(number))

    def read_lines(self, process, count):
        return "".join(process.stdout.readline() for _ in range(count))

    def running(self):
        control = self.here.client()
        tasks = control.call("Tasks/List", {"selector": {"states": ["RUNNING"]}})["tasks"]
        control.close()
        return [task["id"] for task in tasks]


class Reconnect(ReconnectTest):
    def test_run_across_three_engines(self):
        gates = [self.gate(f"gate{i}") for i in range(3)]
        argv, expected = self.counting(gates)
        run = self.poolctl("run", "--", *argv)
        seen = ""
        for gate in gates:
            seen += self.read_lines(run, 10)
            self.kill_engine()
            self.open_gate(gate)
        code, out, err = self.finish(run)
        self.assertEqual((seen + out, code), (expected, 7), err)

    def test_logs_follow_across_an_engine(self):
        gate = self.gate("gate")
        argv, expected = self.counting([gate])
        task = self.here.client().submit(argv)
        logs = self.poolctl("logs", "-f", task)
        seen = self.read_lines(logs, 10)
        self.kill_engine()
        self.open_gate(gate)
        code, out, err = self.finish(logs)
        self.assertEqual((seen + out, code), (expected, 0), err)

    def waiting(self, *arguments):
        """A `wait` whose question the daemon has."""
        wait = self.poolctl("wait", *arguments)
        self.wait_asked(wait)
        return wait

    def test_wait_across_an_engine(self):
        gate = self.gate("gate")
        argv, _ = self.counting([gate])
        task = self.here.client().submit(argv)
        eventually(self.running, what="the task runs")
        wait = self.waiting(task)
        self.kill_engine()
        self.open_gate(gate)
        self.assertEqual(self.finish(wait)[0], 7)

    def test_wait_for_a_group_across_an_engine(self):
        gate = self.gate("gate")
        argv, _ = self.counting([gate])
        self.here.client().submit(argv, group="g")
        eventually(self.running, what="the task runs")
        wait = self.waiting("--group", "g")
        self.kill_engine()
        self.open_gate(gate)
        self.assertEqual(self.finish(wait)[0], 7)

    def test_interrupt_after_an_engine_died(self):
        run = self.poolctl("run", "--", "sh", "-c", "echo begun; exec sleep 600")
        self.read_lines(run, 1)
        self.kill_engine()
        eventually(self.running, what="the task is known to run")
        run.send_signal(signal.SIGINT)
        run_ended = lambda: run.poll() is not None or not self.running()
        eventually(run_ended, 30 * harness.PATIENCE, "the task has ended")
        self.assertEqual(self.finish(run)[0], 130)

    def test_task_ends_with_its_run_after_an_engine_died(self):
        gate = self.gate("gate")
        run = self.poolctl("run", "--", "sh", "-c", f"echo begun; read x < {gate}; echo on; exec sleep 600")
        self.read_lines(run, 1)
        self.kill_engine()
        self.open_gate(gate)
        self.assertEqual(self.read_lines(run, 1), "on\n")  # so it follows its task again
        run.kill()
        run.wait()
        eventually(lambda: not self.running(), 30 * harness.PATIENCE, "the task has ended")

    def test_task_in_memory_is_named_as_lost(self):
        run = self.poolctl("run", "--pool", "memory", "--", "sh", "-c", "echo begun; exec sleep 600")
        self.read_lines(run, 1)
        task, = self.running()
        wait = self.waiting(task)
        self.kill_engine()
        code, _, err = self.finish(run)
        self.assertEqual(code, 125)
        self.assertIn(task, err)
        self.assertIn("memory", err)
        code, _, err = self.finish(wait)
        self.assertEqual(code, 3)
        self.assertIn(task, err)

    def test_daemon_that_stays_away(self):
        task = self.here.client().submit(["sleep", "600"], pool="memory")
        eventually(self.running, what="the task runs")
        logs = self.poolctl("logs", "-f", "--reconnect", "300ms", task)
        run = self.poolctl("run", "--reconnect", "300ms", "--pool", "memory", "--", "sh", "-c", "echo begun; exec sleep 600")
        self.read_lines(run, 1)
        self.wait_asked(logs)
        self.here.kill()
        code, _, err = self.finish(run)
        self.assertEqual(code, 125)
        self.assertIn("did not come back in 0.300 s", err)
        code, _, err = self.finish(logs)
        self.assertEqual(code, 5)
        self.assertIn(task, err)

    def test_nothing_is_repeated_where_nobody_wants_it(self):
        run = self.poolctl("run", "--reconnect", "0", "--", "sh", "-c", "echo begun; exec sleep 600")
        self.read_lines(run, 1)
        self.kill_engine()
        code, _, err = self.finish(run)
        self.assertEqual(code, 125)
        self.assertIn("broke before the task ended", err)
        for task in self.running():
            self.here.client().call("Tasks/Cancel", {"id": task})


class CppClient(ReconnectTest):
    """The same with libpoold; the program's source tells what it does."""

    def program(self, *arguments):
        process = subprocess.Popen([str(harness.BIN / "poold-test-reconnect"), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.here.poolctl_environment(), text=True)
        self.addCleanup(self.end, process)
        return process

    def test_run_across_two_engines(self):
        gates = [self.gate(f"gate{i}") for i in range(2)]
        argv, expected = self.counting(gates)
        run = self.program("run", argv[2])
        seen = ""
        for gate in gates:
            seen += self.read_lines(run, 10)
            self.kill_engine()
            self.open_gate(gate)
        code, out, err = self.finish(run)
        self.assertEqual((seen + out, code), (expected, 7), err)

    def test_task_ends_with_its_program_after_an_engine_died(self):
        gate = self.gate("gate")
        run = self.program("run", f"echo begun; read x < {gate}; echo on; exec sleep 600")
        self.read_lines(run, 1)
        self.kill_engine()
        self.open_gate(gate)
        self.assertEqual(self.read_lines(run, 1), "on\n")
        run.kill()
        run.wait()
        eventually(lambda: not self.running(), 30 * harness.PATIENCE, "the task has ended")

    def test_wait_across_an_engine(self):
        gate = self.gate("gate")
        task = self.here.client().submit(["sh", "-c", f"read x < {gate}"])
        eventually(self.running, what="the task runs")
        wait = self.program("wait", task)
        self.wait_asked(wait)
        self.kill_engine()
        self.open_gate(gate)
        self.assertEqual(self.finish(wait)[:2], (0, "SUCCEEDED\n"))

    def test_a_stream_finds_the_task_with_a_key_and_says_that_nobody_knows_of_the_other(self):
        gate, witness = self.gate("gate"), self.here.directory / "witness"
        stream = self.program("stream", "k", f"echo $POOLD_TASK >> {witness}; read x < {gate}; exit 7")
        started = lambda: witness.exists() and len(witness.read_text().splitlines())
        eventually(lambda: started() == 2, 20 * harness.PATIENCE, "both run")
        self.kill_engine()
        self.assertIn("whether the task was accepted is not known", self.read_lines(stream, 1))
        other = [task for task in self.here.client().call("Tasks/List", {"selector": {"states": ["RUNNING"]}})["tasks"]]
        self.assertEqual(len(other), 2, "it runs all the same")
        for line in ("with: 7\n", "later: 7\n"):
            with open(gate, "w", encoding="ascii") as opened:  # read by whoever is first
                opened.write("go\ngo\n")
            self.assertEqual(self.read_lines(stream, 1), line)
        self.assertEqual(self.finish(stream)[0], 0)
        for task in self.running():
            self.here.client().call("Tasks/Cancel", {"id": task})
        self.assertEqual(started(), 3)

    def test_task_in_memory_is_named_as_lost(self):
        task = self.here.client().submit(["sleep", "600"], pool="memory")
        eventually(self.running, what="the task runs")
        wait = self.program("wait", task)
        self.wait_asked(wait)
        self.kill_engine()
        code, out, _ = self.finish(wait)
        self.assertEqual(code, 1)
        self.assertIn(task, out)
        self.assertIn("memory", out)


class Events(ReconnectTest):
    def setUp(self):
        super().setUp()
        self.control = self.here.client()

    def begin(self, *arguments):
        """`events`, and what it prints, from when on it tells of everything."""
        events = self.poolctl("events", "-o", "ndjson", *arguments)
        os.set_blocking(events.stdout.fileno(), False)
        events.seen, events.rest = [], b""
        eventually(lambda: self.control.run(["true"])["id"] and self.read(events), 20 * harness.PATIENCE, "it listens")
        return events

    @staticmethod
    def read(events):
        """Everything that it has printed so far."""
        try:
            events.rest += os.read(events.stdout.fileno(), 1 << 20)
        except BlockingIOError:
            pass
        *lines, events.rest = events.rest.split(b"\n")
        events.seen += map(json.loads, lines)
        return events.seen

    def ends(self, events):
        return collections.Counter(event["id"] for event in self.read(events) if event["state"] in ("SUCCEEDED", "FAILED", "CANCELLED"))

    def test_ends_in_the_gap_are_told_once_and_none_twice(self):
        events = self.begin()
        gates = [self.gate(f"gate{i}") for i in range(2)]
        before = self.control.run(["true"])["id"]
        ids = [self.control.submit(["sh", "-c", f"read x < {gate}"]) for gate in gates]
        eventually(lambda: before in self.ends(events), what="it is told")
        eventually(lambda: len(self.running()) == 2, what="both run")
        os.kill(events.pid, signal.SIGSTOP)  # so that it is away for as long as it takes
        self.kill_engine()
        self.control = self.here.client()
        self.open_gate(gates[0])
        self.control.wait(ids[0])
        between = self.control.run(["false"])["id"]
        os.kill(events.pid, signal.SIGCONT)
        eventually(lambda: between in self.ends(events), 20 * harness.PATIENCE, "it is told later")
        self.open_gate(gates[1])
        self.control.wait(ids[1])
        after = self.control.run(["true"])["id"]
        eventually(lambda: after in self.ends(events), 20 * harness.PATIENCE, "it is told")
        ends = self.ends(events)
        self.assertEqual([ends[task] for task in (before, between, after, *ids)], [1] * 5)
        self.assertEqual(set(ends.values()), {1})
        self.assertEqual([event["state"] for event in events.seen if event["id"] == after], ["QUEUED", "RUNNING", "SUCCEEDED"])
        events.terminate()
        self.assertIn("only the ends of tasks", self.finish(events)[2])

    def test_what_since_has_told_is_not_told_again(self):
        old = self.control.run(["true"])["id"]
        events = self.begin("--since", "1h")
        self.kill_engine()
        self.control = self.here.client()
        new = self.control.run(["true"])["id"]
        eventually(lambda: new in self.ends(events), 20 * harness.PATIENCE, "it is told")
        self.assertIn(old, self.ends(events))
        self.assertEqual(set(self.ends(events).values()), {1})

    def test_a_restart_of_the_daemon(self):
        events = self.begin()
        self.assertEqual(self.here.stop(), 0)
        self.here.start()
        self.control = self.here.client()
        new = self.control.run(["true"])["id"]
        eventually(lambda: new in self.ends(events), 20 * harness.PATIENCE, "it is told")

    def test_a_daemon_that_stays_away(self):
        events = self.begin("--reconnect", "300ms")
        self.here.kill()
        code, _, err = self.finish(events)
        self.assertEqual(code, 5, err)
        self.assertIn("did not come back in 0.300 s", err)


if __name__ == "__main__":
    harness.main()
