"""poolctl's events and colours against a real daemon."""

import json
import os
import pty
import re
import select
import signal
import subprocess

import harness

LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)  (\S{36})  (\S+) +([A-Z]+)(?: +attempt (\d+))?(?:  ([A-Z_]+))?")


class Lines:
    """The lines of a pipe, and whether there is one."""

    def __init__(self, pipe):
        self.fd = pipe.fileno()
        self.bytes = b""

    def ready(self, seconds):
        if b"\n" not in self.bytes and select.select([self.fd], [], [], seconds)[0]:
            self._read()
        return b"\n" in self.bytes

    def next(self):
        while b"\n" not in self.bytes:
            if not select.select([self.fd], [], [], 20 * harness.PATIENCE)[0]:
                raise AssertionError("no further line")
            self._read()
        line, _, self.bytes = self.bytes.partition(b"\n")
        return line.decode()

    def _read(self):
        more = os.read(self.fd, 65536)
        if not more:
            raise AssertionError("the pipe has ended")
        self.bytes += more


class Events(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": harness.COMMANDS, "math": harness.FUNCTIONS}).wait_ready()
        self.control = self.here.client()

    def begin(self, *arguments):
        process = subprocess.Popen(self.here.poolctl_line("events", *arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.here.poolctl_environment())
        self.addCleanup(self.end, process)
        process.lines = Lines(process.stdout)
        return process

    @staticmethod
    def end(process):
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()

    def until_listening(self, process):
        """Runs tasks until it has told of the end of one: those before came too early for it."""
        while True:
            task_id = self.control.run(["true"])["id"]
            while process.lines.ready(0.05):
                line = process.lines.next()
                if task_id in line and "SUCCEEDED" in line:
                    return

    def lines_of(self, process, task_id, count):
        """The next lines about this task."""
        found = []
        while len(found) < count:
            line = process.lines.next()
            if task_id in line:
                found.append(line)
        return found

    def test_a_line_for_each_change(self):
        process = self.begin()
        self.until_listening(process)
        task_id = self.control.run(["sh", "-c", "exit 3"])["id"]
        changes = [LINE.fullmatch(line).groups()[2:] for line in self.lines_of(process, task_id, 3)]
        self.assertEqual(changes, [("default", "QUEUED", None, None), ("default", "RUNNING", "1", None), ("default", "FAILED", "1", "EXITED")])
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20 * harness.PATIENCE), -signal.SIGINT)

    def test_the_protocols_own_objects(self):
        process = self.begin("-o", "ndjson")
        self.until_listening(process)
        task_id = self.control.run(["true"])["id"]
        events = [json.loads(line) for line in self.lines_of(process, task_id, 3)]
        self.assertEqual([event["state"] for event in events], ["QUEUED", "RUNNING", "SUCCEEDED"])
        self.assertEqual((events[2]["pool"], events[2]["attempt"], events[2]["outcome"]), ("default", 1, "EXITED"))

    def test_filters(self):
        process = self.begin("--state", "succeeded,failed", "--pool", "default", "-o", "ndjson")
        self.until_listening(process)
        self.control.run(pool="math", function="noop")
        first = self.control.run(["true"])["id"]
        second = self.control.run(["false"])["id"]
        events = [json.loads(process.lines.next()) for _ in range(2)]
        self.assertEqual([(event["id"], event["state"]) for event in events], [(first, "SUCCEEDED"), (second, "FAILED")])

    def test_since_begins_with_what_has_ended(self):
        before = [self.control.run(["true"])["id"], self.control.run(["false"])["id"]]
        process = self.begin("--since", "1h", "-o", "ndjson")
        events = [json.loads(process.lines.next()) for _ in before]
        self.assertEqual([(event["id"], event["state"], event["outcome"]) for event in events],
                         [(before[0], "SUCCEEDED", "EXITED"), (before[1], "FAILED", "EXITED")])
        # What it printed says that it listens.
        task_id = self.control.run(["true"])["id"]
        self.assertEqual([json.loads(line)["state"] for line in self.lines_of(process, task_id, 3)], ["QUEUED", "RUNNING", "SUCCEEDED"])

    def test_since_leaves_out_what_is_older(self):
        old = self.control.run(["true"])
        new = self.control.run(["true"])
        process = self.begin("--since", new["endedAt"])
        lines = process.lines.next()
        self.assertIn(new["id"], lines)
        self.assertNotIn(old["id"], lines)

    def test_wrong_words(self):
        for arguments, what in ((("--state", "ended"), "ended"), (("--since", "yesterday"), "yesterday")):
            ended = self.here.poolctl("events", *arguments)
            self.assertEqual(ended.returncode, 2)
            self.assertIn(what, ended.stderr)

    def test_it_ends_with_the_daemon(self):
        process = self.begin("--reconnect", "0")
        self.until_listening(process)
        self.here.stop()
        self.assertIn(process.wait(20 * harness.PATIENCE), (0, 75))


class Colours(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": harness.COMMANDS}).wait_ready()
        self.here.client().run(["false"])

    def terminal(self, *arguments, **environment):
        """What poolctl writes to a terminal."""
        master, slave = pty.openpty()
        all_variables = {**self.here.poolctl_environment(), "TERM": "xterm", **environment}
        if environment.get("NO_COLOR") is None:
            all_variables.pop("NO_COLOR")
        process = subprocess.Popen(self.here.poolctl_line(*arguments), stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                                   env={key: value for key, value in all_variables.items() if value is not None})
        os.close(slave)
        text = b""
        while True:
            try:
                text += os.read(master, 4096)
            except OSError:  # the other end is closed
                break
        os.close(master)
        self.assertEqual(process.wait(20 * harness.PATIENCE), 0)
        return text

    def test_only_on_a_terminal(self):
        for verb in (("ps", "--all"), ("pool", "ls"), ("show", self.here.client().call("Tasks/List")["tasks"][0]["id"])):
            self.assertIn(b"\x1b[", self.terminal(*verb), verb)
            self.assertNotIn("\x1b", self.here.poolctl(*verb).stdout)

    def test_no_color(self):
        self.assertNotIn(b"\x1b", self.terminal("ps", "--all", NO_COLOR="1"))
        self.assertIn(b"\x1b", self.terminal("ps", "--all", NO_COLOR=""))
        self.assertNotIn(b"\x1b", self.terminal("ps", "--all", TERM="dumb"))

    def test_the_option_decides(self):
        self.assertNotIn(b"\x1b", self.terminal("--color", "never", "ps", "--all"))
        self.assertIn(b"\x1b[31mFAILED", self.terminal("ps", "--all", "--color=always", NO_COLOR="1"))
        self.assertIn("\x1b[31mFAILED", self.here.poolctl("ps", "--all", "--color", "always").stdout)
        self.assertNotIn("\x1b", self.here.poolctl("ps", "--all", "--color", "auto").stdout)
        ended = self.here.poolctl("ps", "--color", "sometimes")
        self.assertEqual(ended.returncode, 2)
        self.assertIn("sometimes", ended.stderr)


if __name__ == "__main__":
    harness.main()
