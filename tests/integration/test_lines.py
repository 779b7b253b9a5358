"""Pools with `protocol: lines`: the examples as they are shipped, and programs that do what none should. Each has its outcome, and the pool goes on."""

import pathlib
import shutil
import signal
import unittest

import harness
import processes
from control import eventually
from python_pool import Fifo

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "client" / "examples"
LINE_MAX = 16 << 20

# Answers with what the function's first argument says, evaluated by the shell. $ids are those of the task, $line the whole line.
PROGRAM = r"""#!/bin/sh
ok() { echo "{\"result\": {$ids, \"outcome\": {\"kind\": \"RETURNED\", \"value\": ${1:-null}}}}"; }
echo "noise before the first task" >&2
echo '{"hello": {"agent": "test"}}'
while IFS= read -r line; do
  case $line in '{"task":'*) ;; *) continue ;; esac
  ids=$(expr "$line" : '{"task":{\("task":"[0-9]*","attempt":[0-9]*\)')
  eval "$(expr "$line" : '.*"args":\["\([^"]*\)"')"
done
"""

# Returns its argument, however long that is.
SED = r"""echo '{"hello": {}}'
exec stdbuf -oL sed -n 's/^{"task":{\("task":"[0-9]*","attempt":[0-9]*\).*"args":\[\(.*\)\]}}}}$/{"result":{\1,"outcome":{"kind":"RETURNED","value":\2}}}/p'"""


def lines_pool(*program, workers=1, **settings):
    return {"kind": "function", "protocol": "lines", "program": [str(word) for word in program], "workers": workers, **settings}


class LinesTest(harness.DaemonTest):
    settings = {}

    def setUp(self):
        self.here = self.daemon(start=False)
        self.program = self.here.directory / "program.sh"
        self.write(PROGRAM)
        self.here.configure({"sh": lines_pool(self.program, **self.settings)})
        self.here.start().wait_ready()
        self.control = self.here.client()

    def write(self, text):
        self.program.write_text(text, encoding="utf-8")
        self.program.chmod(0o755)

    def submit(self, shell, **spec):
        return self.control.submit(function="any", args=[shell], pool="sh", **spec)

    def call(self, shell, **spec):
        return self.control.wait(self.submit(shell, **spec))[0]

    def pid(self):
        return self.control.workers("sh")[0]["pid"]

    def assertGoesOn(self, pid=None):
        self.assertEnded(self.call("ok 42"), "RETURNED", value=42)
        if pid:
            self.assertEqual(self.pid(), pid)

    def assertError(self, task, kind, error_type, *words):
        self.assertEnded(task, kind)
        self.assertEqual(task["outcome"]["error"]["type"], error_type, task)
        for word in words:
            self.assertIn(word, task["outcome"]["error"]["message"])


class Examples(harness.DaemonTest):
    def pool(self, *program):
        self.control = self.daemon({"any": lines_pool(*program)}).wait_ready().client()

    def call(self, name, *args):
        return self.control.wait(self.control.submit(function=name, args=args, pool="any"))[0]

    def test_shell(self):
        self.pool(EXAMPLES / "worker.sh")
        size = (EXAMPLES / "worker.sh").stat().st_size
        self.assertEnded(self.call("size", str(EXAMPLES / "worker.sh")), "RETURNED", value=size)
        self.assertEnded(self.call("no_such"), "REJECTED")
        missing = self.call("size", "/no/such/file")
        self.assertEnded(missing, "RAISED")
        self.assertIn(b"/no/such/file", self.control.output(missing["id"])[1])

    @unittest.skipUnless(shutil.which("node"), "there is no node")
    def test_node(self):
        self.pool(EXAMPLES / "worker.js")
        self.assertEnded(self.call("upper", "grüße \u2028 <&>"), "RETURNED", value="GRÜSSE \u2028 <&>")
        self.assertEnded(self.call("sum", 1, 2.5, 3), "RETURNED", value=6.5)
        self.assertEnded(self.call("no_such"), "REJECTED")
        waiting = self.control.submit(function="wait", pool="any")
        eventually(lambda: self.control.task(waiting)["state"] == "RUNNING", 20 * harness.PATIENCE)
        pid = self.control.workers("any")[0]["pid"]
        self.control.call("Tasks/Cancel", {"id": waiting})
        self.assertEnded(self.control.wait(waiting)[0], "CANCELLED")
        self.assertEnded(self.call("sum", 1), "RETURNED", value=1)
        self.assertEqual(self.control.workers("any")[0]["pid"], pid)

    @unittest.skipUnless(shutil.which("perl"), "there is no perl")
    def test_perl(self):
        self.pool("perl", EXAMPLES / "worker.pl")
        self.assertEnded(self.call("count_words", "a b a", "B"), "RETURNED", value={"a": 2, "b": 2})
        self.assertEnded(self.call("reverse", "xyz"), "RETURNED", value="zyx")
        self.assertEnded(self.call("no_such"), "REJECTED")
        self.assertEnded(self.call("reverse"), "RETURNED")


class Answers(LinesTest):
    def test_values(self):
        pid = self.pid()
        for text, value in (("null", None), ("1.5", 1.5), ("true", True), ("[]", []), ("[1,[2]]", [1, [2]]), ("{}", {})):
            self.assertEnded(self.call(f"ok {text}"), "RETURNED", value=value)
        self.assertEnded(self.call("ok | sed s/,.value.:.null//"), "RETURNED", value=None)
        self.assertGoesOn(pid)

    def test_many_tasks_come_one_at_a_time_and_in_order(self):
        pid = self.pid()
        for task in self.control.wait(*[self.submit("ok 7") for _ in range(300)]):
            self.assertEnded(task, "RETURNED", value=7)
        self.assertGoesOn(pid)

    def test_bytes(self):
        pool = lines_pool("/bin/sh", "-c", SED.replace('"value":', '"payload":'))
        control = self.daemon({"cat": pool}).client()
        payload = {"contentType": "text/plain", "data": "aGk="}
        self.assertEnded(control.wait(control.submit(function="any", args=[payload], pool="cat"))[0], "RETURNED", payload={**payload, "sharedSize": "0"})

    def test_second_answer_to_a_task_is_dropped(self):
        pid = self.pid()
        self.assertEnded(self.call("ok 1; ok 2"), "RETURNED", value=1)
        self.assertGoesOn(pid)
        self.assertIn("answered a task twice", self.here.log())

    def test_a_large_task_and_a_large_answer(self):
        text = "x" * 3_000_000
        control = self.daemon({"cat": lines_pool("/bin/sh", "-c", SED)}).client()
        self.assertEnded(control.wait(control.submit(function="any", args=[text], pool="cat"))[0], "RETURNED", value=text)


class Errors(LinesTest):
    def test_stderr_is_the_tasks_log(self):
        task = self.call("echo one >&2; echo two >&2; ok")
        self.assertEqual(self.control.output(task["id"]), (b"", b"one\ntwo\n"))
        quiet = self.call("ok")
        self.assertEqual(self.control.output(quiet["id"]), (b"", b""))
        self.assertIn("noise before the first task", self.here.log())


class Rubbish(LinesTest):
    def assertReplaced(self, shell, *words):
        pid = self.pid()
        behind = None
        task_id = self.submit(shell)
        behind = [self.submit("ok 7") for _ in range(5)]
        self.assertError(self.control.wait(task_id)[0], "RAISED", "ProtocolError", *words)
        for task in self.control.wait(*behind):  # none of them is charged for it
            self.assertEnded(task, "RETURNED", value=7)
            self.assertEqual(task["crashes"], 0)
        self.assertGoesOn()
        self.assertNotEqual(self.pid(), pid)

    def test_a_line_that_is_no_json(self):
        self.assertReplaced("echo hello there; ok", "it printed 'hello there': not JSON at byte")

    def test_a_blank_line(self):
        self.assertReplaced("echo; ok", "not JSON")

    def test_json_that_is_no_message(self):
        self.assertReplaced("echo 5", "it printed '5'")
        self.assertReplaced("echo {}", "neither hello, result nor progress")

    def test_a_task_that_it_was_not_given(self):
        self.assertReplaced("ids=${ids%%,*}; ok", "is no task that it was given")

    def test_an_outcome_that_a_function_does_not_have(self):
        self.assertReplaced("ok 1 | sed s/RETURNED/EXITED/", "expected RETURNED, RAISED, REJECTED or CANCELLED; got 'EXITED'")
        self.assertReplaced("ok 1 | sed s/RETURNED/GREAT/", "GREAT")

    def test_an_integer_that_would_be_rounded(self):
        self.assertReplaced("ok 9007199254740993", "result.outcome.value", "would be rounded")

    def test_a_line_without_end(self):
        self.assertReplaced(f"head -c {LINE_MAX + 1} /dev/zero | tr -c x x", f"a line of more than {LINE_MAX} bytes")

    def test_a_second_hello(self):
        self.assertReplaced("echo $line >/dev/null; sed -n /agent/p $0 | sh", "it said hello twice")

    def test_rubbish_while_it_idles_costs_nobody_anything(self):
        begun = Fifo(self.here, "begun")
        pid = self.pid()
        self.assertEnded(self.call(f"ok 1; (read x < {begun.path}; echo rubbish) & "), "RETURNED", value=1)
        begun.write("go\n")
        eventually(lambda: self.pid() not in (0, pid), 20 * harness.PATIENCE, "it is replaced")
        self.assertGoesOn()


class Deaths(LinesTest):
    settings = {"grace": "200ms"}

    def test_exit_with_and_without_an_error(self):
        self.assertEnded(self.call("exit 3", crashAttempts=2), "WORKER_LOST", exitCode=3)
        self.assertEnded(self.call("exit 0", crashAttempts=1), "WORKER_LOST", exitCode=0)
        self.assertGoesOn()

    def test_killed_by_a_signal(self):
        for name in ("KILL", "TERM", "SEGV"):
            self.assertEnded(self.call(f"kill -{name} $$", crashAttempts=1), "WORKER_LOST", signal=int(signal.Signals["SIG" + name]))
        self.assertGoesOn()

    def test_what_it_said_before_its_end_counts(self):
        self.assertEnded(self.call("ok 5; exit 1", crashAttempts=1), "RETURNED", value=5)
        self.assertGoesOn()

    def test_closed_output(self):
        self.assertEnded(self.call("exec >&-; exec sleep 600", crashAttempts=1), "WORKER_LOST", signal=9)
        self.assertGoesOn()

    def test_worker_killed_takes_the_program_and_its_children_along(self):
        begun = Fifo(self.here, "begun")
        task_id = self.submit(f"sleep 600 & echo $$ $! > {begun.path}; wait", crashAttempts=1)
        pids = [int(word) for word in begun.read().split()]
        processes.send(self.pid(), signal.SIGKILL)
        self.assertEnded(self.control.wait(task_id)[0], "WORKER_LOST", signal=9)
        self.assertEqual(processes.wait_gone(pids, 20 * harness.PATIENCE), [])
        self.assertGoesOn()

    def test_cancel_of_a_program_that_does_not_listen(self):
        begun = Fifo(self.here, "begun")
        pid = self.pid()
        task_id = self.submit(f"echo > {begun.path}; sleep 600; ok")
        begun.read()
        self.control.call("Tasks/Cancel", {"id": task_id})
        self.assertEnded(self.control.wait(task_id)[0], "CANCELLED")
        self.assertGoesOn()
        self.assertNotEqual(self.pid(), pid)

    def test_time_limit(self):
        self.assertEnded(self.call("sleep 600", timeout="0.2s"), "TIMED_OUT")
        self.assertGoesOn()

    def test_death_of_the_supervisor_ends_the_program_and_its_children(self):
        begun = Fifo(self.here, "begun")
        self.submit(f"sleep 600 & echo $$ $! > {begun.path}; wait")
        pids = [int(word) for word in begun.read().split()]
        self.here.kill()
        self.assertEqual(processes.wait_gone(pids, 20 * harness.PATIENCE), [])

    def test_death_of_the_engine_replaces_it(self):
        pid = self.pid()
        processes.send(self.here.engine().pid, signal.SIGKILL)
        eventually(lambda: self.here.engine(), 20 * harness.PATIENCE, "there is a new engine")
        self.here.wait_healthy()
        self.here.wait_ready()
        self.control = self.here.client()
        self.assertGoesOn()
        self.assertNotEqual(self.pid(), pid)

    def test_recycling_lets_it_finish_and_counts_as_no_loss(self):
        begun, release = Fifo(self.here, "begun"), Fifo(self.here, "release")
        task_id = self.submit(f"echo > {begun.path}; read x < {release.path}; ok 5")
        begun.read()
        pid = self.pid()
        self.control.call("Pools/Recycle", {"name": "sh"})
        release.write("go\n")
        self.assertEnded(self.control.wait(task_id)[0], "RETURNED", value=5)
        eventually(lambda: self.pid() not in (0, pid), 20 * harness.PATIENCE, "it is replaced")
        self.assertEqual(int(self.control.pool("sh")["workersLost"]), 0)


class Starts(harness.DaemonTest):
    def reason(self, *program):
        control = self.daemon({"sh": lines_pool(*program)}).client()
        pool = eventually(lambda: (p := control.pool("sh"))["state"] == "THROTTLED" and p, 20 * harness.PATIENCE, "it is throttled")
        return pool["startError"]["message"]

    def shell(self, text):
        return self.reason("/bin/sh", "-c", text)

    def test_program_that_is_not_there(self):
        self.assertIn("/no/such/program: No such file or directory", self.reason("/no/such/program"))
        self.assertIn("not found in PATH", self.reason("no-such-program"))

    def test_program_that_may_not_be_executed(self):
        self.assertIn("Permission denied", self.reason("/etc/passwd"))

    def test_first_line_that_is_no_hello(self):
        self.assertIn("it printed 'ready': not JSON", self.shell("echo ready; cat"))
        self.assertIn("its first line is no hello", self.shell("""echo '{"result": {"task": "1", "attempt": 1}}'; cat"""))

    def test_program_that_says_why_it_cannot_work(self):
        self.assertEqual(self.shell("""echo '{"hello": {"error": "no licence"}}'"""), "no licence")

    def test_hello_of_another_version_or_generation(self):
        self.assertIn("hello.versions: version 1 is spoken here", self.shell("""echo '{"hello": {"versions": [7]}}'; cat"""))
        self.assertIn("hello.generation: it is generation ", self.shell("""echo '{"hello": {"generation": 99}}'; cat"""))

    def test_program_that_ends_at_once(self):
        self.assertIn("ended before its hello, with exit code 3", self.shell("exit 3"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
