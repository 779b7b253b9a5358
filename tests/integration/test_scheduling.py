"""When tasks run, how many at once, and what follows when they fail: from the socket and from poolctl."""

import json
import time

from harness import DaemonTest, eventually, main


def sh(text):
    return {"command": {"argv": ["sh", "-c", text]}}


class Scheduling(DaemonTest):
    def setUp(self):
        self.poold = self.daemon({"default": {"workers": 2}}).wait_ready()
        self.control = self.poold.client()

    def call(self, method, **fields):
        return self.control.call(method, fields)

    def submit(self, spec, **options):
        return self.call("Tasks/Submit", **spec, **options)["id"]

    def wait(self, *ids, timeout="30s"):
        return self.call("Tasks/Wait", ids=list(ids), timeout=timeout)["tasks"]

    def get(self, task):
        return self.call("Tasks/Get", id=task)["task"]

    def kinds(self, task):
        return [reason["kind"] for reason in self.call("Tasks/Explain", id=task)["reasons"]]

    def occupy(self):
        """Both workers busy until the returned tasks are cancelled."""
        tasks = [self.submit(sh("sleep 600")) for _ in range(2)]
        eventually(lambda: all(self.get(task)["state"] == "RUNNING" for task in tasks), 20)
        return tasks

    def cancel(self, *tasks):
        for task in tasks:
            self.call("Tasks/Cancel", id=task)
        self.wait(*tasks)

    def test_a_delayed_task_waits_and_says_so(self):
        began = time.monotonic()
        task = self.submit(sh("true"), delay="0.5s")
        self.assertEqual(self.get(task)["state"], "WAITING")
        self.assertEqual(self.kinds(task), ["NOT_DUE"])
        self.assertEnded(self.wait(task)[0], "EXITED", exitCode=0)
        self.assertGreaterEqual(time.monotonic() - began, 0.5)

    def test_a_time_that_is_past_is_now(self):
        self.assertEnded(self.wait(self.submit(sh("true"), at="2001-01-01T00:00:00Z"))[0], "EXITED", exitCode=0)

    def test_a_task_that_has_not_started_in_time_expires(self):
        busy = self.occupy()
        task = self.submit(sh("true"), ttl="0.2s")
        self.assertEqual(self.wait(task)[0]["state"], "FAILED")
        self.assertEnded(self.get(task), "EXPIRED")
        self.cancel(*busy)

    def test_an_attempt_that_runs_too_long_is_timed_out(self):
        task = self.wait(self.submit(sh("sleep 600"), timeout="0.2s"))[0]
        self.assertEnded(task, "TIMED_OUT", signal=15)
        self.assertEqual(task["state"], "FAILED")

    def test_an_attempt_that_ignores_the_end_is_killed_after_its_own_grace(self):
        spec = {"command": {"argv": ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]}}
        began = time.monotonic()
        task = self.wait(self.submit(spec, timeout="0.3s", grace="0.2s"))[0]
        self.assertEnded(task, "TIMED_OUT", signal=9)
        self.assertLess(time.monotonic() - began, 4, "the pool's grace is five seconds")

    def test_failures_are_repeated_as_asked(self):
        task = self.submit(sh("exit 75"), attempts=3, backoff="0.1s", retryOn=["75"])
        ended = self.wait(task)[0]
        self.assertEnded(ended, "EXITED", exitCode=75)
        self.assertEqual(ended["attempt"], 3)
        task = self.submit(sh("exit 1"), attempts=3, retryOn=["75", "SIGNALED"])
        self.assertEqual(self.wait(task)[0]["attempt"], 1)

    def test_a_deadline_is_of_all_attempts(self):
        task = self.wait(self.submit(sh("sleep 600"), attempts=100, timeout="0.2s", deadline="0.5s"))[0]
        self.assertEnded(task, "TIMED_OUT")
        self.assertLessEqual(task["attempt"], 3)

    def test_children_follow_their_parents(self):
        parent = self.submit(sh("exit 3"), hold=True)
        child = self.submit(sh("true"), after=[parent])
        grandchild = self.submit(sh("true"), after=[child])
        anyway = self.submit(sh("true"), afterAny=[parent])
        released = self.submit(sh("true"), after=[parent], onParentFailure="RELEASE")
        self.assertEqual(self.kinds(child), ["PARENT"])
        self.call("Tasks/Release", id=parent)
        states = [task["state"] for task in self.wait(parent, child, grandchild, anyway, released)]
        self.assertEqual(states, ["FAILED", "CANCELLED", "CANCELLED", "SUCCEEDED", "SUCCEEDED"])
        self.assertEqual(self.wait(self.submit(sh("true"), after=[parent]))[0]["state"], "CANCELLED")
        self.assertEqual(self.wait(self.submit(sh("true"), after=[anyway]))[0]["state"], "SUCCEEDED")

    def test_a_held_task_starts_when_it_is_released(self):
        task = self.submit(sh("true"), hold=True, labels={"job": "7"})
        self.assertEqual(self.kinds(task), ["HELD"])
        self.refused("failed_precondition", self.call, "Tasks/Retry", id=task)
        released = self.call("Tasks/Release", selector={"labels": {"job": "7"}})
        self.assertEqual(released["ids"], [task])
        self.wait(task)
        self.refused("failed_precondition", self.call, "Tasks/Release", id=task)
        self.refused("failed_precondition", self.call, "Tasks/Hold", id=task)

    def test_an_ended_task_runs_again_under_its_id(self):
        marker = self.poold.directory / "marker"
        task = self.submit(sh(f"test -e {marker}"))
        self.assertEnded(self.wait(task)[0], "EXITED", exitCode=1)
        marker.touch()
        self.assertEqual(self.call("Tasks/Retry", selector={"states": ["FAILED"]})["ids"], [task])
        ended = self.wait(task)[0]
        self.assertEnded(ended, "EXITED", exitCode=0)
        self.assertEqual(ended["attempt"], 2)
        error = self.refused("failed_precondition", self.call, "Tasks/Retry", id=task)
        self.assertIn("succeeded", str(error))

    def test_a_limit_lets_so_many_run(self):
        script = "echo x >> running; sleep 0.1; [ $(wc -l < running) -le 1 ] && : > running"
        directory = str(self.poold.directory)
        tasks = [
            self.submit({"command": {"argv": ["sh", "-c", script], "cwd": directory}}, limits={"one": 1}) for _ in range(6)
        ]
        self.assertEqual({task["state"] for task in self.wait(*tasks)}, {"SUCCEEDED"}, "never two at a time")

    def test_a_limit_is_explained_and_set(self):
        first = self.submit(sh("sleep 600"), limits={"gpu": 1})
        second = self.submit(sh("sleep 600"), limits={"gpu": 1})
        eventually(lambda: self.get(first)["state"] == "RUNNING", 20)
        reason = self.call("Tasks/Explain", id=second)["reasons"][0]
        self.assertEqual((reason["kind"], reason["limit"], reason["used"], reason["size"]), ("LIMIT", "gpu", 1, 1))
        listed = self.call("Limits/List")["limits"]
        self.assertEqual([(limit["name"], limit["waiting"], limit["set"]) for limit in listed], [("gpu", 1, False)])
        self.call("Limits/Set", name="gpu", size=2)
        eventually(lambda: self.get(second)["state"] == "RUNNING", 20)
        self.cancel(first, second)
        self.call("Limits/Remove", name="gpu")
        self.refused("not_found", self.call, "Limits/Remove", name="gpu")

    def test_wrong_options_are_named(self):
        for options, said in [
            ({"delay": "-1s"}, "delay: "),
            ({"delay": "1s", "at": "2030-01-01T00:00:00Z"}, "at: either delay or at"),
            ({"ttl": "0s"}, "ttl: "),
            ({"timeout": "0s"}, "timeout: "),
            ({"retryOn": ["SOMETIMES"]}, "retryOn[0]: 'SOMETIMES'"),
            ({"retryOn": ["300"]}, "retryOn[0]: "),
            ({"retryOn": ["WORKER_LOST"]}, "crashAttempts"),
            ({"limits": {"db": 0}}, "limits[db]: "),
            ({"limits": {"db": 2}}, "limits[db]: 2 tokens of a limit that has 1"),
            ({"limits": {"": 1}}, "limits: "),
        ]:
            with self.subTest(options):
                error = self.refused("invalid_argument", self.submit, sh("true"), **options)
                self.assertIn(said, str(error))
        error = self.refused("not_found", self.submit, sh("true"), after=["nobody"])
        self.assertIn("after[0]: ", str(error))

    def test_poolctl_has_every_option(self):
        line = ["submit", "--timeout", "10s", "--grace", "1s", "--deadline", "1m", "--ttl", "30s", "--backoff", "1s",
                "--backoff-max", "5s", "--retry-on", "raised,75", "--attempts", "2", "--limit", "db", "--limit", "user:42=1"]
        parent = self.poold.poolctl(*line, "--hold", "--", "true").stdout.strip()
        child = self.poold.poolctl("submit", "--after", parent, "--delay", "10ms", "--", "true").stdout.strip()
        shown = self.poold.poolctl("explain", child)
        self.assertEqual(shown.stdout.splitlines()[0], f"WAITING: task {parent} has not ended", shown.stderr)
        self.assertEqual(self.poold.poolctl("release", parent).returncode, 0)
        self.assertEqual(self.poold.poolctl("wait", parent, child).returncode, 0)
        late = self.poold.poolctl("submit", "--at", "2999-01-01T00:00:00Z", "--", "true")
        self.assertEqual(late.returncode, 2, late.stderr)
        held = self.poold.poolctl("submit", "--delay", "1h", "--", "true").stdout.strip()
        self.assertEqual(self.poold.poolctl("hold", held).returncode, 0)
        self.assertIn("held", self.poold.poolctl("explain", held).stdout)
        self.assertEqual(self.poold.poolctl("cancel", held).returncode, 0)
        self.assertEqual(self.poold.poolctl("retry", held).returncode, 0)
        self.assertEqual(self.poold.poolctl("wait", held).returncode, 0)

    def test_explain_is_for_people(self):
        late = self.submit(sh("true"), delay="3600s")
        self.assertRegex(self.poold.poolctl("explain", late).stdout, r"^WAITING: it is not due before [^ .]+(\.\d{3})?Z \(in [0-9hm]+s?\)\n$")
        busy = self.occupy()
        tasks = [self.submit(sh("true"), hold=True) for _ in range(3)]
        for task in tasks:
            self.call("Tasks/Release", id=task)
        second, third = (self.poold.poolctl("explain", task).stdout.splitlines()[-1] for task in tasks[1:])
        self.assertEqual((second, third), ("QUEUED: at most 1 other task starts first", "QUEUED: at most 2 other tasks start first"))
        self.cancel(late, *busy)
        self.assertEqual(self.poold.poolctl("explain", late).stdout, "CANCELLED: it has ended\n")

    def test_poolctl_says_what_is_wrong_with_an_option(self):
        for option, value in [("--limit", "db=x"), ("--at", "1h"), ("--timeout", "soon"), ("--on-parent-failure", "cry")]:
            with self.subTest(option):
                ended = self.poold.poolctl("submit", option, value, "--", "true")
                self.assertEqual(ended.returncode, 2, ended.stderr)
                self.assertIn(option, ended.stderr)

    def test_poolctl_limits(self):
        self.assertEqual(self.poold.poolctl("limit", "set", "api", "5", "--rate", "10/s", "--burst", "2").returncode, 0)
        limits = json.loads(self.poold.poolctl("limit", "ls", "--json").stdout)["limits"]
        self.assertEqual(limits[0]["rate"], {"count": 10, "per": "1s", "burst": 2})
        self.assertIn("10/s burst 2", self.poold.poolctl("limit", "ls").stdout)
        self.assertEqual(self.poold.poolctl("limit", "set", "api", "5", "--rate", "fast").returncode, 2)
        self.assertEqual(self.poold.poolctl("limit", "rm", "api").returncode, 0)
        self.assertEqual(self.poold.poolctl("limit", "rm", "api").returncode, 3)


class Configured(DaemonTest):
    def test_limits_and_rates_of_the_configuration(self):
        poold = self.daemon({"default": {"workers": 2, "rate": "4/s", "user_tasks": 3}}, limits={"gpu": 2}).wait_ready()
        control = poold.client()
        limit = control.call("Limits/List")["limits"][0]
        self.assertEqual((limit["name"], limit["size"], limit["set"]), ("gpu", 2, True))
        control.call("Pools/Pause", {"name": "default"})  # or the first might have ended before the fourth is submitted
        tasks = [control.call("Tasks/Submit", sh("true"))["id"] for _ in range(3)]
        self.refused("resource_exhausted", control.call, "Tasks/Submit", sh("true"))
        began = time.monotonic()
        control.call("Pools/Resume", {"name": "default"})
        control.call("Tasks/Wait", {"ids": tasks, "timeout": "20s"})
        self.assertGreaterEqual(time.monotonic() - began, 0.45, "three starts, a quarter of a second apart")


if __name__ == "__main__":
    main()
