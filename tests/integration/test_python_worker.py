"""Python functions as tasks: what they take, return and raise, and that no function spoils its pool."""

import base64
import signal
import unittest

import harness
import processes
from control import eventually
from python_pool import Fifo, python_pool

EXACT = 2**53


class PythonTest(harness.DaemonTest):
    workers = 1
    settings = {}

    def setUp(self):
        self.here = self.daemon({"py": python_pool(workers=self.workers, **self.settings)}).wait_ready()
        self.control = self.here.client()

    def submit(self, name, *args, kwargs=None, **spec):
        function = {"name": name, "args": list(args), "kwargs": kwargs or {}}
        return self.control.call("Tasks/Submit", {"pool": "py", "function": function, **spec})["id"]

    def call(self, name, *args, **spec):
        return self.control.wait(self.submit(name, *args, **spec))[0]

    def pid(self):
        return self.control.workers("py")[0]["pid"]

    def assertGoesOn(self, pid=None):
        """The pool works; with the same process, if that is given."""
        self.assertEnded(self.call("add", 2, 3), "RETURNED", value=5)
        if pid:
            self.assertEqual(self.pid(), pid)


class Calls(PythonTest):
    def test_values_come_back_as_they_went(self):
        for value in (None, True, False, 0, -1.5, 1e300, "", "ä\u2028\U0001f600", [], [1, [2, None]], {}, {"a": {"b": [True]}}, EXACT, -EXACT, "x" * 100_000):
            self.assertEnded(self.call("echo", value), "RETURNED", value=value)

    def test_whole_numbers_are_integers_for_the_function(self):
        self.assertEnded(self.call("give", "(lambda *a: [type(x).__name__ for x in a])(1, 1.5)"), "RETURNED", value=["int", "float"])
        self.assertEnded(self.call("needs_two", 3, 0.25), "RETURNED", value=[3, 0.25])

    def test_keyword_arguments(self):
        self.assertEnded(self.call("greet", "Ann", kwargs={"polite": True}), "RETURNED", value="Good day, Ann.")
        self.assertEnded(self.call("add", kwargs={"a": 1, "b": 2, "c": [] and 0 or 4}), "RETURNED", value=7)

    def test_bytes_in_and_out(self):
        data = bytes(range(256)) * 1000
        payload = {"contentType": "application/octet-stream", "data": base64.b64encode(data).decode()}
        task = self.control.wait(self.control.call("Tasks/Submit", {"pool": "py", "function": {"name": "echo", "payload": payload}})["id"])[0]
        self.assertEnded(task, "RETURNED", payload={**payload, "sharedSize": "0"})

    def test_payload_of_an_unknown_type_is_rejected(self):
        payload = {"contentType": "application/x-nothing", "data": "gASVBQAAAAAAAACMAWGULg=="}
        task = self.control.wait(self.control.call("Tasks/Submit", {"pool": "py", "function": {"name": "echo", "payload": payload}})["id"])[0]
        self.assertEnded(task, "REJECTED")
        self.assertIn("application/octet-stream", task["outcome"]["error"]["message"])

    def test_functions_of_the_named_modules(self):
        self.assertEnded(self.call("python_functions:plain", 1), "RETURNED", value=["plain", 1])
        self.assertEnded(self.call("python_functions:Group.member", 2), "RETURNED", value=["member", 2])
        self.assertEnded(self.call("python_functions:Group.Inner.deep"), "RETURNED", value="Inner")
        self.assertEnded(self.call("python_functions:echo", 3), "REJECTED")  # it is another module's
        self.assertEnded(self.call("poold_examples:echo", 3), "RETURNED", value=3)

    def test_nothing_else_is_found(self):
        for name in ("nosuch", "os:getpid", "python_functions:os.getpid", "python_functions:subprocess.run", "python_functions:Trouble",
                     "python_functions:plain.__globals__", "python_functions:", "python_functions:Group", "json:dumps", ":", "a:b:c",
                     "python_functions:__builtins__.eval", "python_functions:poold.task"):
            task = self.call(name)
            self.assertEnded(task, "REJECTED")
            self.assertEqual(task["outcome"]["error"]["type"], "UnknownFunction", name)
            self.assertIn(name, task["outcome"]["error"]["message"])
        self.assertGoesOn()

    def test_name_that_is_nearly_right(self):
        self.assertIn("is 'divide' meant?", self.call("divid", 1, 2)["outcome"]["error"]["message"])

    def test_wrong_arguments_are_rejected_with_the_function_s_form(self):
        for args, kwargs in (((), {}), ((1,), {}), ((1, 2, 3), {}), ((1, 2), {"third": 3})):
            task = self.call("needs_two", *args, kwargs=kwargs)
            self.assertEnded(task, "REJECTED")
            self.assertEqual(task["outcome"]["error"]["type"], "TypeError")
            self.assertIn("needs_two(first, second)", task["outcome"]["error"]["message"])

    def test_commands_are_not_for_this_pool(self):
        self.refused("invalid_argument", self.control.submit, ["true"], pool="py")

    def test_large_values_in_both_directions(self):
        for size in (1_000_000, 15_000_000):
            self.assertEnded(self.call("give", f"'x' * {size}"), "RETURNED", value="x" * size)
        self.assertEnded(self.call("echo", "y" * 5_000_000), "RETURNED", value="y" * 5_000_000)

    def test_thousands_come_back_with_their_own_results(self):
        specs = [{"pool": "py", "function": {"name": "add", "args": [number, 1]}} for number in range(5000)]
        ids = [entry["id"] for entry in self.control.call("Tasks/SubmitBatch", {"tasks": specs})["tasks"]]
        self.assertEqual([task["outcome"]["value"] for task in self.control.wait(*ids)], [number + 1 for number in range(5000)])


class Errors(PythonTest):
    def test_exception(self):
        pid = self.pid()
        task = self.call("divide", 1, 0)
        self.assertEqual(task["state"], "FAILED")
        self.assertEnded(task, "RAISED")
        error = task["outcome"]["error"]
        self.assertEqual((error["type"], error["message"]), ("ZeroDivisionError", "division by zero"))
        self.assertIn("poold_examples.py", error["traceback"])
        self.assertIn("return a / b", error["traceback"])
        self.assertNotIn("executor.py", error["traceback"])
        self.assertGoesOn(pid)

    def test_exception_with_a_cause(self):
        error = self.call("raise_from")["outcome"]["error"]
        self.assertIn("KeyError: 'missing'", error["traceback"])
        self.assertIn("direct cause", error["traceback"])

    def test_exception_of_a_class_that_is_wrong_itself(self):
        error = self.call("raise_trouble")["outcome"]["error"]
        self.assertEqual(error["type"], "python_functions.Trouble")
        self.assertIn("cannot be had", error["message"])

    def test_type_error_inside_the_function_is_its_own(self):
        task = self.call("type_error_inside")
        self.assertEnded(task, "RAISED")
        self.assertEqual(task["outcome"]["error"]["type"], "TypeError")

    def test_system_exit_does_not_end_the_worker(self):
        pid = self.pid()
        task = self.call("exit_softly", 3)
        self.assertEnded(task, "RAISED")
        self.assertEqual(task["outcome"]["error"]["type"], "SystemExit")
        self.assertGoesOn(pid)

    def test_result_that_cannot_be_sent(self):
        pid = self.pid()
        for expression, words in (
            ("object()", "object is no JSON value"),
            ("float('nan')", "nan is no JSON number"),
            ("[1, {'deep': float('-inf')}]", "result[1]['deep']: -inf"),
            ("2**53 + 1", "9007199254740993"),
            ("{1, 2}", "set is no JSON value"),
            ("{1: 2}", "a key that is no text"),
            ("'\\ud800'", "UTF-8"),
            ("(lambda l: l.append(l) or l)([])", "nested too deep"),
            ("__import__('functools').reduce(lambda a, _: {'a': a}, range(40), 1)", "nested too deep"),
            ("10**5000", "bits long"),
            ("iter([])", "list_iterator is no JSON value"),
        ):
            task = self.call("give", expression)
            self.assertEnded(task, "RAISED")
            self.assertEqual(task["outcome"]["error"]["type"], "ResultNotSendable", expression)
            self.assertIn(words, task["outcome"]["error"]["message"])
        self.assertGoesOn(pid)

    def test_result_nested_as_deep_as_it_may_be(self):
        task = self.call("give", "__import__('functools').reduce(lambda a, _: {'a': [a]}, range(15), 1)")
        self.assertEnded(task, "RETURNED")

    def test_result_that_is_too_large(self):
        pid = self.pid()
        for expression in ("'x' * (17 << 20)", "bytes(17 << 20)"):
            task = self.call("give", expression)
            self.assertEnded(task, "RAISED")
            self.assertEqual(task["outcome"]["error"]["type"], "ResultTooLarge")
        self.assertGoesOn(pid)

    def test_attempts_of_a_function_that_fails_at_first(self):
        task = self.call("fail_until", str(self.here.directory / "calls"), 3, attempts=5)
        self.assertEnded(task, "RETURNED", value=3)
        self.assertEqual(task["attempt"], 3)


class Deaths(PythonTest):
    def test_exit_without_a_word(self):
        task = self.call("exit_hard", 9, crashAttempts=2)
        self.assertEnded(task, "WORKER_LOST", exitCode=9)
        self.assertEqual((task["crashes"], task["attempt"]), (2, 2))
        self.assertGoesOn()

    def test_segmentation_fault(self):
        self.assertEnded(self.call("segfault", crashAttempts=1), "WORKER_LOST", signal=int(signal.SIGSEGV))
        self.assertGoesOn()

    def test_killed_from_outside(self):
        begun, release = Fifo(self.here, "begun"), Fifo(self.here, "release")
        task_id = self.submit("wait_for", begun.path, release.path)
        behind = [self.submit("add", 1, number) for number in range(10)]
        victim = int(begun.read())
        processes.send(victim, signal.SIGKILL)
        self.assertNotEqual(int(begun.read()), victim)  # the second attempt
        release.write("well")
        task = self.control.wait(task_id)[0]
        self.assertEnded(task, "RETURNED", value="well")
        self.assertEqual((task["crashes"], task["attempt"]), (1, 2))
        for other in self.control.wait(*behind):
            self.assertEqual((other["state"], other["crashes"]), ("SUCCEEDED", 0), other)

    def test_terminated_from_outside(self):
        """The function is interrupted, its attempt counts as lost with its worker, and is tried again."""
        begun, release = Fifo(self.here, "begun"), Fifo(self.here, "release")
        task_id = self.submit("wait_for", begun.path, release.path)
        victim = int(begun.read())
        processes.send(victim, signal.SIGTERM)
        self.assertNotEqual(int(begun.read()), victim)
        release.write("well")
        task = self.control.wait(task_id)[0]
        self.assertEnded(task, "RETURNED", value="well")
        self.assertEqual((task["crashes"], task["attempt"]), (1, 2))

    def test_terminated_while_idle(self):
        victim = self.pid()
        processes.send(victim, signal.SIGTERM)
        eventually(lambda: self.pid() not in (0, victim), 20 * harness.PATIENCE, "it is replaced")
        self.assertGoesOn()
        self.assertEqual(self.control.pool("py")["state"], "READY")

    def test_child_that_comes_back_from_a_fork_is_not_a_second_worker(self):
        pid = self.pid()
        for name in ("fork_and_return", "fork_and_raise"):
            self.assertEnded(self.call(name), "RETURNED", value=0)
        self.assertGoesOn(pid)

    def test_forked_child_is_terminated_before_it_has_begun(self):
        """Its signal is its own: it was lost there once, and whoever waited for the child, waited for ever."""
        pid = self.pid()
        self.assertEnded(self.call("fork_and_terminate"), "RETURNED", value=-signal.SIGTERM)
        self.assertGoesOn(pid)

    def test_forked_child_forks(self):
        self.assertEnded(self.call("fork_twice"), "RETURNED", value=0)

    def test_multiprocessing_inside_a_function(self):
        pid = self.pid()
        self.assertEnded(self.call("use_pool", [1, 2, 3]), "RETURNED", value=[1, 4, 9])
        self.assertGoesOn(pid)

    def test_death_of_the_supervisor_ends_functions_and_their_children(self):
        begun = Fifo(self.here, "begun")
        self.submit("leave_child", begun.path)
        pids = [int(word) for word in begun.read().split()]
        self.here.kill()
        self.assertEqual(processes.wait_gone(pids, 20 * harness.PATIENCE), [])


class Interruptions(PythonTest):
    settings = {"grace": "300ms"}

    def begin(self, name, *args):
        """Submits a function that says when it has begun: task id and pid."""
        begun = Fifo(self.here, f"begun-{name}")
        task_id = self.submit(name, begun.path, *args)
        return task_id, int(begun.read())

    def test_cancel_raises_in_the_running_function(self):
        trace = self.here.directory / "trace"
        task_id, pid = self.begin("clean_up", str(trace))
        self.control.call("Tasks/Cancel", {"id": task_id})
        self.assertEnded(self.control.wait(task_id)[0], "CANCELLED")
        self.assertEqual(trace.read_text(encoding="utf-8"), "Cancelled")
        self.assertGoesOn(pid)

    def test_cancel_of_a_function_that_returns_nevertheless(self):
        task_id, pid = self.begin("finish_anyway")
        self.control.call("Tasks/Cancel", {"id": task_id})
        self.assertEnded(self.control.wait(task_id)[0], "CANCELLED")
        self.assertGoesOn(pid)

    def test_cancel_of_a_function_that_does_not_listen(self):
        task_id, pid = self.begin("deaf")
        self.control.call("Tasks/Cancel", {"id": task_id})
        self.assertEnded(self.control.wait(task_id)[0], "CANCELLED")
        self.assertGoesOn()
        self.assertNotEqual(self.pid(), pid)
        metrics = self.control.request("GET", "/metrics")[2].decode()
        self.assertIn('\npoold_worker_ends_total{pool="py",cause="condemned"} 1\n', metrics, "nobody asked it to end")
        self.assertIn('\npoold_worker_ends_total{pool="py",cause="asked"} 0\n', metrics)

    def test_cancel_of_c_code_that_holds_the_interpreter(self):
        task_id, pid = self.begin("hold_interpreter", 600)
        self.control.call("Tasks/Cancel", {"id": task_id})
        self.assertEnded(self.control.wait(task_id)[0], "CANCELLED")
        self.assertGoesOn()
        self.assertNotEqual(self.pid(), pid)

    def test_cancel_of_a_waiting_task(self):
        task_id, _ = self.begin("clean_up", str(self.here.directory / "trace"))
        behind = [self.submit("add", 1, 1) for _ in range(20)]
        for other in behind[::2]:
            self.control.call("Tasks/Cancel", {"id": other})
        self.control.call("Tasks/Cancel", {"id": task_id})
        states = [task["state"] for task in self.control.wait(*behind)]
        self.assertEqual(states, ["CANCELLED", "SUCCEEDED"] * 10)

    def test_stop_of_the_daemon_interrupts_what_runs(self):
        trace = self.here.directory / "trace"
        self.begin("clean_up", str(trace))
        self.assertEqual(self.here.stop(), 0)
        self.assertEqual(trace.read_text(encoding="utf-8"), "Cancelled")

    def test_a_worker_that_is_replaced_finishes_first_and_leaves_well(self):
        begun, release = Fifo(self.here, "begun"), Fifo(self.here, "release")
        task_id = self.submit("wait_for", begun.path, release.path)
        before = int(begun.read())
        self.control.call("Pools/Recycle", {"name": "py"})
        release.write("well")
        self.assertEnded(self.control.wait(task_id)[0], "RETURNED", value="well")
        eventually(lambda: self.pid() not in (0, before), 20 * harness.PATIENCE, "it is replaced")
        self.assertGoesOn()
        self.assertEqual(int(self.control.pool("py")["workersLost"]), 0)

    def test_signals_and_descriptors_are_a_plain_program_s(self):
        value = self.call("surroundings")["outcome"]["value"]
        self.assertEqual(value["blocked"], [])
        self.assertEqual(value["child"], "4")  # three and its own directory


class Neighbours(PythonTest):
    workers = 2

    def test_short_tasks_do_not_wait_behind_a_long_one(self):
        for long in ("sleep_ms", "spin_ms"):
            quick = [self.submit("noop") for _ in range(200)]
            blocking = self.submit(long, 4000)
            quick += [self.submit("noop") for _ in range(200)]
            for task in self.control.wait(*quick, timeout=3 * harness.PATIENCE):
                self.assertEqual(task["state"], "SUCCEEDED", long)
            self.control.call("Tasks/Cancel", {"id": blocking})
            self.assertEnded(self.control.wait(blocking)[0], "CANCELLED")


class Starts(harness.DaemonTest):
    def start(self, text, *modules):
        """A pool whose module has this text; waits until it is throttled. What the pool shows as the reason, and the daemon's log."""
        here = self.daemon(start=False)
        (here.directory / "own_module.py").write_text(text, encoding="utf-8")
        here.configure({"py": python_pool(*(modules or ["own_module"]), path=[here.directory])})
        here.start()
        control = here.client()
        pool = eventually(lambda: (p := control.pool("py"))["state"] == "THROTTLED" and p, 20 * harness.PATIENCE, "it is throttled")
        message = pool["startError"]["message"]
        self.assertIn(message[:60], here.poolctl("pool", "show", "py").stdout)
        return message, here.log()

    def test_module_that_is_not_there(self):
        message, log = self.start("", "no_such_module")
        self.assertIn("cannot import 'no_such_module': ModuleNotFoundError", message)
        self.assertIn(message, log)

    def test_module_that_raises(self):
        message, log = self.start("import poold\nraise RuntimeError('not today')\n")
        self.assertIn("cannot import 'own_module': RuntimeError: not today", message)
        self.assertIn("own_module.py", log)  # the traceback

    def test_module_that_exits(self):
        self.assertIn("cannot import 'own_module': SystemExit", self.start("import sys\nsys.exit(0)\n")[0])

    def test_module_that_kills_its_process(self):
        self.assertIn("ended before its hello, with exit code 3", self.start("import os\nos._exit(3)\n")[0])

    def test_two_functions_of_one_name(self):
        text = "import poold\n@poold.task(name='x')\ndef one(): pass\n@poold.task(name='x')\ndef two(): pass\n"
        self.assertIn("own_module:two: the name 'x' is that of own_module:one already", self.start(text)[0])

    def test_file_in_place_of_a_module(self):
        self.assertIn("a module's name is wanted", self.start("", "own_module.py")[0])

    def test_pool_goes_on_once_the_module_is_there(self):
        here = self.daemon(start=False)
        here.configure({"py": python_pool("late_module", path=[here.directory])})
        here.start()
        control = here.client()
        eventually(lambda: control.pool("py")["state"] == "THROTTLED", 20 * harness.PATIENCE, "it is throttled")
        task = control.submit(function="late_module:answer", pool="py")
        (here.directory / "late_module.py").write_text("def answer():\n    return 42\n", encoding="utf-8")
        self.assertEnded(control.wait(task)[0], "RETURNED", value=42)
        self.assertEqual(control.pool("py")["state"], "READY")


if __name__ == "__main__":
    unittest.main(verbosity=2)
