"""Dedicated processes: a task with a worker of its own, its pid, its end, and whose it is."""

import signal

import harness
from control import eventually
from python_pool import python_pool
from sync_clients import Program


class Processes(harness.DaemonTest):
    def setUp(self):
        self.poold = self.daemon({"default": {**harness.COMMANDS, "workers": 1, "grace": "500ms"}, "math": {**harness.FUNCTIONS, "workers": 1, "processes": 3},
                                  "py": python_pool()})
        self.control = self.poold.client()

    def start(self, *argv, control=None, **settings):
        return (control or self.control).call("Processes/Start", {"task": {"command": {"argv": list(argv)}, **settings.pop("task", {})}, **settings})["process"]

    def call(self, name, *args, pool="math", **settings):
        return self.control.call("Processes/Start", {"task": {"pool": pool, "function": {"name": name, "args": list(args)}}, **settings})["process"]

    def join(self, process, **settings):
        return self.control.call("Processes/Join", {"id": process["id"], **settings})["process"]

    def kill(self, process, number):
        self.control.call("Processes/Kill", {"id": process["id"], "signal": int(number)})

    def listed(self, **settings):
        return [p["id"] for p in self.control.call("Processes/List", settings)["processes"]]

    def test_a_process_beside_a_busy_pool(self):
        """The pool's only worker is taken; a process needs none."""
        busy = self.control.submit(["sleep", "1000"])
        process = self.start("sh", "-c", "exit 7", task={"name": "seven"})
        self.assertEqual((process["name"], process["pool"], process["state"]), ("seven", "default", "RUNNING"))
        ended = self.join(process)
        self.assertEqual((ended["state"], ended["exitCode"], ended["outcome"]["kind"]), ("FAILED", 7, "EXITED"))
        self.control.call("Tasks/Cancel", {"id": busy})

    def test_the_pid_is_that_of_a_worker_of_its_own(self):
        process = self.call("sleep_ms", 1_000_000)
        pids = [worker.pid for worker in self.poold.worker_processes()]
        self.assertIn(process["pid"], pids)
        self.assertNotIn(process["pid"], [w["pid"] for w in self.control.workers("math")])
        self.assertEqual(self.listed(), [process["id"]])
        self.kill(process, signal.SIGKILL)
        ended = self.join(process)
        self.assertEqual((ended["exitCode"], ended["outcome"]["kind"]), (-9, "WORKER_LOST"))
        self.assertEqual(self.listed(), [])
        self.assertEqual(self.listed(ended=True), [process["id"]])

    def test_its_worker_goes_with_it(self):
        before = sorted(w.pid for w in self.poold.wait_ready().worker_processes())
        for _ in range(5):
            process = self.call("add", 1, 2)
            self.assertEqual(self.join(process)["exitCode"], 0)
        eventually(lambda: sorted(w.pid for w in self.poold.worker_processes()) == before, 20 * harness.PATIENCE, "only the pools' workers are left")
        self.assertEqual(sorted(p["name"] for p in self.control.call("Pools/List")["pools"]), ["default", "math", "py"])

    def test_python_function_in_a_process(self):
        process = self.call("greet", "Ann", pool="py")
        ended = self.join(process)
        self.assertEqual((ended["exitCode"], ended["outcome"]["value"]), (0, "Hi Ann!"))

    def test_join_with_a_time_out_and_from_another_client(self):
        process = self.start("sleep", "1000")
        self.assertEqual(self.join(process, timeout="0s")["state"], "RUNNING")
        self.assertEqual(self.join(process, timeout="0.050s")["state"], "RUNNING")
        with Program(self.poold.socket, ("Processes/Join", {"id": process["id"]})) as other:
            self.kill(process, signal.SIGTERM)
            self.assertEqual(other.answer()["process"]["exitCode"], -15)

    def test_signal_reaches_the_command(self):
        process = self.start("sh", "-c", "trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done")
        eventually(lambda: self.control.call("Tasks/Logs", {"id": process["id"]})["chunks"], 20 * harness.PATIENCE)
        self.kill(process, signal.SIGUSR1)
        self.assertEqual(self.join(process)["exitCode"], 3)
        error = self.refused("failed_precondition", self.kill, process, signal.SIGTERM)
        self.assertIn("has ended", error.message)

    def test_daemon_process_ends_with_its_client(self):
        start = ("Processes/Start", {"task": {"command": {"argv": ["sleep", "1000"]}}, "daemon": True})
        with Program(self.poold.socket, start) as client:
            process = client.answer()["process"]
            self.assertTrue(process["daemon"])
            client.kill()
        self.assertEqual(self.join(process)["state"], "CANCELLED")

    def test_other_processes_live_on(self):
        with Program(self.poold.socket, ("Processes/Start", {"task": {"command": {"argv": ["sleep", "1000"]}}})) as client:
            process = client.answer()["process"]
            client.kill()
        self.assertEqual(self.join(process, timeout="0.200s")["state"], "RUNNING")
        self.kill(process, signal.SIGKILL)
        self.assertNotEqual(self.join(process)["exitCode"], 0)

    def test_as_many_as_the_pool_allows(self):
        started = [self.call("sleep_ms", 1_000_000) for _ in range(3)]
        error = self.refused("resource_exhausted", self.call, "sleep_ms", 1)
        self.assertIn("as many processes as it may (3)", error.message)
        for process in started:
            self.kill(process, signal.SIGKILL)
            self.join(process)
        eventually(lambda: len(self.poold.worker_processes()) == 3, 20 * harness.PATIENCE, "their workers are gone")
        self.assertEqual(self.join(self.call("add", 1, 2))["exitCode"], 0)

    def test_reload_leaves_it_alone(self):
        process = self.start("sleep", "1000")
        self.control.call("Daemon/Reload")
        self.assertEqual(self.join(process, timeout="0s")["state"], "RUNNING")
        self.kill(process, signal.SIGTERM)
        self.assertEqual(self.join(process)["exitCode"], -15)

    def test_operator_s_verbs_are_not_for_its_pool(self):
        process = self.start("sleep", "1000")
        for method in ("Get", "Pause", "Recycle"):
            self.refused("not_found", self.control.call, "Pools/" + method, {"name": "default#1"})
        self.kill(process, signal.SIGKILL)
        self.join(process)

    def test_process_that_cannot_start_says_why(self):
        poold = self.daemon({"py": python_pool("no_such_module", workers=0)})
        request = {"task": {"pool": "py", "function": {"name": "x"}}}
        error = self.refused("failed_precondition", poold.client().call, "Processes/Start", request)
        self.assertIn("no_such_module", error.message)

    def test_what_is_wrong_is_named(self):
        for task, code, word in (
            ({}, "invalid_argument", "work: "),
            ({"command": {"argv": ["true"]}, "attempts": 2}, "invalid_argument", "attempts"),
            ({"command": {"argv": ["true"]}, "delay": "1s"}, "invalid_argument", "delay"),
            ({"command": {"argv": ["true"]}, "pool": "default#1"}, "not_found", "pool: "),
        ):
            error = self.refused(code, self.control.call, "Processes/Start", {"task": task})
            self.assertIn(word, error.message)
        self.refused("not_found", self.control.call, "Processes/Join", {"id": "x"})
        task = self.control.submit(["true"])
        self.refused("not_found", self.control.call, "Processes/Join", {"id": task})

    def test_nobody_submits_to_the_pool_of_a_process(self):
        process = self.start("sleep", "1000")
        self.refused("not_found", self.control.submit, ["true"], pool="default#1")
        self.kill(process, signal.SIGKILL)
        self.join(process)


if __name__ == "__main__":
    harness.main()
