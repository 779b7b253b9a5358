"""poolctl top: every key in a terminal, against a real daemon; and the terminal afterwards."""

import os
import signal
import subprocess

import harness
from control import eventually
from terminal import Terminal

DOWN, ESCAPE = "\x1b[B", "\x1b"
FOREVER = ["sh", "-c", "echo first words; exec sleep 1000"]


class TopTest(harness.DaemonTest):
    def setUp(self):
        self.poold = self.daemon({"default": {"workers": 2}, "other": {"workers": 1}}).wait_ready()
        self.control = self.poold.client()

    def submit(self, name, *argv, **options):
        return self.control.call("Tasks/Submit", {"name": name, "command": {"argv": list(argv) or ["true"]}, **options})["id"]

    def state(self, task):
        return self.control.call("Tasks/Get", {"id": task})["task"]["state"]

    def pool(self, name):
        return self.control.call("Pools/Get", {"name": name})["pool"]

    def until(self, condition, what):
        eventually(condition, 60 * harness.PATIENCE, what)

    def running(self, name, *argv, **options):
        task = self.submit(name, *(argv or FOREVER), **options)
        self.until(lambda: self.state(task) == "RUNNING", f"{name} runs")
        return task

    def top(self, *arguments, environment=None, **size):
        own = {**os.environ, "POOLD_SOCKET": self.poold.socket, **(environment or {})}
        if environment is None:
            own.pop("NO_COLOR", None)
        terminal = Terminal(self.poold.poolctl_line("top", *arguments), own, **size)
        self.addCleanup(terminal.close)
        return terminal

    def cancel(self, *tasks):
        for task in tasks:
            self.control.call("Tasks/Cancel", {"id": task})
        self.control.wait(*tasks)


class Keys(TopTest):
    def test_pools_workers_and_tasks_are_seen_and_change(self):
        task = self.running("the-sleeper")
        top = self.top()
        top.see("the-sleeper")
        for word in ("poold ", "up ", "running 1", "POOL", "WORKERS", "default", "other", "Workers 3", "BUSY", "Tasks 1", "RUNNING"):
            top.see(word)
        held = self.submit("newcomer", hold=True)
        top.see("newcomer")
        top.see("waiting 1")
        top.see("tasks/s")
        self.cancel(task, held)
        top.see_no("the-sleeper")
        top.press("q")
        self.assertEqual(top.end(), 0)
        self.assertTrue(top.as_before())

    def test_the_cursor_moves_and_stays_on_its_row(self):
        tasks = [self.submit(f"held-{i}", hold=True) for i in range(3)]
        top = self.top()
        top.wait(lambda _: "held-2" in top.line_of_cursor_bar(), "the newest is chosen")
        for keys, name in ((DOWN, "held-1"), ("j", "held-0"), ("k", "held-1"), ("g", "held-2"), ("G", "held-0"), ("\x1b[A", "held-1"),
                           ("\x1b[5~", "held-2"), ("\x1b[6~", "held-0"), ("\x1b[1~", "held-2"), ("\x1b[4~", "held-0")):
            top.press(keys)
            top.wait(lambda _, name=name: name in top.line_of_cursor_bar(), f"{keys!r} goes to {name}")
        self.submit("held-9", hold=True)
        top.see("held-9")
        top.wait(lambda _: "held-0" in top.line_of_cursor_bar(), "the bar stays on its row")
        self.cancel(*tasks)

    def test_tables_are_changed_filtered_and_sorted(self):
        for name in ("beta", "alpha", "gamma"):
            self.submit(name, hold=True)
        top = self.top(lines=16)  # one table at a time
        top.see("gamma")
        top.press("\t")
        top.wait(lambda _: "default" in top.line_of_cursor_bar(), "Tab goes to the pools")
        top.press("w")
        top.see("SLOT")
        top.press("p")
        top.see("FAILED")
        top.press("t")
        top.see("alpha")
        top.press("sss")
        top.press("s")
        top.see("by NAME")

        def names(picture):
            return [line.split()[3] for line in picture.splitlines() if "WAITING" in line and "default" in line]

        # The title is painted before the rows, and a picture may be read in between.
        top.wait(lambda picture: names(picture) == ["alpha", "beta", "gamma"], "the rows are in the order of their names")
        top.press("S")
        top.see("reversed")
        top.press("/bet")
        top.see("filter: bet")
        top.see_no("gamma")
        top.press("\r")
        top.see("Tasks 1 of 3")
        top.press(ESCAPE)
        top.see("gamma")
        top.press("p\r")  # the pool's tasks
        top.see("filter: default")

    def test_a_task_is_shown_with_why_it_does_not_run(self):
        task = self.submit("held", hold=True, labels={"job": "7"})
        top = self.top()
        top.see("held")
        top.press("\r")
        for word in ("It does not run because", task, "job=7"):
            top.see(word)
        top.press("q")
        top.see("Tasks 1")

    def test_cancel_asks_and_does_it(self):
        task = self.running("victim")
        top = self.top()
        top.see("victim")
        top.press("c")
        top.see("cancel victim? (y/n)")
        top.press("n")
        top.see("nothing was done")
        self.assertEqual(self.state(task), "RUNNING")
        top.press("c")
        top.see("(y/n)")
        top.press("y")
        top.see("cancelled victim")
        self.until(lambda: self.state(task) == "CANCELLED", "it is cancelled")

    def test_a_failed_task_is_run_once_more_and_a_running_one_is_refused(self):
        failed = self.submit("failure", "sh", "-c", "exit 3")
        self.control.wait(failed)
        top = self.top()
        top.see("failed 1")
        top.press("a")
        top.see("exited with 3")
        top.press("r")
        top.see("failure runs once more")
        self.until(lambda: self.control.call("Tasks/Get", {"id": failed})["task"]["attempt"] == 2, "its second attempt")
        running = self.running("runner")
        top.press("g/runner\r")
        top.wait(lambda _: "runner" in top.line_of_cursor_bar(), "the running one is chosen")
        top.press("r")
        top.see("has not ended")
        self.cancel(running)

    def test_pools_are_paused_resumed_and_scaled(self):
        top = self.top()
        top.see("other")
        top.press("p" + DOWN)
        top.wait(lambda _: "other" in top.line_of_cursor_bar(), "the pool is chosen")
        top.press("P")
        top.see("pool other is paused")
        self.assertEqual(self.pool("other")["state"], "PAUSED")
        top.wait(lambda _: "PAUSED" in top.line_of_cursor_bar(), "its state is shown")
        top.press("P")
        top.see("pool other goes on")
        self.assertEqual(self.pool("other")["state"], "READY")
        top.press("+")
        top.see("pool other has 2 workers")
        self.assertEqual(self.pool("other")["workers"], 2)
        top.wait(lambda _: top.line_of_cursor_bar().split()[2:3] == ["2"], "the table has it, too")
        top.press("-")
        top.see("pool other has 1 worker ")
        top.wait(lambda _: top.line_of_cursor_bar().split()[2:3] == ["1"], "the table has it, too")
        top.press("-")
        top.see("leave pool other without workers? (y/n)")
        top.press("n")
        top.see("nothing was done")
        self.assertEqual(self.pool("other")["workers"], 1)

    def test_the_log_grows(self):
        gate = self.poold.directory / "gate"
        os.mkfifo(gate)
        task = self.submit("talker", "sh", "-c", f"echo before the gate; cat {gate}; echo behind it; exec sleep 1000")
        top = self.top()
        top.see("talker")
        top.press("l")
        top.see("before the gate")
        with open(gate, "w", encoding="utf-8") as writer:
            writer.write("through \x1b[31mthe gate\n")
        top.see("behind it")
        self.assertIn("through \\x1b[31mthe gate", top.text(), "what would change the terminal is escaped")
        top.press("q")
        top.see("Tasks 1")
        self.cancel(task)

    def test_help_and_wrong_keys(self):
        top = self.top()
        top.see("other")
        top.press("?")
        top.see("cancel the task (asks)")
        top.press(ESCAPE)
        top.see_no("cancel the task (asks)")
        top.press("c")
        top.see("nothing is chosen")
        top.press("x")
        top.see("no such key: x")


class Terminals(TopTest):
    def test_any_size_is_followed(self):
        self.running("sized")
        top = self.top()
        top.see("sized")
        top.resize(20, 5)
        top.wait(lambda text: "sized" in text and "STATE" in text and len(text.splitlines()) <= 5, "the smallest")
        top.resize(200, 60)
        top.wait(lambda text: "Workers 3" in text and "exec sleep 1000" in text, "a large one")

    def test_colours_as_ps_has_them_and_none_with_no_color(self):
        self.running("sized")
        top = self.top()
        top.see("sized")
        top.wait(lambda _: "cyan" in {cell.fg for line in top.screen.buffer.values() for cell in line.values()}, "there is colour")
        top.press("q")
        top.end()
        plain = self.top(environment={"NO_COLOR": "1"})
        plain.see("sized")
        plain.press("q")
        plain.end()
        self.assertEqual({cell.fg for line in plain.screen.buffer.values() for cell in line.values()}, {"default"})

    def test_a_daemon_that_goes_is_missed_and_found_again(self):
        top = self.top("--interval", "200ms")
        top.see("other")
        self.poold.stop()
        top.see("trying again")
        top.see("other")  # the last picture stays
        self.poold.start()
        top.see_no("trying again")
        top.press("q")
        self.assertEqual(top.end(), 0)

    def test_a_daemon_that_does_not_answer_keeps_nobody(self):
        top = self.top("--interval", "100ms")
        top.see("tasks/s")
        engine = self.poold.engine().pid
        os.kill(engine, signal.SIGSTOP)
        try:
            top.press("?")
            top.see("cancel the task (asks)")
            top.press("qq")
            self.assertEqual(top.end(), 0)
            self.assertTrue(top.as_before())
        finally:
            os.kill(engine, signal.SIGCONT)

    def test_the_terminal_is_given_back_however_it_ends(self):
        for number, status in ((signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGHUP, 128 + signal.SIGHUP),
                               (signal.SIGQUIT, 128 + signal.SIGQUIT), (signal.SIGINT, 0)):
            with self.subTest(number):
                top = self.top()
                top.see("other")
                self.assertFalse(top.as_before())
                top.process.send_signal(number)
                self.assertEqual(top.end(), status)
                self.assertTrue(top.as_before())
                self.assertIn(b"\x1b[?25h", top.seen[top.seen.rfind(b"\x1b[?25l"):], "the cursor is visible again")
        top = self.top()
        top.see("other")
        top.press("\x03")
        self.assertEqual(top.end(), 0)
        self.assertTrue(top.as_before())

    def test_without_a_terminal_it_says_what_to_use(self):
        ended = self.poold.poolctl("top")
        self.assertEqual(ended.returncode, 2)
        for word in ("needs a terminal", "--once", "poolctl ps", "pool ls"):
            self.assertIn(word, ended.stderr)
        for arguments, word in ((["--interval", "soon"], "--interval soon"), (["--interval", "1ms"], "100ms to 1h"), (["--json"], "ps")):
            ended = self.poold.poolctl("top", "--once", *arguments)
            self.assertEqual((ended.returncode, ended.stdout), (2, ""))
            self.assertIn(word, ended.stderr)

    def test_one_frame_needs_no_terminal(self):
        task = self.running("framed")
        ended = self.poold.poolctl("top", "--once")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        for word in ("poold ", "running 1", "Pools 2", "Workers 3", "Tasks 1", "framed", "exec sleep 1000"):
            self.assertIn(word, ended.stdout)
        self.assertNotIn("\x1b", ended.stdout)
        self.cancel(task)
        self.assertIn("CANCELLED", self.poold.poolctl("top", "-b", "--all").stdout)

    def test_no_daemon_is_an_error_at_once(self):
        line = self.poold.poolctl_line("--socket", str(self.poold.directory / "nothing"), "top")
        top = Terminal(line, dict(os.environ))
        self.addCleanup(top.close)
        self.assertEqual(top.end(), 5)
        self.assertIn("nothing", top.text())
        self.assertTrue(top.as_before())
        # ncurses never frees what it allocated for a terminal that it does not know.
        leaks = ":".join([*filter(None, [os.environ.get("ASAN_OPTIONS")]), "detect_leaks=0"])
        unknown = subprocess.run(["setsid", "--wait", "script", "-qec", " ".join(self.poold.poolctl_line("top")), "/dev/null"],
                                 env={**os.environ, "TERM": "no-such-terminal", "POOLD_SOCKET": self.poold.socket, "ASAN_OPTIONS": leaks}, stdin=subprocess.DEVNULL,
                                 capture_output=True, text=True, check=False, timeout=60 * harness.PATIENCE)
        self.assertEqual(unknown.returncode, 2)
        self.assertIn("no-such-terminal", unknown.stdout)


if __name__ == "__main__":
    harness.main()
