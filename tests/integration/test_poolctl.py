"""poolctl against a real daemon: verbs, exit codes, what goes to stdout and what to stderr."""

import json
import signal
import subprocess
import unittest

import harness
import processes
from control import eventually

ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\n$"


class PoolctlTest(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": harness.COMMANDS, "math": harness.FUNCTIONS}).wait_ready()
        self.control = self.here.client()

    def poolctl(self, *arguments, expect=0, **options):
        ended = self.here.poolctl(*arguments, **options)
        self.assertEqual(ended.returncode, expect, f"{arguments}\n{ended.stdout}\n{ended.stderr}")
        return ended


class Run(PoolctlTest):
    def test_exit_codes(self):
        for code in (0, 1, 7, 42, 255):
            self.poolctl("run", "--", "sh", "-c", f"exit {code}", expect=code)
        self.poolctl("run", "--", "sh", "-c", "kill -TERM $$", expect=128 + 15)
        self.poolctl("run", "--", "sh", "-c", "kill -KILL $$", expect=128 + 9)
        self.assertIn("/no/such/program", self.poolctl("run", "--", "/no/such/program", expect=127).stderr)
        self.assertIn(str(self.here.config), self.poolctl("run", "--", self.here.config, expect=126).stderr)
        self.poolctl("run", "--pool", "nowhere", "--", "true", expect=125)

    def test_time_limit(self):
        ended = self.poolctl("run", "--timeout", "100ms", "--", "sleep", "100", expect=124)
        self.assertIn("timed out", ended.stderr)
        ended = self.poolctl("run", "--timeout", "100ms", "--", "sh", "-c", "trap 'exit 0' TERM; sleep 100 & wait", expect=124)
        self.assertIn("timed out", ended.stderr)
        ended = self.poolctl("run", "--pool", "math", "--timeout", "100ms", "--function", "sleep_ms", "60000", expect=1)
        self.assertIn("timed out", ended.stderr)

    def test_output_is_complete_and_in_order_per_stream(self):
        ended = self.poolctl("run", "--", "sh", "-c", "for i in $(seq 20000); do echo o$i; echo e$i >&2; done")
        self.assertEqual(ended.stdout.splitlines(), [f"o{i}" for i in range(1, 20001)])
        self.assertEqual(ended.stderr.splitlines(), [f"e{i}" for i in range(1, 20001)])

    def test_output_arrives_while_the_command_runs(self):
        # Not `echo first; sleep 60`: dash catches SIGINT, and forgets one that comes just before it becomes the sleep.
        line = self.here.poolctl_line("run", "--", "sh", "-c", "sleep 60 & echo first; wait")
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.here.poolctl_environment())
        self.assertEqual(process.stdout.readline(), b"first\n")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20 * harness.PATIENCE), 130)
        process.stdout.close()

    def test_bytes_are_passed_through(self):
        ended = self.poolctl("run", "--", "head", "-c", "3000000", "/dev/zero", text=False)
        self.assertEqual(ended.stdout, bytes(3_000_000))

    def test_interrupt_is_forwarded(self):
        script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.01; done"
        process = subprocess.Popen(self.here.poolctl_line("run", "--", "sh", "-c", script), stdout=subprocess.PIPE,
                                   env=self.here.poolctl_environment())
        self.assertEqual(process.stdout.readline(), b"ready\n")
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20 * harness.PATIENCE)
        self.assertEqual((rest, process.returncode), (b"caught\n", 9))

    def test_standard_input_from_a_file(self):
        file = self.here.directory / "in"
        file.write_text("hello", encoding="utf-8")
        self.assertEqual(self.poolctl("run", "--stdin", file, "--", "cat").stdout, "hello")

    def test_options(self):
        ended = self.poolctl("run", "--name", "n", "--label", "a=b", "--env", "X=1", "--cwd", "/etc", "--", "sh", "-c", "echo $X; pwd")
        self.assertEqual(ended.stdout, "1\n/etc\n")
        task = self.control.call("Tasks/List")["tasks"][0]
        self.assertEqual((task["name"], task["labels"]), ("n", {"a": "b"}))

    def test_functions(self):
        self.assertEqual(json.loads(self.poolctl("run", "--pool", "math", "--function", "add", "2", "3").stdout), 5)
        self.assertEqual(json.loads(self.poolctl("run", "--pool", "math", "--function", "echo", '{"a": [1]}').stdout), {"a": [1]})
        self.assertEqual(json.loads(self.poolctl("run", "--pool", "math", "--function", "echo", "text").stdout), "text")
        ended = self.poolctl("run", "--pool", "math", "--function", "raise", "oh dear", expect=1)
        self.assertIn("oh dear", ended.stderr)
        self.assertEqual(ended.stdout, "")
        self.poolctl("run", "--pool", "math", "--function", "crash", expect=1)

    def test_one_gigabyte_in_one_line_does_not_grow_daemon_or_worker(self):
        size = 1 << (24 if harness.SANITIZED else 30)
        command = f"head -c {size} /dev/zero | tr '\\0' x"
        process = subprocess.Popen(self.here.poolctl_line("run", "--", "sh", "-c", command), stdout=subprocess.PIPE,
                                   env=self.here.poolctl_environment())
        family = [self.here.pid, self.here.engine().pid, *(w.pid for w in self.here.worker_processes())]
        before = {pid: processes.resident_kib(pid) for pid in family}
        grown, count = 0, 0
        while data := process.stdout.read(1 << 20):
            count += len(data)
            if (count >> 20) % 16 == 0:
                grown = max(grown, *(processes.resident_kib(pid) - before[pid] for pid in family))
        process.stdout.close()
        self.assertEqual(process.wait(60), 0)
        self.assertGreaterEqual(count, min(size, 60 << 20))  # the log keeps 64 MiB; who reads along may see more
        # AddressSanitizer alone keeps up to 256 MiB of what was freed.
        self.assertLess(grown, ((256 if harness.SANITIZED else 0) + 24) << 10)


class Tasks(PoolctlTest):
    def submit(self, *arguments):
        ended = self.poolctl("submit", *arguments)
        self.assertRegex(ended.stdout, ID)
        return ended.stdout.strip()

    def test_submit_wait_show_logs(self):
        task_id = self.submit("--name", "job", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
        self.poolctl("wait", task_id, expect=3)
        self.assertIn("job", self.poolctl("show", task_id).stdout)
        logs = self.poolctl("logs", task_id)
        self.assertIn("out\n", logs.stdout)
        self.assertIn("err\n", logs.stdout + logs.stderr)

    def test_json_is_the_protocols(self):
        task_id = self.submit("--", "true")
        self.poolctl("wait", task_id)
        shown = json.loads(self.poolctl("show", "--json", task_id).stdout)
        self.assertIn(self.control.task(task_id), (shown, shown.get("task"), (shown.get("tasks") or [None])[0]))
        self.assertEqual(json.loads(self.poolctl("pool", "ls", "--json").stdout), self.control.call("Pools/List"))
        self.assertEqual(json.loads(self.poolctl("worker", "ls", "--json").stdout), self.control.call("Workers/List"))
        self.assertEqual(json.loads(self.poolctl("daemon", "info", "--json").stdout), self.control.info())

    def test_ndjson(self):
        ids = [self.submit("--", "true") for _ in range(3)]
        self.poolctl("wait", *ids)
        lines = self.poolctl("ps", "--state", "succeeded", "-o", "ndjson").stdout.splitlines()
        self.assertEqual({json.loads(line)["id"] for line in lines}, set(ids))

    def test_ps(self):
        waiting = self.submit("--name", "sleeper", "--", "sleep", "60")
        text = self.poolctl("ps").stdout
        self.assertIn("sleeper", text)
        self.assertEqual(self.poolctl().stdout.splitlines()[0], text.splitlines()[0])
        self.assertNotIn("sleeper", self.poolctl("ps", "--pool", "math").stdout)
        self.poolctl("cancel", waiting)
        self.assertIn("sleeper", self.poolctl("ps", "--state", "CANCELLED").stdout)

    def test_cancel_waits_for_the_end(self):
        task_id = self.submit("--", "sleep", "60")
        self.poolctl("cancel", task_id)
        self.assertEqual(self.control.task(task_id)["state"], "CANCELLED")

    def test_cancel_by_selector(self):
        for _ in range(4):
            self.submit("--label", "batch=1", "--", "sleep", "60")
        self.poolctl("cancel", "--label", "batch=1")
        states = [t["state"] for t in self.control.call("Tasks/List", {"selector": {"labels": {"batch": "1"}}})["tasks"]]
        self.assertEqual(states, ["CANCELLED"] * 4)

    def test_kill(self):
        task_id = self.submit("--", "sleep", "60")
        eventually(lambda: self.control.task(task_id)["state"] == "RUNNING", what="it runs")
        eventually(lambda: any(p.name == "sleep" for p in processes.descendants(self.here.pid)), what="it sleeps")
        self.poolctl("kill", "-s", "USR1", task_id)
        self.poolctl("wait", task_id, expect=128 + int(signal.SIGUSR1))

    def test_wait_reports_the_first_failure_in_argument_order(self):
        ids = [self.submit("--", "sh", "-c", f"exit {code}") for code in (0, 5, 6)]
        self.poolctl("wait", *ids, expect=5)
        self.poolctl("wait", ids[2], ids[1], expect=6)
        self.poolctl("wait", ids[0])

    def test_wait_times_out(self):
        task_id = self.submit("--", "sleep", "60")
        self.poolctl("wait", "--timeout", "0.1s", task_id, expect=124)
        self.poolctl("cancel", task_id)

    def test_follow_logs(self):
        task_id = self.submit("--", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done")
        self.assertEqual(self.poolctl("logs", "-f", task_id).stdout, "1\n2\n3\n")

    def test_key(self):
        first = self.submit("--key", "k", "--", "true")
        self.assertEqual(self.submit("--key", "k", "--", "true"), first)
        self.poolctl("submit", "--key", "k", "--", "false", expect=6)

    def test_api(self):
        self.assertEqual(json.loads(self.poolctl("api", "Pools/List").stdout), self.control.call("Pools/List"))
        answer = self.poolctl("api", "Tasks/Submit", '{"command": {"argv": ["true"]}}')
        self.assertIn("id", json.loads(answer.stdout))


if __name__ == "__main__":
    unittest.main(verbosity=2)
