"""What is kept of ended tasks, and how it goes: Tasks/Prune and poolctl prune, and retention by age, number and size."""

import json
import os

import harness
from control import eventually

DISK = {**harness.COMMANDS, "durability": "disk"}
FUNCTIONS_DISK = {**harness.FUNCTIONS, "durability": "disk"}
ENDED = {"states": ["SUCCEEDED", "FAILED", "CANCELLED"]}


class Forgetting(harness.DaemonTest):
    def start(self, pools):
        self.here = self.daemon(pools).wait_ready()
        self.control = self.here.client()

    def known(self, **selector):
        return [task["id"] for task in self.control.call("Tasks/List", {"selector": selector, "pageSize": 1000})["tasks"]]

    def logs(self, pool="default"):
        return sorted(path.name for path in (self.here.state / "logs" / pool).iterdir())

    def begin_to_wait(self, *ids):
        """The call has been read when this returns: a turn of the engine's takes everything that is there."""
        waiting = self.here.client()
        waiting.request("GET", "/healthz")
        waiting.connection.request("POST", "/poold.v1.Tasks/Wait", json.dumps({"ids": ids}).encode(), {"Content-Type": "application/json"})
        self.control.info()
        return waiting

    @staticmethod
    def answer(waiting):
        return json.loads(waiting.connection.getresponse().read())["tasks"]

    def restart(self):
        self.here.stop()
        self.here.start()
        self.control = self.here.client()


class Prune(Forgetting):
    def setUp(self):
        self.start({"default": DISK, "memory": harness.COMMANDS})

    def test_ended_tasks_go_with_results_and_logs_and_do_not_come_back(self):
        ids = [self.control.run(["echo", "out"])["id"] for _ in range(3)]
        self.assertEqual(len(self.logs()), 3)
        self.assertEqual(self.control.call("Tasks/Prune", {"selector": {"pools": ["default"]}}), {"count": 3, "more": False})
        self.assertEqual((self.known(), self.logs()), ([], []))
        self.refused("not_found", self.control.task, ids[0])
        self.restart()
        self.assertEqual(self.known(), [])

    def test_tasks_that_have_not_ended_stay(self):
        self.control.call("Pools/Pause", {"name": "default"})
        queued = self.control.submit(["true"])
        self.assertEqual(self.control.call("Tasks/Prune", {"selector": {"pools": ["default"]}})["count"], 0)
        self.refused("failed_precondition", self.control.call, "Tasks/Prune", {"id": queued})
        self.assertEqual(self.known(), [queued])

    def test_by_id(self):
        one, other = self.control.run(["true"])["id"], self.control.run(["true"])["id"]
        self.assertEqual(self.control.call("Tasks/Prune", {"id": one})["count"], 1)
        self.refused("not_found", self.control.call, "Tasks/Prune", {"id": one})
        self.assertEqual(self.known(), [other])

    def test_a_key_is_free_again(self):
        spec = {"command": {"argv": ["true"]}, "key": "k"}
        first = self.control.call("Tasks/Submit", spec)["id"]
        self.control.wait(first)
        self.control.call("Tasks/Prune", {"id": first})
        self.assertNotEqual(self.control.call("Tasks/Submit", spec)["id"], first)

    def test_a_group_has_no_members_then(self):
        self.control.run(["true"], group="g")
        self.control.call("Tasks/Prune", {"selector": {"groups": ["g"]}})
        self.assertEqual(self.control.call("Tasks/ListGroups")["groups"], [])

    def test_a_task_that_somebody_waits_for_is_there_until_the_answer(self):
        self.control.call("Pools/Pause", {"name": "memory"})
        ended, queued = self.control.run(["echo", "x"])["id"], self.control.submit(["true"], pool="memory")
        waiting = self.begin_to_wait(ended, queued)
        self.assertEqual(self.control.call("Tasks/Prune", {"id": ended})["count"], 1)
        self.assertEqual(self.control.call("Tasks/Prune", {"id": ended})["count"], 0)
        self.assertEqual(self.control.task(ended)["outcome"]["exitCode"], 0)
        self.control.call("Pools/Resume", {"name": "memory"})
        self.assertEqual([task["state"] for task in self.answer(waiting)], ["SUCCEEDED"] * 2)
        eventually(lambda: self.known() == [queued], what="it is forgotten")
        self.assertEqual(self.logs(), [])

    def test_a_task_whose_waiter_has_gone_is_forgotten(self):
        self.control.call("Pools/Pause", {"name": "memory"})
        ended, queued = self.control.run(["true"])["id"], self.control.submit(["true"], pool="memory")
        waiting = self.begin_to_wait(ended, queued)
        self.control.call("Tasks/Prune", {"id": ended})
        waiting.close()
        eventually(lambda: self.known() == [queued], what="it is forgotten")

    def test_more_than_one_call_takes(self):
        count = 2100
        specs = [{"command": {"argv": ["true"]}, "pool": "memory", "hold": True}] * count
        self.control.call("Tasks/SubmitBatch", {"tasks": specs})
        self.here.poolctl("cancel", "--pool", "memory")
        self.assertEqual(self.control.call("Tasks/Prune", {"selector": {"pools": ["memory"]}, "dryRun": True}), {"count": count, "more": False})
        first = self.control.call("Tasks/Prune", {"selector": {"pools": ["memory"]}})
        self.assertEqual(first, {"count": 2000, "more": True})
        self.assertEqual(self.control.call("Tasks/Prune", {"selector": {"pools": ["memory"]}}), {"count": count - 2000, "more": False})

    def test_retention_counts_what_is_left(self):
        self.here.configure({"default": {**DISK, "retention": {"count": 200}}})
        self.control.call("Daemon/Reload")
        kept = self.control.run(["true"])["id"]
        for _ in range(2):
            ids = [task["id"] for task in self.control.call("Tasks/SubmitBatch", {"tasks": [{"command": {"argv": ["true"]}, "name": "many"}] * 150})["tasks"]]
            self.control.wait(*ids)
            self.assertEqual(self.control.call("Tasks/Prune", {"selector": {"names": ["many"]}})["count"], 150)
        self.assertEqual(self.known(), [kept])

    def test_which_tasks_is_said(self):
        self.refused("invalid_argument", self.control.call, "Tasks/Prune", {})
        self.refused("invalid_argument", self.control.call, "Tasks/Prune", {"selector": {}})
        self.refused("invalid_argument", self.control.call, "Tasks/Prune", {"id": "x", "selector": {"pools": ["default"]}})


class Poolctl(Forgetting):
    def setUp(self):
        self.start({"default": harness.COMMANDS})

    def prune(self, *words):
        ended = self.here.poolctl("prune", *words)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        return ended.stdout

    def test_says_how_many(self):
        for name in ("a", "a", "b"):
            self.control.run(["true"], name=name, labels={"n": name})
        self.assertEqual(self.prune("--name", "a", "--dry-run"), "2 tasks would be forgotten\n")
        self.assertEqual(self.prune("--label", "n=b"), "1 task forgotten\n")
        self.assertEqual(self.prune("--state", "failed"), "0 tasks forgotten\n")
        self.assertEqual(json.loads(self.prune("--pool", "default", "--json")), {"count": 2, "more": False})
        self.assertEqual(self.known(), [])

    def test_by_time(self):
        self.control.run(["true"])
        self.assertEqual(self.prune("--before", "1h"), "0 tasks forgotten\n")
        self.assertEqual(self.prune("--since", "1h", "--before", "0s", "--dry-run"), "1 task would be forgotten\n")
        self.assertEqual(self.prune("--before", "2100-01-01T00:00:00Z"), "1 task forgotten\n")

    def test_by_id(self):
        ids = [self.control.run(["true"])["id"] for _ in range(3)]
        self.assertEqual(self.prune(*ids[:2]), "2 tasks forgotten\n")
        self.assertEqual(self.here.poolctl("prune", *ids).returncode, 3)
        self.assertEqual(self.known(), [ids[2]])

    def test_nothing_named_is_an_error(self):
        self.assertEqual(self.here.poolctl("prune").returncode, 2)
        self.assertEqual(self.here.poolctl("prune", "--dry-run").returncode, 2)


class Retention(Forgetting):
    def test_logs_count_for_the_size(self):
        self.start({"default": {**DISK, "workers": 1, "retention": {"size": "1MiB"}}})
        ids = [self.control.run(["sh", "-c", "head -c 400000 /dev/zero"])["id"] for _ in range(4)]
        eventually(lambda: len(self.known()) == 2, what="two have room")
        self.assertEqual(self.known(), ids[:1:-1])
        self.assertEqual(len(self.logs()), 2)
        self.restart()
        self.assertEqual(self.known(), ids[:1:-1])
        self.control.run(["sh", "-c", "head -c 400000 /dev/zero"])
        eventually(lambda: len(self.known()) == 2, what="the sizes are known after a restart")

    def test_results_count_for_the_size(self):
        self.start({"default": {**FUNCTIONS_DISK, "workers": 1, "retention": {"size": "1MiB"}}})
        ids = [self.control.run(function="echo", args=["x" * 400_000])["id"] for _ in range(4)]
        eventually(lambda: self.known() == ids[:1:-1], what="two have room")

    def test_the_newest_stays_whatever_its_size(self):
        self.start({"default": {**DISK, "retention": {"size": "0B"}}})
        self.control.run(["echo", "first"])
        last = self.control.run(["echo", "last"])["id"]
        eventually(lambda: self.known() == [last], what="one is left")
        self.assertEqual(self.control.output(last)[0], b"last\n")

    def test_age(self):
        self.start({"default": {**DISK, "retention": {"age": "1s"}}})
        self.control.run(["echo", "x"])
        eventually(lambda: not self.known() and not self.logs(), what="it is too old")
        self.restart()
        self.assertEqual(self.known(), [])

    def test_many_at_once_keep_nobody_waiting(self):
        count = 6000
        self.start({"default": DISK})
        self.control.call("Tasks/SubmitBatch", {"tasks": [{"command": {"argv": ["true"]}, "hold": True}] * count})
        self.here.poolctl("cancel", "--pool", "default")
        self.assertEqual(self.control.call("Tasks/Prune", {"selector": ENDED, "dryRun": True})["count"], count)
        self.here.configure({"default": {**DISK, "retention": {"count": 10}}})
        self.control.call("Daemon/Reload")
        eventually(lambda: len(self.known()) == 10, what="all but ten are forgotten")
        self.restart()
        self.assertEqual(len(self.known()), 10)

    def test_what_is_waited_for_stays_until_the_answer(self):
        self.start({"default": {**DISK, "workers": 1, "retention": {"count": 1}}})
        fifo = self.here.directory / "fifo"
        os.mkfifo(fifo)
        self.control.call("Pools/Pause", {"name": "default"})
        ids = [self.control.submit(["echo", str(number)]) for number in range(3)] + [self.control.submit(["sh", "-c", f"read x < {fifo}"])]
        waiting = self.begin_to_wait(*ids)
        self.control.call("Pools/Resume", {"name": "default"})
        eventually(lambda: self.control.task(ids[-1])["state"] == "RUNNING", what="the last one runs")
        fifo.write_text("go\n")
        self.assertEqual([task["outcome"]["exitCode"] for task in self.answer(waiting)], [0] * 4)
        eventually(lambda: self.known() == ids[-1:], what="the others are forgotten")


if __name__ == "__main__":
    harness.main()
