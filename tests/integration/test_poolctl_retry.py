"""poolctl retry against a real daemon: ended tasks run once more under their ids."""

import json

import harness


class Retry(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": harness.COMMANDS}).wait_ready()
        self.control = self.here.client()
        self.good = self.here.directory / "good"
        self.spec = {"argv": ["test", "-e", str(self.good)]}

    def test_a_failed_task_runs_again_under_its_id(self):
        task = self.control.run(self.spec["argv"])
        self.assertEqual(task["state"], "FAILED")
        self.good.touch()
        ended = self.here.poolctl("retry", task["id"])
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "", ""))
        again = self.control.wait(task["id"])[0]
        self.assertEqual((again["state"], again["attempt"]), ("SUCCEEDED", 2))

    def test_by_condition_those_that_failed_or_were_cancelled(self):
        ids = [self.control.run(["false"], name="f")["id"] for _ in range(3)]
        self.control.run(["true"], name="f")
        ended = self.here.poolctl("retry", "--name", "f", "--json")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual(sorted(json.loads(ended.stdout)["ids"]), sorted(ids))
        self.assertEqual({task["attempt"] for task in self.control.wait(*ids)}, {2})

    def test_what_cannot_be_retried(self):
        self.assertEqual(self.here.poolctl("retry", self.control.run(["true"])["id"]).returncode, 6)
        self.assertEqual(self.here.poolctl("retry", "0192f0c1-a2b3-7001-8000-400000000005").returncode, 3)
        self.assertEqual(self.here.poolctl("retry").returncode, 2)


if __name__ == "__main__":
    harness.main()
