"""Configuration: broken files at the start, with --check and on reload, and what a reload changes."""

import signal
import subprocess
import unittest

import harness
from control import eventually


class Configuration(harness.DaemonTest):
    BROKEN = "stop_timeout: soon\npools:\n  default:\n    kind: command\n    worker: 2\n    queue_size: 0\n"
    EXPECTED = ((1, 15, "stop_timeout"), (5, 5, "pools.default"), (6, 17, "pools.default.queue_size"))

    def assertComplains(self, text, path):
        for line, column, place in self.EXPECTED:
            self.assertIn(f"{path}:{line}:{column}: {place}: ", text)
        self.assertIn("did you mean 'workers'", text)

    def test_check(self):
        here = self.daemon(start=False)
        good = subprocess.run([harness.BIN / "poold", "--check", "--config", here.config], capture_output=True, text=True, check=False)
        self.assertEqual(good.returncode, 0, good.stderr)
        here.configure(self.BROKEN)
        bad = subprocess.run([harness.BIN / "poold", "--check", "--config", here.config], capture_output=True, text=True, check=False)
        self.assertEqual(bad.returncode, 2)
        self.assertComplains(bad.stderr, here.config)

    def test_start(self):
        here = self.daemon(start=False)
        here.configure(self.BROKEN)
        ended = subprocess.run(here.command_line(), capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(ended.returncode, 2)
        self.assertComplains(ended.stderr, here.config)

    def test_file_that_does_not_exist(self):
        ended = subprocess.run([harness.BIN / "poold", "--check", "--config", "/no/such/file"], capture_output=True, text=True, check=False)
        self.assertEqual(ended.returncode, 2)
        self.assertIn("/no/such/file", ended.stderr)

    def test_broken_file_on_reload_changes_nothing(self):
        here = self.daemon().wait_ready()
        control = here.client()
        workers = control.workers()
        here.configure(self.BROKEN)
        error = self.refused("invalid_argument", control.call, "Daemon/Reload")
        self.assertComplains(error.message, here.config)
        ended = here.poolctl("daemon", "reload")
        self.assertNotEqual(ended.returncode, 0)
        self.assertComplains(ended.stderr, here.config)
        self.assertEqual(control.workers(), workers)
        self.assertEqual(control.run(["true"])["state"], "SUCCEEDED")

    def test_broken_file_on_sighup_is_logged_and_changes_nothing(self):
        here = self.daemon().wait_ready()
        workers = here.client().workers()
        here.configure(self.BROKEN)
        here.process.send_signal(signal.SIGHUP)
        eventually(lambda: "pools.default.queue_size" in here.log(), what="the errors are in the log")
        self.assertEqual(here.client().workers(), workers)

    def test_reload_adds_removes_and_changes_pools(self):
        here = self.daemon({"default": harness.COMMANDS, "old": harness.COMMANDS}).wait_ready()
        control = here.client()
        kept = [w["pid"] for w in control.workers("default")]
        here.configure({"default": {**harness.COMMANDS, "workers": 3}, "new": harness.FUNCTIONS})
        here.process.send_signal(signal.SIGHUP)
        eventually(lambda: {p["name"] for p in control.call("Pools/List")["pools"]} == {"default", "new"}, 20, "the pools are as configured")
        here.wait_ready()
        self.assertEqual([w["pid"] for w in control.workers("default")][:2], kept)
        self.assertEqual(len(control.workers("default")), 3)
        self.assertEnded(control.wait(control.submit(function="add", args=[1, 1], pool="new"))[0], "RETURNED", value=2)
        self.refused("not_found", control.submit, ["true"], pool="old")

    def test_changed_environment_reaches_new_workers(self):
        here = self.daemon({"default": {**harness.COMMANDS, "env": {"A": "1"}}}).wait_ready()
        control = here.client()
        here.configure({"default": {**harness.COMMANDS, "env": {"A": "2"}}})
        control.call("Daemon/Reload")

        def value():
            return control.output(control.run(["printenv", "A"])["id"])[0]

        eventually(lambda: value() == b"2\n", 10 * harness.PATIENCE, "the new value")
        self.assertEqual({value() for _ in range(4)}, {b"2\n"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
