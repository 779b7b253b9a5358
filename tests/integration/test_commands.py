"""Commands as tasks: how they end, what they are given, what they print, and how they are cancelled."""

import base64
import os
import signal
import unittest

import harness
from control import eventually


class Endings(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon().wait_ready()
        self.control = self.here.client()

    def test_success(self):
        task = self.control.run(["true"], name="nothing", labels={"a": "b"}, priority=3)
        self.assertEqual(task["state"], "SUCCEEDED")
        self.assertEnded(task, "EXITED", exitCode=0)
        self.assertEqual((task["attempt"], task["name"], task["priority"], task["labels"]), (1, "nothing", 3, {"a": "b"}))
        self.assertEqual(task["pool"], "default")
        self.assertEqual(task["uid"], os.getuid())
        for time in ("submittedAt", "startedAt", "endedAt"):
            self.assertRegex(task[time], r"^20\d\d-.*Z$")

    def test_exit_code(self):
        for code in (1, 7, 255):
            task = self.control.run(["sh", "-c", f"exit {code}"])
            self.assertEqual(task["state"], "FAILED")
            self.assertEnded(task, "EXITED", exitCode=code)

    def test_signal_under_a_living_worker(self):
        before = self.control.workers()
        task = self.control.run(["sh", "-c", "kill -USR1 $$"])
        self.assertEqual(task["state"], "FAILED")
        self.assertEnded(task, "SIGNALED", signal=int(signal.SIGUSR1))
        self.assertEqual([w["pid"] for w in before], [w["pid"] for w in self.control.workers()])

    def test_program_that_does_not_exist(self):
        task = self.control.run(["/no/such/program"])
        self.assertEnded(task, "EXITED", exitCode=127)
        self.assertEqual(task["outcome"]["error"]["type"], "ENOENT")
        self.assertIn("/no/such/program", task["outcome"]["error"]["message"])

    def test_name_that_is_not_in_the_path(self):
        self.assertEnded(self.control.run(["no-such-program-anywhere"]), "EXITED", exitCode=127)

    def test_file_that_is_not_executable(self):
        task = self.control.run([str(self.here.config)])
        self.assertEnded(task, "EXITED", exitCode=126)
        self.assertEqual(task["outcome"]["error"]["type"], "EACCES")

    def test_file_that_is_no_program(self):
        file = self.here.directory / "garbage"
        file.write_text("\1\2\3", encoding="utf-8")
        file.chmod(0o755)
        task = self.control.run([str(file)])
        self.assertEnded(task, "EXITED", exitCode=126)
        self.assertEqual(task["outcome"]["error"]["type"], "ENOEXEC")

    def test_directory_as_program(self):
        self.assertEnded(self.control.run(["/etc"]), "EXITED", exitCode=126)

    def test_working_directory_that_does_not_exist(self):
        task = self.control.run(["true"], command={"cwd": "/no/such/directory"})
        self.assertEqual(task["state"], "FAILED")
        self.assertIn("/no/such/directory", task["outcome"]["error"]["message"])

    def test_usage_is_measured(self):
        burn = "import time\nwhile time.process_time() < 0.3: pass\nx = bytearray(50 << 20)"
        usage = self.control.run(["python3", "-c", burn])["outcome"]["usage"]
        self.assertGreaterEqual(float(usage["user"][:-1]) + float(usage["system"][:-1]), 0.25)
        self.assertGreaterEqual(float(usage["wall"][:-1]), 0.25)
        self.assertGreater(usage["maxRssKib"], 50 << 10)

    def test_attempts_are_repeated_where_asked(self):
        task = self.control.run(["false"], attempts=3)
        self.assertEqual((task["state"], task["attempt"], task["crashes"]), ("FAILED", 3, 0))
        self.assertEnded(task, "EXITED", exitCode=1)

    def test_own_failure_is_not_repeated_by_default(self):
        self.assertEqual(self.control.run(["false"])["attempt"], 1)


class Surroundings(harness.DaemonTest):
    """What a command finds when it starts."""

    def setUp(self):
        self.here = self.daemon({"default": {**harness.COMMANDS, "env": {"FROM_POOL": "p"}, "cwd": "/usr"}})
        self.control = self.here.client()

    def printed(self, argv, **command):
        task = self.control.run(argv, command=command)
        self.assertEqual(task["state"], "SUCCEEDED", task)
        return self.control.output(task["id"])[0].decode()

    def test_environment(self):
        text = self.printed(["env"], env={"FROM_TASK": "t", "SPACES": "a b"})
        values = dict(line.split("=", 1) for line in text.splitlines())
        self.assertEqual((values["FROM_POOL"], values["FROM_TASK"], values["SPACES"]), ("p", "t", "a b"))
        self.assertIn("PATH", values)
        self.assertEqual(values["POOLD_SOCKET"], self.here.socket, "a task that is a client is one of its own daemon")

    def test_working_directory(self):
        self.assertEqual(self.printed(["pwd"]), "/usr\n")
        self.assertEqual(self.printed(["pwd"], cwd="/etc"), "/etc\n")

    def test_arguments_arrive_unchanged(self):
        arguments = ["", "a b", "*", "$HOME", "'\"", "ä\n"]
        self.assertEqual(self.printed(["printf", "%s|", *arguments]), "".join(a + "|" for a in arguments))

    def test_arguments_that_are_not_utf8(self):
        argv = [base64.b64encode(part).decode() for part in (b"printf", b"%s", b"\xff\xfe")]
        task_id = self.control.call("Tasks/Submit", {"command": {"argvBytes": argv}})["id"]
        self.assertEqual(self.control.wait(task_id)[0]["state"], "SUCCEEDED")
        self.assertEqual(self.control.output(task_id)[0], b"\xff\xfe")

    def test_standard_input(self):
        self.assertEqual(self.printed(["readlink", "/proc/self/fd/0"]), "/dev/null\n")
        text = base64.b64encode(b"hello\n" * 50_000).decode()
        self.assertEqual(self.printed(["wc", "-c"], stdin=text).strip(), "300000")

    def test_standard_input_that_nobody_reads(self):
        text = base64.b64encode(b"x" * 1_000_000).decode()
        self.assertEqual(self.control.run(["true"], command={"stdin": text})["state"], "SUCCEEDED")

    def test_only_three_descriptors_are_open(self):
        self.assertEqual(self.printed(["sh", "-c", "ls /proc/$$/fd"]).split(), ["0", "1", "2"])

    def test_signals_are_as_they_should_be(self):
        status = self.printed(["cat", "/proc/self/status"])
        masks = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Sig"))
        self.assertEqual(int(masks["SigBlk"], 16), 0)
        self.assertEqual(int(masks["SigIgn"], 16), 0)

    def test_own_process_group_in_its_workers_session(self):
        fields = self.printed(["cat", "/proc/self/stat"]).rpartition(")")[2].split()
        parent, group, session = int(fields[1]), int(fields[2]), int(fields[3])
        self.assertIn(parent, [w["pid"] for w in self.control.workers()])
        self.assertEqual(session, parent)
        self.assertNotEqual(group, session)


class Output(harness.DaemonTest):
    def setUp(self):
        self.control = self.daemon({"default": {**harness.COMMANDS, "log_size": "1MiB"}}).client()

    def test_streams_are_kept_apart_and_in_order(self):
        task = self.control.run(["sh", "-c", "for i in $(seq 3000); do echo out $i; echo err $i >&2; done"])
        out, err = self.control.output(task["id"])
        self.assertEqual(out.decode().splitlines(), [f"out {i}" for i in range(1, 3001)])
        self.assertEqual(err.decode().splitlines(), [f"err {i}" for i in range(1, 3001)])

    def test_silent_command_has_an_empty_log(self):
        task = self.control.run(["true"])
        answer = self.control.call("Tasks/Logs", {"id": task["id"]})
        self.assertEqual((answer["chunks"], answer["complete"], answer["attempt"]), ([], True, 1))

    def test_bytes_of_every_value(self):
        task = self.control.run(["sh", "-c", "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %o $i)\"; i=$((i+1)); done"])
        self.assertEqual(self.control.output(task["id"])[0], bytes(range(256)))

    def test_long_output_keeps_its_first_and_last_part(self):
        task = self.control.run(["seq", "1000000"])
        out, _ = self.control.output(task["id"])
        self.assertEqual(task["state"], "SUCCEEDED")
        self.assertLess(len(out), 1 << 20)
        self.assertGreater(len(out), 500_000)
        self.assertTrue(out.startswith(b"1\n2\n3\n"))
        self.assertTrue(out.endswith(b"999999\n1000000\n"))

    def test_each_attempt_has_its_own_log(self):
        flag = f"/tmp/poold-test-{os.getpid()}-{id(self)}"
        self.addCleanup(lambda: os.path.exists(flag) and os.unlink(flag))
        task = self.control.run(["sh", "-c", f"test -e {flag} && echo second && exit 0; touch {flag}; echo first; exit 1"], attempts=2)
        self.assertEqual((task["state"], task["attempt"]), ("SUCCEEDED", 2))
        self.assertEqual(self.control.output(task["id"], 1)[0], b"first\n")
        self.assertEqual(self.control.output(task["id"], 2)[0], b"second\n")
        self.assertEqual(self.control.output(task["id"])[0], b"second\n")

    def test_what_a_left_behind_child_holds_open_does_not_delay_the_end(self):
        task = self.control.run(["sh", "-c", "echo done; sleep 100 & exit 0"])
        self.assertEnded(task, "EXITED", exitCode=0)
        self.assertEqual(self.control.output(task["id"])[0], b"done\n")
        self.assertEqual(self.control.run(["echo", "next"])["state"], "SUCCEEDED")


class Cancelling(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": {"kind": "command", "workers": 1, "grace": "300ms"}})
        self.control = self.here.client()

    def running(self, argv):
        task_id = self.control.submit(argv)
        eventually(lambda: self.control.task(task_id)["state"] == "RUNNING", what="the task runs")
        return task_id

    def test_queued_task_ends_at_once(self):
        self.running(["sleep", "100"])
        queued = self.control.submit(["true"])
        self.assertEqual(self.control.call("Tasks/Cancel", {"id": queued})["ids"], [queued])
        task = self.control.task(queued)
        self.assertEqual((task["state"], task["attempt"]), ("CANCELLED", 0))

    def test_running_task_is_asked_with_sigterm(self):
        # RUNNING means that a worker has it; only its output says that it has begun.
        task_id = self.running(["sh", "-c", "echo ready; exec sleep 100"])
        eventually(lambda: self.control.call("Tasks/Logs", {"id": task_id})["chunks"], what="it has begun")
        self.control.call("Tasks/Cancel", {"id": task_id})
        task = self.control.wait(task_id)[0]
        self.assertEqual(task["state"], "CANCELLED")
        self.assertEnded(task, "CANCELLED", signal=int(signal.SIGTERM))

    def test_task_that_ignores_sigterm_is_killed_after_the_grace(self):
        task_id = self.running(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 100; done"])
        eventually(lambda: self.control.call("Tasks/Logs", {"id": task_id})["chunks"], what="the trap is set")
        self.control.call("Tasks/Cancel", {"id": task_id})
        task = self.control.wait(task_id)[0]
        self.assertEnded(task, "CANCELLED", signal=int(signal.SIGKILL))

    def test_cancel_decides_even_if_the_command_then_succeeds(self):
        task_id = self.running(["sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done"])
        eventually(lambda: self.control.call("Tasks/Logs", {"id": task_id})["chunks"], what="the trap is set")
        self.control.call("Tasks/Cancel", {"id": task_id})
        self.assertEnded(self.control.wait(task_id)[0], "CANCELLED", exitCode=0)

    def test_ended_task_stays_as_it_is(self):
        task = self.control.run(["true"])
        self.assertEqual(self.control.call("Tasks/Cancel", {"id": task["id"]})["ids"], [])
        self.assertEqual(self.control.task(task["id"])["state"], "SUCCEEDED")

    def test_selector(self):
        self.running(["sleep", "100"])
        wanted = [self.control.submit(["true"], labels={"batch": "x"}) for _ in range(3)]
        other = self.control.submit(["true"], labels={"batch": "y"})
        asked = self.control.call("Tasks/Cancel", {"selector": {"labels": {"batch": "x"}}})["ids"]
        self.assertEqual(sorted(asked), sorted(wanted))
        self.assertEqual(self.control.task(other)["state"], "QUEUED")

    def test_signal_is_delivered_to_the_group(self):
        task_id = self.running(["sh", "-c", "trap 'echo got; exit 3' USR1; echo ready; while :; do sleep 0.01; done"])
        eventually(lambda: self.control.call("Tasks/Logs", {"id": task_id})["chunks"], what="the trap is set")
        self.control.call("Tasks/Signal", {"id": task_id, "signal": int(signal.SIGUSR1)})
        self.assertEnded(self.control.wait(task_id)[0], "EXITED", exitCode=3)
        self.assertTrue(self.control.output(task_id)[0].endswith(b"got\n"))

    def test_signal_to_a_task_that_does_not_run(self):
        task = self.control.run(["true"])
        self.refused("failed_precondition", self.control.call, "Tasks/Signal", {"id": task["id"], "signal": 15})


class Order(harness.DaemonTest):
    def test_priority_first_then_submission(self):
        control = self.daemon({"default": {"kind": "command", "workers": 1}}).client()
        log = f"/tmp/poold-order-{os.getpid()}"
        self.addCleanup(lambda: os.path.exists(log) and os.unlink(log))
        control.call("Pools/Pause", {"name": "default"})
        jobs = [("a", 0), ("b", 0), ("c", 5), ("d", -1), ("e", 5)]
        ids = [control.submit(["sh", "-c", f"echo {name} >> {log}"], priority=priority) for name, priority in jobs]
        control.call("Pools/Resume", {"name": "default"})
        control.wait(*ids)
        with open(log, encoding="utf-8") as file:
            self.assertEqual(file.read().split(), ["c", "e", "a", "b", "d"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
