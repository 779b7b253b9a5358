"""Tasks that come again and again: from the socket, from poolctl and from the configuration."""

import json
import subprocess

from harness import DaemonTest, eventually, main

TRUE = {"command": {"argv": ["true"]}}
SLEEP = {"command": {"argv": ["sleep", "600"]}}
NEVER_SOON = "0 0 29 2 *"


class Schedules(DaemonTest):
    def setUp(self):
        self.poold = self.daemon({"default": {"workers": 3}}).wait_ready()
        self.control = self.poold.client()

    def add(self, name="n", spec="every 1s", task=None, **fields):
        return self.control.call("Schedules/Add", {"schedule": {"name": name, "spec": spec, "task": task or TRUE, **fields}})["schedule"]

    def get(self, name="n"):
        return next(s for s in self.control.call("Schedules/List")["schedules"] if s["name"] == name)

    def tasks(self, name="n"):
        """The tasks of the schedule, the first first."""
        return self.control.call("Tasks/List", {"selector": {"names": [name]}, "pageSize": 1000})["tasks"][::-1]

    def run_now(self, name="n"):
        return self.control.call("Schedules/Run", {"name": name})["id"]

    def test_tasks_come_and_carry_the_name(self):
        added = self.add()
        self.assertEqual((added["spec"], added["overlap"], added["catchUp"], added["runs"]), ("every 1s", "SKIP", "ONCE", "0"))
        self.assertIn("nextAt", added)
        eventually(lambda: len(self.tasks()) >= 2, 60)
        self.assertEqual({task["name"] for task in self.tasks()}, {"n"})
        eventually(lambda: self.get()["lastTaskId"] in [task["id"] for task in self.tasks()], 60)
        self.control.call("Schedules/Remove", {"name": "n"})
        self.refused("not_found", self.control.call, "Schedules/Remove", {"name": "n"})

    def test_skip_lets_the_last_one_end(self):
        self.add(task=SLEEP)
        eventually(lambda: int(self.get()["skipped"]) >= 1, 60)
        self.assertEqual(len(self.tasks()), 1)
        self.assertIn("overlap is SKIP", self.refused("failed_precondition", self.run_now).message)

    def test_queue_starts_the_next_when_the_last_has_ended(self):
        self.add(spec=NEVER_SOON, task=SLEEP, overlap="QUEUE")
        first, second = self.run_now(), self.run_now()
        reasons = self.control.call("Tasks/Explain", {"id": second})["reasons"]
        self.assertEqual([(r["kind"], r["taskId"]) for r in reasons], [("PARENT", first)])
        self.control.call("Tasks/Cancel", {"id": first})
        eventually(lambda: self.control.call("Tasks/Get", {"id": second})["task"]["state"] == "RUNNING", 30)

    def test_replace_cancels_the_last(self):
        self.add(spec=NEVER_SOON, task=SLEEP, overlap="REPLACE")
        first, second = self.run_now(), self.run_now()
        ended = self.control.call("Tasks/Wait", {"ids": [first], "timeout": "30s"})["tasks"][0]
        self.assertEnded(ended, "CANCELLED")
        eventually(lambda: self.control.call("Tasks/Get", {"id": second})["task"]["state"] == "RUNNING", 30)

    def test_a_refused_task_says_why(self):
        self.control.call("Pools/Drain", {"name": "default"})
        self.add(spec="every 1s")
        eventually(lambda: "is draining" in self.get()["lastError"], 60)
        self.assertEqual(self.get()["runs"], "0")

    def test_what_is_wrong_is_named(self):
        for fields, words in [
            ({"name": ""}, ["schedule.name"]),
            ({"spec": "* * *"}, ["schedule.spec", "five fields"]),
            ({"spec": "0 0 31 2 *"}, ["schedule.spec", "no month"]),
            ({"timeZone": "Mars/Olympus"}, ["schedule.timeZone", "Europe/Berlin"]),
            ({"jitter": "0.5s"}, ["schedule.jitter", "whole seconds"]),
            ({"task": {**TRUE, "key": "k"}}, ["schedule.task.key"]),
            ({"task": {**TRUE, "at": "2030-01-01T00:00:00Z"}}, ["schedule.task.at"]),
            ({"task": {"command": {}}}, ["schedule.task.command.argv"]),
        ]:
            with self.subTest(fields):
                error = self.refused("invalid_argument", self.add, **fields)
                for word in words:
                    self.assertIn(word, error.message)
        self.refused("not_found", self.add, task={**TRUE, "pool": "mth"})
        self.add(spec=NEVER_SOON)
        self.refused("already_exists", self.add, spec=NEVER_SOON)
        self.refused("not_found", self.run_now, "other")

    def test_poolctl(self):
        line = ["cron", "add", "--name", "nightly", "--time-zone", "Europe/Berlin", "--overlap", "queue", "--jitter", "5m"]
        self.assertEqual(self.poold.poolctl(*line, NEVER_SOON, "--label", "a=b", "--", "true").returncode, 0)
        listed = json.loads(self.poold.poolctl("cron", "ls", "--json").stdout)["schedules"][0]
        self.assertEqual((listed["name"], listed["spec"], listed["timeZone"], listed["overlap"], listed["jitter"]),
                         ("nightly", NEVER_SOON, "Europe/Berlin", "QUEUE", "300s"))
        self.assertEqual((listed["task"]["command"]["argv"], listed["task"]["labels"]), (["true"], {"a": "b"}))
        table = self.poold.poolctl("cron", "ls").stdout
        self.assertIn("nightly", table)
        self.assertIn("Europe/Berlin", table)
        ran = self.poold.poolctl("cron", "run", "nightly")
        self.assertEqual(self.poold.poolctl("wait", ran.stdout.strip()).returncode, 0, ran.stderr)
        self.assertEqual(self.poold.poolctl(*line, NEVER_SOON, "--", "true").returncode, 6)
        self.assertEqual(self.poold.poolctl(*line, "--replace", "@daily", "true").returncode, 0)
        self.assertEqual(self.poold.poolctl("cron", "rm", "nightly").returncode, 0)
        self.assertEqual(self.poold.poolctl("cron", "rm", "nightly").returncode, 3)

    def test_poolctl_says_what_is_wrong(self):
        for words, said in [
            (["--name", "n"], "SPEC"),
            (["--name", "n", "0", "3", "*", "*", "*", "true"], "in one argument"),
            (["--name", "n", "61 * * * *", "true"], "0 to 59"),
            (["@daily", "true"], "--name"),
            (["--name", "n", "@daily"], "command"),
            (["--name", "n", "--jitter", "soon", "@daily", "true"], "--jitter"),
            (["--name", "n", "--overlap", "cry", "@daily", "true"], "--overlap"),
            (["--name", "n", "--time-zone", "Mars", "@daily", "true"], "--time-zone"),
        ]:
            with self.subTest(words):
                ended = self.poold.poolctl("cron", "add", *words)
                self.assertEqual(ended.returncode, 2, ended.stderr)
                self.assertIn(said, ended.stderr)


CONFIGURED = """
stop_timeout: 1s
schedules:
  tick: {spec: every 1s, command: [sh, -c, 'exit 0'], env: {A: b}, cwd: /, timeout: 5s, attempts: 2}
  late: {spec: '0 3 * * *', time_zone: Europe/Berlin, pool: math, function: add, args: [1, '[2]', x], overlap: replace, catch_up: none, jitter: 1m}
pools:
  default: {workers: 1}
  math: {kind: function, plugin: libpoold_examples.so, workers: 1}
"""


class Restart(DaemonTest):
    """Schedules of disk pools are there again, with their counts, and what came due meanwhile is caught up with."""

    def setUp(self):
        self.pools = {"default": {"kind": "command", "workers": 1, "durability": "disk"}, "memory": {"kind": "command", "workers": 1}}
        self.poold = self.daemon(self.pools).wait_ready()
        self.control = self.poold.client()

    def add(self, name, spec=NEVER_SOON, task=None, **fields):
        return self.control.call("Schedules/Add", {"schedule": {"name": name, "spec": spec, "task": task or TRUE, **fields}})["schedule"]

    def listed(self):
        return {schedule["name"]: schedule for schedule in self.control.call("Schedules/List")["schedules"]}

    def crash(self):
        self.poold.kill()
        eventually(lambda: not self.poold.left_behind(), 60, "everything of the old daemon is gone")
        self.poold.start()
        self.control = self.poold.client()

    def test_what_was_added_is_there_again(self):
        self.add("kept", timeZone="Europe/Berlin", overlap="QUEUE", catchUp="ALL", jitter="5s")
        self.add("gone")
        self.add("in-memory", task={**TRUE, "pool": "memory"})
        ran = self.control.call("Schedules/Run", {"name": "kept"})["id"]
        self.control.wait(ran)
        self.control.call("Schedules/Remove", {"name": "gone"})
        before = self.listed()["kept"]
        self.crash()
        self.assertEqual(self.listed(), {"kept": before})
        self.assertEqual((before["runs"], before["lastTaskId"]), ("1", ran))

    def test_its_last_task_counts_for_the_overlap(self):
        self.add("n", task={**TRUE, "hold": True})
        self.control.call("Schedules/Run", {"name": "n"})
        self.crash()
        self.assertIn("overlap is SKIP", self.refused("failed_precondition", self.control.call, "Schedules/Run", {"name": "n"}).message)

    def test_it_goes_on_and_counts_on(self):
        self.add("n", "every 1s")
        eventually(lambda: int(self.listed()["n"]["runs"]) >= 2, 60)
        self.crash()
        self.assertGreaterEqual(int(self.listed()["n"]["runs"]), 2)
        eventually(lambda: int(self.listed()["n"]["runs"]) >= 4, 60)

    def test_one_that_became_the_configurations(self):
        self.add("n")
        self.poold.configure(self.pools, schedules={"n": {"spec": "@yearly", "command": ["true"]}})
        self.crash()
        self.assertEqual((self.listed()["n"]["spec"], self.listed()["n"]["configured"]), ("@yearly", True))
        # Answered after a commit, and so after that of what the store forgets.
        self.control.call("Tasks/Submit", TRUE)
        self.poold.configure(self.pools)
        self.crash()
        self.assertEqual(self.listed(), {})


class Configured(DaemonTest):
    def test_schedules_of_the_configuration(self):
        poold = self.daemon(CONFIGURED)
        control = poold.client()
        late, tick = control.call("Schedules/List")["schedules"]
        self.assertEqual((late["name"], late["configured"], late["overlap"], late["catchUp"]), ("late", True, "REPLACE", "NONE"))
        self.assertEqual(late["task"]["function"]["args"], [1, [2], "x"])
        self.assertEqual((tick["task"]["timeout"], tick["task"]["attempts"], tick["task"]["command"]["cwd"]), ("5s", 2, "/"))
        eventually(lambda: int(control.call("Schedules/List")["schedules"][1]["runs"]) >= 1, 60)
        self.refused("failed_precondition", control.call, "Schedules/Remove", {"name": "late"})
        # What has not changed goes on; what is gone is gone.
        poold.config.write_text(CONFIGURED.replace("late:", "later:"))
        control.call("Daemon/Reload")
        names = {s["name"]: int(s["runs"]) for s in control.call("Schedules/List")["schedules"]}
        self.assertEqual(set(names), {"later", "tick"})
        self.assertIn("schedule late removed, schedule later added", poold.log())
        self.assertGreaterEqual(names["tick"], 1)

    def test_what_is_wrong_in_the_file(self):
        poold = self.daemon("""
schedules:
  a: {spec: '61 * * * *', command: [x], time_zone: Nowhere, overlap: cry}
  b: {command: [x]}
  c: {spec: '@daily'}
  d: {spec: '@daily', function: f}
  e: {spec: '@daily', command: [x], pool: mth, args: [1]}
""", start=False)
        said = subprocess.run([*poold.command_line(), "--check"], capture_output=True, text=True, check=False)
        self.assertEqual(said.returncode, 2, said.stderr)
        for words in ["schedules.a.spec: '61 * * * *': the minute '61'", "schedules.a.time_zone: there is no time zone 'Nowhere'",
                      "schedules.a.overlap", "schedules.b: a schedule needs spec", "schedules.c: a schedule needs command or function",
                      "schedules.d: the pool 'default' runs commands", "schedules.e.pool: there is no pool 'mth'", "schedules.e.args"]:
            self.assertIn(words, said.stderr)


if __name__ == "__main__":
    main()
