"""Pools as an operator sees them: throttle and repair, pause, drain, scale, recycle."""

import time
import unittest

import harness
import processes
from control import eventually


class Throttle(harness.DaemonTest):
    def broken(self, program, **more):
        pools = {"odd": {"kind": "function", "program": [str(program)], "workers": 2, **more}, "default": harness.COMMANDS}
        here = self.daemon(pools)
        control = here.client()
        pool = eventually(lambda: (p := control.pool("odd"))["state"] == "THROTTLED" and p, 20 * harness.PATIENCE, "it is throttled")
        return here, control, pool

    def test_program_that_does_not_exist(self):
        here, control, pool = self.broken("/no/such/worker")
        self.assertEqual((pool["startError"]["errnoName"], pool["startError"]["path"]), ("ENOENT", "/no/such/worker"))
        self.assertIn("throttledUntil", pool)
        shown = here.poolctl("pool", "show", "odd").stdout
        for word in ("THROTTLED", "ENOENT", "/no/such/worker"):
            self.assertIn(word, shown.replace("throttled", "THROTTLED"))
        self.assertEqual(control.run(["true"])["state"], "SUCCEEDED")

    def test_it_uses_no_cpu_and_logs_one_line_per_growing_delay(self):
        here, control, _ = self.broken("/no/such/worker")
        time_before = time.monotonic()
        family = [here.pid, here.engine().pid]
        ticks = sum(processes.look(pid).cpu_ticks for pid in family)
        eventually(lambda: control.pool("odd")["startError"]["failures"] >= 5, 30, "it was tried five times")
        spent = sum(processes.look(pid).cpu_ticks for pid in family) - ticks
        elapsed = time.monotonic() - time_before
        self.assertGreater(elapsed, 1)  # 100 ms, doubled each time
        if not harness.SANITIZED:
            self.assertLess(spent / 100 / elapsed, 0.25)  # what asking for the state costs is in it
        lines = [line for line in here.log().splitlines() if "/no/such/worker" in line]
        failures = control.pool("odd")["startError"]["failures"]
        self.assertLessEqual(abs(len(lines) - failures), 1, lines)

    def test_other_reasons_have_their_errno(self):
        directory = self.daemon(start=False).directory
        plain = directory / "plain"
        plain.write_text("#!/bin/sh\n", encoding="utf-8")
        orphan = directory / "orphan"
        orphan.write_text("#!/no/such/interpreter\n", encoding="utf-8")
        orphan.chmod(0o755)
        garbage = directory / "garbage"
        garbage.write_text("\1\2\3", encoding="utf-8")
        garbage.chmod(0o755)
        for program, errno_name in ((plain, "EACCES"), (orphan, "ENOENT"), (garbage, "ENOEXEC"), (directory, "EACCES")):
            with self.subTest(program.name):
                _, _, pool = self.broken(program)
                self.assertEqual(pool["startError"]["errnoName"], errno_name)
                self.assertIn(str(program), pool["startError"]["path"])

    def test_program_that_ends_before_its_hello(self):
        _, _, pool = self.broken("/bin/false")
        self.assertEqual(pool["startError"]["errnoName"], "")
        self.assertIn("exit code 1", pool["startError"]["message"])

    def test_program_that_never_says_hello(self):
        here = self.daemon(start=False)
        script = here.directory / "silent"
        script.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
        script.chmod(0o755)
        _, _, pool = self.broken(script, start_timeout="300ms")
        self.assertIn("startError", pool)

    def test_plug_in_that_cannot_be_loaded(self):
        here = self.daemon({"odd": {"kind": "function", "plugin": "no_such_plugin.so", "workers": 1}})
        control = here.client()
        pool = eventually(lambda: (p := control.pool("odd"))["state"] == "THROTTLED" and p, 20 * harness.PATIENCE, "it is throttled")
        self.assertIn("startError", pool)
        self.assertIn("no_such_plugin.so", here.log())

    def test_repair_and_reload_heal(self):
        here = self.daemon(start=False)
        program = here.directory / "worker"
        here.configure({"odd": {"kind": "command", "workers": 2}, "default": harness.COMMANDS})
        here, control, _ = self.broken(program)
        task_id = control.submit(function="noop", pool="odd")
        here.configure({"odd": harness.FUNCTIONS, "default": harness.COMMANDS})
        self.assertTrue(control.call("Daemon/Reload")["changes"])
        self.assertEqual(control.wait(task_id, timeout=20 * harness.PATIENCE)[0]["state"], "SUCCEEDED")
        pool = control.pool("odd")
        self.assertEqual(pool["state"], "READY")
        self.assertNotIn("startError", pool)

    def test_repair_alone_heals_at_the_next_try(self):
        here = self.daemon(start=False)
        program = here.directory / "worker"
        here, control, _ = self.broken(program)
        worker = harness.BIN / "poold-worker"
        library = harness.LIBRARY / "libpoold_examples.so"
        program.symlink_to("/bin/false")  # found, but no worker: throttled for another reason
        eventually(lambda: "exit code" in control.pool("odd")["startError"]["message"], 30, "the new reason shows")
        self.assertTrue(worker.exists() and library.exists())


class Operating(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": harness.COMMANDS, "math": harness.FUNCTIONS}).wait_ready()
        self.control = self.here.client()

    def pool(self, verb, **fields):
        return self.control.call("Pools/" + verb, {"name": "default", **fields})["pool"]

    def test_pause_and_resume(self):
        running = self.control.submit(["sleep", "0.3"])
        eventually(lambda: self.control.pool("default")["running"] == 1, what="it runs")
        self.assertEqual(self.pool("Pause")["state"], "PAUSED")
        queued = self.control.submit(["true"])
        self.assertEqual(self.control.wait(running)[0]["state"], "SUCCEEDED")
        self.assertEqual(self.control.task(queued)["state"], "QUEUED")
        self.assertEqual(self.control.pool("default")["queued"], 1)
        self.assertEqual(self.pool("Resume")["state"], "READY")
        self.assertEqual(self.control.wait(queued)[0]["state"], "SUCCEEDED")

    def test_drain(self):
        tasks = [self.control.submit(["sleep", "0.1"]) for _ in range(6)]
        self.assertEqual(self.pool("Drain")["state"], "DRAINING")
        self.refused("failed_precondition", self.control.submit, ["true"])
        self.assertEqual({t["state"] for t in self.control.wait(*tasks)}, {"SUCCEEDED"})
        self.pool("Resume")
        self.assertEqual(self.control.run(["true"])["state"], "SUCCEEDED")

    def test_scale_up_and_down(self):
        self.assertEqual(self.pool("Scale", workers=5)["workers"], 5)
        eventually(lambda: self.control.pool("default")["ready"] == 5, what="five are ready")
        tasks = [self.control.submit(["sleep", "0.4"]) for _ in range(5)]
        eventually(lambda: self.control.pool("default")["busy"] == 5, what="five are busy")
        self.assertEqual(self.pool("Scale", workers=1)["workers"], 1)
        for task in self.control.wait(*tasks):
            self.assertEqual((task["state"], task["attempt"]), ("SUCCEEDED", 1))  # shrinking lets them finish
        eventually(lambda: len(self.control.workers("default")) == 1, what="one is left")
        eventually(lambda: len(self.here.worker_processes()) == 3, what="one process is left")
        self.pool("Scale", workers=0)
        eventually(lambda: not self.control.workers("default"), what="none is left")
        waiting = self.control.submit(["true"])
        self.assertEqual(self.control.task(waiting)["state"], "QUEUED")
        self.pool("Scale", workers=2)
        self.assertEqual(self.control.wait(waiting)[0]["state"], "SUCCEEDED")

    def test_recycle_replaces_every_worker_and_loses_nothing(self):
        before = {w["slot"]: w["pid"] for w in self.control.workers("default")}
        tasks = [self.control.submit(["sleep", "0.05"]) for _ in range(40)]
        self.pool("Recycle")

        def replaced():
            # Beside the pool's own slots there is one that stands in meanwhile.
            now = {w["slot"]: w["pid"] for w in self.control.workers("default")}
            return all(now.get(slot, 0) not in (0, pid) for slot, pid in before.items())

        eventually(replaced, 20 * harness.PATIENCE, "all are replaced")
        for task in self.control.wait(*tasks):
            self.assertEqual((task["state"], task["crashes"]), ("SUCCEEDED", 0))
        self.assertEqual(int(self.control.pool("default")["workersLost"]), 0)

    def test_counters(self):
        ids = [self.control.submit(argv) for argv in (["true"], ["false"], ["true"])]
        self.control.wait(*ids)
        pool = self.control.pool("default")
        self.assertEqual((pool["succeeded"], pool["failed"], pool["cancelled"]), ("2", "1", "0"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
