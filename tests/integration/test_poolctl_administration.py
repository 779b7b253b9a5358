"""poolctl as an operator uses it, and the exit codes that scripts rely on."""

import subprocess
import unittest

import harness
from test_poolctl import PoolctlTest


class Operating(PoolctlTest):
    def test_pool_verbs(self):
        self.assertIn("default", self.poolctl("pool", "ls").stdout)
        self.assertIn("libpoold_examples.so", self.poolctl("pool", "show", "math").stdout)
        self.poolctl("pool", "pause", "default")
        self.assertEqual(self.control.pool("default")["state"], "PAUSED")
        self.poolctl("pool", "resume", "default")
        self.poolctl("pool", "drain", "default")
        self.poolctl("submit", "--", "true", expect=6)
        self.poolctl("pool", "resume", "default")
        self.poolctl("pool", "scale", "default", "3")
        self.assertEqual(self.control.pool("default")["workers"], 3)
        self.poolctl("pool", "recycle", "default")

    def test_worker_ls(self):
        text = self.poolctl("worker", "ls").stdout
        for worker in self.control.workers():
            self.assertIn(str(worker["pid"]), text)

    def test_daemon_verbs(self):
        self.assertIn(str(self.here.pid), self.poolctl("daemon", "info").stdout)
        self.poolctl("daemon", "reload")
        self.poolctl("daemon", "stop")
        self.assertEqual(self.here.process.wait(20 * harness.PATIENCE), 0)
        self.poolctl("ps", expect=5)

    def test_stop_now_ends_what_runs(self):
        self.control.submit(["sleep", "60"])
        self.poolctl("daemon", "stop", "--now")
        self.assertEqual(self.here.process.wait(20 * harness.PATIENCE), 0)


class ExitCodes(PoolctlTest):
    def test_usage(self):
        for arguments in (["no-such-verb"], ["submit"], ["submit", "--no-such-option", "--", "true"], ["pool", "scale", "default", "x"]):
            ended = self.poolctl(*arguments, expect=2)
            self.assertEqual(ended.stdout, "")
            self.assertTrue(ended.stderr)

    def test_not_found(self):
        self.poolctl("show", "nonsense", expect=3)
        self.poolctl("pool", "show", "nowhere", expect=3)
        self.poolctl("submit", "--pool", "nowhere", "--", "true", expect=3)

    def test_unreachable(self):
        ended = subprocess.run([harness.BIN / "poolctl", "--socket", "/no/such/socket", "ps"], capture_output=True, text=True, check=False)
        self.assertEqual(ended.returncode, 5)
        self.assertIn("/no/such/socket", ended.stderr)

    def test_wrong_state(self):
        task_id = self.poolctl("submit", "--", "true").stdout.strip()
        self.poolctl("wait", task_id)
        self.poolctl("kill", task_id, expect=6)

    def test_refused(self):
        here = self.daemon({"default": {"kind": "command", "workers": 0, "queue_size": 1}})
        self.assertEqual(here.poolctl("submit", "--", "true").returncode, 0)
        self.assertEqual(here.poolctl("submit", "--", "true").returncode, 7)

    def test_version_and_help(self):
        self.assertIn(self.control.info()["version"], self.poolctl("--version").stdout)
        for verb in ("", "run", "submit", "ps", "pool", "daemon"):
            self.assertIn("-h", self.poolctl(*filter(None, [verb]), "--help").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
