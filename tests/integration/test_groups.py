"""Many tasks at once: batches of all or none, groups with their counts, and a task that waits for the end of a group."""

import harness
import processes
from control import eventually

DISK = {"default": {**harness.COMMANDS, "workers": 2}, "disk": {**harness.COMMANDS, "durability": "disk"},
        "other": {**harness.COMMANDS, "durability": "disk"}, "tiny": {**harness.COMMANDS, "queue_size": 3}}
COUNTS = ("waiting", "queued", "running", "succeeded", "failed", "cancelled")


def sh(text, **spec):
    return {"command": {"argv": ["sh", "-c", text]}, **spec}


class GroupTest(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon(DISK).wait_ready()
        self.control = self.here.client()

    def call(self, method, **fields):
        return self.control.call(method, fields)

    def submit(self, spec):
        return self.call("Tasks/Submit", **spec)["id"]

    def batch(self, *specs):
        return [entry["id"] for entry in self.call("Tasks/SubmitBatch", tasks=list(specs), allOrNone=True)["tasks"]]

    def group(self, name):
        """Its counts by state, those that are not 0; None: it is not there."""
        groups = self.call("Tasks/ListGroups", names=[name])["groups"]
        return {state: groups[0][state] for state in COUNTS if groups[0][state]} if groups else None

    def state(self, task):
        return self.call("Tasks/Get", id=task)["task"]["state"]


class Batch(GroupTest):
    def test_a_wrong_task_refuses_all_and_is_named(self):
        for wrong, words in [({"pool": "nowhere", "command": {"argv": ["true"]}}, "tasks[1]: pool: there is no pool 'nowhere'"),
                             (sh("true", afterGroup="none"), "tasks[1]: afterGroup: you have no group"),
                             (sh("true", group="g", afterGroup="g"), "tasks[1]: afterGroup: a task cannot wait for its own group"),
                             (sh("true", key="k", name="other"), "tasks[1]: key: was used")]:
            with self.assertRaises(Exception) as caught:
                self.batch(sh("true", key="k"), wrong, sh("true"))
            self.assertIn(words, caught.exception.message)
        self.assertEqual(self.call("Tasks/List")["tasks"], [])

    def test_a_batch_that_does_not_fit_leaves_the_queue_as_it_was(self):
        self.call("Pools/Pause", name="tiny")
        error = self.refused("resource_exhausted", self.batch, *[sh("true", pool="tiny")] * 4)
        self.assertIn("tasks[3]: pool 'tiny': its queue is full", error.message)
        self.assertEqual(self.control.pool("tiny")["queued"], 0)
        self.assertEqual(len(self.batch(*[sh("true", pool="tiny")] * 3)), 3)

    def test_a_batch_may_have_its_completion_in_it(self):
        ids = self.batch(*[sh("true", group="g")] * 5, sh("exit 3", afterGroup="g"))
        tasks = self.control.wait(*ids)
        self.assertEndedInOrder(tasks)
        self.assertEqual(self.group("g"), {"succeeded": 5})

    def assertEndedInOrder(self, tasks):
        *members, last = tasks
        self.assertEqual(last["state"], "FAILED")
        for member in members:
            self.assertLessEqual(member["endedAt"], last["startedAt"])


class Group(GroupTest):
    def hold_group(self, pool="default", count=3):
        return [self.submit(sh(f"exit {number}", group="g", pool=pool, hold=True)) for number in range(count)]

    def test_counts_follow_its_tasks(self):
        ids = self.hold_group()
        self.assertEqual(self.group("g"), {"waiting": 3})
        self.call("Tasks/Release", selector={"groups": ["g"]})
        answer = self.call("Tasks/Wait", group="g")
        self.assertEqual((answer["group"]["succeeded"], answer["group"]["failed"]), (1, 2))
        self.assertEqual([task["id"] for task in answer["tasks"]], ids[1:])
        self.assertEqual([task["group"] for task in answer["tasks"]], ["g", "g"])

    def test_wait_is_answered_at_its_time_out_with_the_counts(self):
        self.hold_group()
        answer = self.call("Tasks/Wait", group="g", timeout="0.05s")
        self.assertEqual((answer["group"]["waiting"], answer["tasks"]), (3, []))
        error = self.refused("not_found", self.call, "Tasks/Wait", group="none")
        self.assertIn("group: you have no group 'none'", error.message)

    def test_selectors_take_a_group(self):
        ids = self.hold_group()
        other = self.submit(sh("true", hold=True))
        listed = self.call("Tasks/List", selector={"groups": ["g", "none"]})["tasks"]
        self.assertEqual([task["id"] for task in listed], ids[::-1])
        self.assertEqual(sorted(self.call("Tasks/Cancel", selector={"groups": ["g"]})["ids"]), ids)
        self.assertEqual(self.group("g"), {"cancelled": 3})
        self.call("Tasks/Retry", selector={"groups": ["g"]})
        self.call("Tasks/Wait", group="g")
        self.assertEqual(self.group("g"), {"succeeded": 1, "failed": 2})
        self.assertEqual(self.state(other), "WAITING")

    def test_a_completion_waits_and_says_for_whom_and_closes_its_group(self):
        ids = self.hold_group()
        last = self.submit(sh("true", afterGroup="g"))
        reasons = self.call("Tasks/Explain", id=last)["reasons"]
        self.assertEqual([(reason["kind"], reason["group"], reason["ahead"]) for reason in reasons], [("GROUP", "g", 3)])
        self.assertEqual(reasons[0]["text"], "3 tasks of group 'g' have not ended")
        error = self.refused("failed_precondition", self.submit, sh("true", group="g"))
        self.assertIn("group: a task waits for the end of this group", error.message)
        for task in ids:
            self.assertEqual(self.state(last), "WAITING")
            self.call("Tasks/Cancel", id=task)
        self.assertEqual(self.control.wait(last)[0]["state"], "SUCCEEDED")

    def test_wrong_names(self):
        for field in ("group", "afterGroup"):
            error = self.refused("invalid_argument", self.submit, sh("true", **{field: "a\nb"}))
            self.assertIn(f"{field}: control characters", error.message)
            error = self.refused("invalid_argument", self.submit, sh("true", **{field: "x" * 256}))
            self.assertIn(f"{field}: longer than 255 bytes", error.message)

    def test_groups_are_listed_page_by_page(self):
        for number in range(5):
            self.submit(sh("true", group=f"g{number}"))
        names, token = [], ""
        while True:
            page = self.call("Tasks/ListGroups", pageSize=2, pageToken=token)
            names += [group["name"] for group in page["groups"]]
            token = page["nextPageToken"]
            if not token:
                break
        self.assertEqual(names, [f"g{number}" for number in range(5)])
        self.refused("invalid_argument", self.call, "Tasks/ListGroups", pageToken="nonsense")

    def test_a_group_is_gone_with_its_last_task(self):
        self.here.configure({"default": {**harness.COMMANDS, "retention": {"count": 1}}})
        self.call("Daemon/Reload")
        self.control.wait(self.submit(sh("true", group="g")))
        self.control.wait(self.submit(sh("true", group="h")))
        eventually(lambda: self.group("g") is None, 20, "the group is forgotten")
        self.assertEqual(self.group("h"), {"succeeded": 1})


class Restart(GroupTest):
    def restart_engine(self):
        engine = self.here.engine()
        self.assertIsNotNone(engine)
        processes.kill_exactly(engine)
        eventually(lambda: (now := self.here.engine()) and now.pid != engine.pid, 20, "another engine")
        self.control = self.here.client()

    def test_a_group_and_its_completion_survive_an_engine(self):
        # The completion's pool comes first by name: it is read before the group's other tasks.
        for number, pool in enumerate(["disk", "other", "other"]):
            self.submit(sh(f"exit {number}", group="g", pool=pool, hold=number > 0))
        eventually(lambda: self.group("g") == {"waiting": 2, "succeeded": 1}, 20, "the first has ended")
        last = self.submit(sh("true", afterGroup="g", pool="disk"))
        self.restart_engine()
        self.assertEqual(self.group("g"), {"waiting": 2, "succeeded": 1})
        self.assertEqual(self.state(last), "WAITING")
        self.refused("failed_precondition", self.submit, sh("true", group="g", pool="disk"))
        self.call("Tasks/Release", selector={"groups": ["g"]})
        self.assertEqual(self.control.wait(last)[0]["state"], "SUCCEEDED")
        self.assertEqual(self.group("g"), {"succeeded": 1, "failed": 2})
        self.restart_engine()
        self.assertEqual(self.group("g"), {"succeeded": 1, "failed": 2})


class Poolctl(GroupTest):
    def poolctl(self, code, *arguments):
        ended = self.here.poolctl(*arguments)
        self.assertEqual(ended.returncode, code, ended.stderr)
        return ended

    def test_a_group_from_the_command_line(self):
        self.poolctl(0, "submit", "--group", "g", "--hold", "--", "sh", "-c", "exit 4")
        self.poolctl(0, "submit", "--group", "g", "--hold", "--", "true")
        last = self.poolctl(0, "submit", "--after-group", "g", "--", "true").stdout.strip()
        self.assertEqual(len(self.poolctl(0, "ps", "--group", "g", "--json").stdout.split('"id"')), 3)
        self.poolctl(124, "wait", "--group", "g", "--timeout", "50ms")
        self.poolctl(6, "submit", "--group", "g", "--", "true")
        self.poolctl(0, "release", "--group", "g")
        self.assertIn("exited with 4", self.poolctl(4, "wait", "--group", "g").stderr)
        self.poolctl(0, "wait", last)
        lines = self.poolctl(0, "group", "ls").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["NAME", "g"])
        self.assertEqual(lines[1].split()[2:], ["0", "0", "0", "1", "1", "0", "no"])
        self.assertEqual(self.poolctl(0, "group", "ls", "none").stdout.splitlines(), lines[:1])
        self.assertIn("no group 'none'", self.poolctl(3, "wait", "--group", "none").stderr)


if __name__ == "__main__":
    harness.main()
