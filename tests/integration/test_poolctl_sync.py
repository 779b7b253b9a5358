"""poolctl process, queue, semaphore, and pools of templates: what people type, and what they get."""

import json
import os

import harness
from control import eventually

TEMPLATES = {"small": {"kind": "function", "plugin": "libpoold_examples.so", "workers": 2}}


class Verbs(harness.DaemonTest):
    def setUp(self):
        self.poold = self.daemon(templates=TEMPLATES)

    def ok(self, *arguments, **options):
        ended = self.poold.poolctl(*arguments, **options)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), arguments)
        return ended.stdout

    def fails(self, code, word, *arguments):
        ended = self.poold.poolctl(*arguments)
        self.assertEqual(ended.returncode, code, ended.stderr)
        self.assertIn(word, ended.stderr)

    def test_process(self):
        process = self.ok("process", "start", "--name", "nap", "--", "sleep", "1000").strip()
        self.assertIn("nap", self.ok("process", "ls"))
        self.assertEqual(json.loads(self.ok("process", "ls", "--json"))["processes"][0]["id"], process)
        self.fails(124, "", "process", "join", process, "--timeout", "10ms")
        self.ok("process", "kill", "-s", "USR1", process)
        self.fails(128 + 10, "signal 10", "process", "join", process)
        self.assertNotIn("nap", self.ok("process", "ls"))
        self.assertIn("-10", self.ok("process", "ls", "--ended"))
        self.fails(6, "has ended", "process", "kill", process)
        self.fails(3, "no process 'x'", "process", "join", "x")
        self.fails(2, "what is to run", "process", "start")
        self.fails(2, "did you mean start", "process", "strat", "true")

    def test_exit_code_of_a_process(self):
        process = self.ok("process", "start", "sh", "-c", "exit 3").strip()
        self.fails(3, "exited with 3", "process", "join", process)

    def test_queue(self):
        self.ok("queue", "create", "q", "--length", "2")
        self.ok("queue", "put", "q", "one", "two")
        self.fails(124, "is full: 0 of 1", "queue", "put", "q", "three", "--timeout", "0s")
        self.assertIn("q", self.ok("queue", "ls"))
        self.assertEqual(self.ok("queue", "get", "q"), "one\n")
        self.assertEqual(self.ok("queue", "get", "q", "--raw", "-n", "5"), "two")
        self.fails(124, "", "queue", "get", "q", "--timeout", "0s")
        self.ok("queue", "rm", "q")
        self.fails(3, "no queue 'q'", "queue", "get", "q")
        self.assertTrue(self.ok("queue", "create").startswith("queue-"))

    def test_semaphore(self):
        self.ok("semaphore", "create", "s", "--permits", "1", "--max", "1")
        control = self.poold.client()
        control.call("Semaphores/Acquire", {"semaphore": "s"})
        self.assertIn(str(os.getpid()), self.ok("semaphore", "ls"))
        self.ok("semaphore", "release", "s")
        self.fails(6, "released too often", "semaphore", "release", "s")
        self.ok("semaphore", "rm", "s")

    def test_pool_of_a_template(self):
        name = self.ok("pool", "create", "small", "--workers", "1").strip()
        self.assertEqual(self.ok("run", "--pool", name, "--function", "add", "1", "2"), "3\n")
        self.ok("pool", "rm", name)
        eventually(lambda: name not in self.ok("pool", "ls"), 20 * harness.PATIENCE)
        self.fails(6, "the configuration's", "pool", "rm", "default")
        self.fails(3, "no template", "pool", "create", "smal")


if __name__ == "__main__":
    harness.main()
