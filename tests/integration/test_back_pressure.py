"""Full queues: who asks to wait is let in when there is room, in order; nobody else notices, and who goes away has submitted nothing."""

import subprocess
import threading

import harness
from control import Control, eventually
from frames import Stream, task_pb2

WAIT = task_pb2.TaskSpec.WAIT
POOLS = {"tiny": {**harness.COMMANDS, "queue_size": 2}, "own": {**harness.COMMANDS, "user_tasks": 2}, "default": harness.COMMANDS,
         "disk": {**harness.COMMANDS, "durability": "disk", "queue_size": 2}}
TRUE = {"command": {"argv": ["true"]}}


class BackPressure(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon(POOLS).wait_ready()
        self.control = self.here.client()
        for pool in ("tiny", "own", "disk"):
            self.control.call("Pools/Pause", {"name": pool})

    def fill(self, pool="tiny"):
        return [self.control.call("Tasks/Submit", {**TRUE, "pool": pool})["id"] for _ in range(2)]

    def known(self, name):
        return self.control.call("Tasks/List", {"selector": {"names": [name]}})["tasks"]

    def later(self, act):
        """Runs it in a thread; its result, when asked for."""
        results = []
        thread = threading.Thread(target=lambda: results.append(act()), daemon=True)
        thread.start()

        def result():
            thread.join(60 * harness.PATIENCE)
            self.assertFalse(thread.is_alive(), "it still waits")
            return results[0]

        return result

    def submit(self, **spec):
        control = Control(self.here.socket, timeout=60 * harness.PATIENCE)
        self.addCleanup(control.close)
        return control.call("Tasks/Submit", {**TRUE, "pool": "tiny", "whenFull": "WAIT", **spec})["id"]

    def clients(self, count):
        """Until so many are connected."""
        eventually(lambda: f"\npoold_clients {count}\n" in self.control.request("GET", "/metrics")[2].decode(), 60 * harness.PATIENCE,
                   f"{count} clients")

    def test_a_call_is_answered_when_there_is_room(self):
        for pool in ("tiny", "own", "disk"):
            with self.subTest(pool):
                self.fill(pool)
                self.refused("resource_exhausted", self.control.call, "Tasks/Submit", {**TRUE, "pool": pool})
                result = self.later(lambda pool=pool: self.submit(pool=pool, name="late"))
                # Others do not notice.
                self.assertEqual(self.control.wait(self.control.submit(["true"]))[0]["state"], "SUCCEEDED")
                self.control.call("Pools/Resume", {"name": pool})
                self.assertEqual(self.control.wait(result())[0]["state"], "SUCCEEDED")

    def test_a_cancelled_task_makes_room(self):
        first, _ = self.fill()
        result = self.later(self.submit)
        self.control.call("Tasks/Cancel", {"id": first})
        self.assertEqual(self.control.task(result())["state"], "QUEUED")

    def test_a_known_key_is_answered_at_once(self):
        known = self.control.call("Tasks/Submit", {**TRUE, "pool": "tiny", "key": "k"})["id"]
        self.control.call("Tasks/Submit", {**TRUE, "pool": "tiny"})
        self.assertEqual(self.submit(key="k"), known)

    def test_who_goes_away_has_submitted_nothing(self):
        self.fill()
        process = subprocess.Popen([harness.BIN / "poolctl", "--socket", self.here.socket, "submit", "--pool", "tiny", "--when-full", "wait",
                                    "--name", "gone", "--", "true"])
        self.clients(2)
        process.kill()
        process.wait()
        stream = Stream(self.here.socket)
        stream.submit(1, ["true"], pool="tiny", when_full=WAIT, name="gone")
        stream.close()
        self.control.call("Pools/Resume", {"name": "tiny"})
        self.assertEqual(self.control.wait(self.submit(name="after"))[0]["state"], "SUCCEEDED")
        self.assertEqual(self.known("gone"), [])

    def test_a_batch_is_let_in_one_by_one(self):
        self.fill()
        request = {"tasks": [{**TRUE, "pool": "tiny", "whenFull": "WAIT"} for _ in range(7)]}
        control = Control(self.here.socket, timeout=60 * harness.PATIENCE)
        self.addCleanup(control.close)
        result = self.later(lambda: control.call("Tasks/SubmitBatch", request))
        self.control.call("Pools/Resume", {"name": "tiny"})
        ids = [task["id"] for task in result()["tasks"]]
        self.assertEqual({task["state"] for task in self.control.wait(*ids)}, {"SUCCEEDED"})
        self.assertEqual(sorted(ids), ids)
        error = self.refused("invalid_argument", self.control.call, "Tasks/SubmitBatch", {**request, "allOrNone": True})
        self.assertIn("tasks[0]: whenFull: WAIT", error.message)

    def test_a_stream_is_not_read_until_there_is_room(self):
        self.fill()
        stream = Stream(self.here.socket)
        self.addCleanup(stream.close)

        def submit_all():
            for tag in range(1, 101):
                stream.submit(tag, ["true"], pool="tiny", when_full=WAIT)
            stream.submit(101, ["true"], pool="default", name="behind")

        sent = self.later(submit_all)  # which may have to wait itself, when the kernel's buffers are full
        self.assertEqual(self.control.wait(self.control.submit(["true"]))[0]["state"], "SUCCEEDED")
        self.assertEqual((self.control.pool("tiny")["queued"], self.known("behind")), (2, []))
        self.control.call("Pools/Resume", {"name": "tiny"})
        sent()
        self.assertEqual(sorted(stream.result().result.tag for _ in range(101)), list(range(1, 102)))

    def test_those_who_wait_when_the_daemon_stops_are_told(self):
        self.fill()

        def refused():
            try:
                return self.submit()
            except Exception as error:  # what it is is looked at below
                return error

        result = self.later(refused)
        self.clients(2)
        self.assertEqual(self.here.stop(), 0)
        self.assertIsInstance(result(), Exception)

    def test_run_waits_for_room(self):
        self.fill()
        process = subprocess.Popen([harness.BIN / "poolctl", "--socket", self.here.socket, "run", "--pool", "tiny", "--when-full", "wait", "--",
                                    "sh", "-c", "exit 7"])
        self.control.call("Pools/Resume", {"name": "tiny"})
        self.assertEqual(process.wait(60 * harness.PATIENCE), 7)


if __name__ == "__main__":
    harness.main()
