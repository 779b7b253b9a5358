"""poolctl map against a real daemon: items, order, output, joblog, halting, signals, and a map that is killed in the midst."""

import os
import pathlib
import pty
import select
import signal
import subprocess

import harness
import processes
from control import eventually

TITLES = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand"


class MapTest(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": harness.COMMANDS, "math": harness.FUNCTIONS}).wait_ready()
        self.control = self.here.client()
        self.log = self.here.directory / "joblog"
        self.witness = self.here.directory / "witness"

    def map(self, *arguments, items=None, expect=0, **options):
        """`items` are given on stdin, one a line."""
        if items is not None:
            options["input"] = items if isinstance(items, (str, bytes)) else "".join(f"{item}\n" for item in items)
        options.setdefault("stdin", None if items is not None else subprocess.DEVNULL)
        if options["stdin"] is None:
            del options["stdin"]
        ended = subprocess.run(self.here.poolctl_line("map", *arguments), capture_output=True, check=False, timeout=120 * harness.PATIENCE,
                               text=not isinstance(items, bytes), env=self.here.poolctl_environment(), **options)
        self.assertEqual(ended.returncode, expect, f"{arguments}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}")
        return ended

    def begin(self, *arguments, **options):
        options.setdefault("stdin", subprocess.PIPE)
        process = subprocess.Popen(self.here.poolctl_line("map", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.here.poolctl_environment(), text=True, **options)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()

    def entries(self):
        lines = self.log.read_text(encoding="utf-8").splitlines()
        self.assertEqual(lines[0], TITLES)
        return [dict(zip(TITLES.split("\t"), line.split("\t"))) for line in lines[1:]]

    def seqs(self):
        return [int(entry["Seq"]) for entry in self.entries()]


class Items(MapTest):
    def test_from_stdin_after_colons_and_from_a_file(self):
        self.assertEqual(self.map("-k", "echo", items=["a", "b c"]).stdout, "a\nb c\n")
        self.assertEqual(self.map("-k", "--", "echo", ":::", "a", "--x", "-k").stdout, "a\n--x\n-k\n")
        file = self.here.directory / "items"
        file.write_text("one\ntwo", encoding="utf-8")
        self.assertEqual(self.map("-k", "--arg-file", file, "echo").stdout, "one\ntwo\n")
        self.assertEqual(self.map("-k", "-a", "-", "echo", items=["x"]).stdout, "x\n")

    def test_the_place_of_the_item(self):
        self.assertEqual(self.map("-k", "echo", "<{}>", "{}.{}", ":::", "a", "b").stdout, "<a> a.a\n<b> b.b\n")
        self.assertEqual(self.map("-k", "--env", "X={}", "--", "sh", "-c", "echo $X", ":::", "a", "b").stdout, "a\nb\n")
        self.assertEqual(self.map("-k", "--name", "n-{}", "--label", "item={}", "echo", ":::", "a").stdout, "a\n")
        task = self.control.call("Tasks/List")["tasks"][0]
        self.assertEqual((task["name"], task["labels"]), ("n-a", {"item": "a"}))

    def test_zero_bytes_end_items_that_may_have_newlines(self):
        self.assertEqual(self.map("-0", "-k", "echo", "[{}]", items="a\nb\0c\0").stdout, "[a\nb]\n[c]\n")

    def test_empty_lines_are_items_and_an_empty_input_has_none(self):
        self.assertEqual(self.map("-k", "echo", "[{}]", items="\n\na\n").stdout, "[]\n[]\n[a]\n")
        self.assertEqual(self.map("echo", items="").stdout, "")
        self.assertEqual(self.map("echo", ":::").stdout, "")

    def test_items_that_are_not_utf8(self):
        self.assertEqual(self.map("-k", "echo", items=b"\xff\n").stdout, b"\xff\n")

    def test_an_item_that_makes_no_task_fails_alone(self):
        ended = self.map("-k", "echo", items=["a", "x" * 200_000, "b"], expect=1)
        self.assertEqual(ended.stdout, "a\nb\n")
        self.assertIn("task 2 (xxx", ended.stderr)
        self.assertIn("131071", ended.stderr)

    def test_what_is_wrong_with_all_items_is_said_once(self):
        self.assertEqual(self.map("--pool", "mth", "echo", items=["a", "b"], expect=3).stderr.count("mth"), 1)
        ended = self.map("--name", "a\nb", "echo", items=range(1000), expect=2)
        self.assertLess(len(ended.stderr.splitlines()), 20)

    def test_items_are_read_no_faster_than_they_are_wanted(self):
        process = self.begin("--jobs", "2", "--", "sh", "-c", "read line < $1", "x", self.here.directory / "fifo")
        os.mkfifo(self.here.directory / "fifo")
        written = 0
        process.stdin.write("item\nitem\n")
        process.stdin.flush()
        eventually(lambda: self.control.call("Pools/Get", {"name": "default"})["pool"]["running"] == 2, 60 * harness.PATIENCE, "both jobs run")
        os.set_blocking(process.stdin.fileno(), False)
        # The pipe and one buffer of poolctl's own take some; then nobody reads any more.
        while select.select([], [process.stdin], [], 1)[1]:
            written += os.write(process.stdin.fileno(), b"item\n" * 100)
            self.assertLess(written, 1_000_000)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20 * harness.PATIENCE), 130)

    def test_items_that_come_slowly_are_run_as_they_come(self):
        process = self.begin("echo")
        for item in ("first", "second"):
            process.stdin.write(item + "\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), item + "\n")
        process.stdin.close()
        self.assertEqual(process.wait(20 * harness.PATIENCE), 0)

    def test_wrong_lines_are_refused_before_anything_runs(self):
        touch = ["--", "touch", self.witness]
        for arguments, what in (
            ([], "what is to run"),
            (["--halt", "soon", *touch, ":::", "a"], "soon,fail=N"),
            (["--halt", "now,fail=0", *touch, ":::", "a"], "now,fail=0"),
            (["--resume", *touch, ":::", "a"], "--joblog"),
            (["--jobs", "0", *touch, ":::", "a"], "--jobs"),
            (["-a", "/no/such/file", *touch], "/no/such/file"),
            (["-a", "/etc/hostname", *touch, ":::", "a"], ":::"),
            ([*touch, ":::", "a", ":::", "b"], ":::"),
            (["--key", "same", *touch, ":::", "a"], "{}"),
            (["--stdin", "-", *touch], "--stdin"),
            (["--kw", "a=b", *touch, ":::", "a"], "--function"),
            (["--joblog", "/no/such/directory/log", *touch, ":::", "a"], "/no/such/directory/log"),
        ):
            self.assertIn(what, self.map(*arguments, expect=2).stderr, arguments)
        self.assertFalse(self.witness.exists())


class Output(MapTest):
    def test_order_of_the_items_is_kept_where_wanted(self):
        ended = self.map("-k", "--", "sh", "-c", "test $1 -gt 1 || sleep 0.3; echo $1", "x", items=range(1, 30))
        self.assertEqual(ended.stdout.split(), [str(i) for i in range(1, 30)])

    def test_without_it_the_first_to_end_is_first(self):
        ended = self.map("--", "sh", "-c", "test {} != slow || sleep 1; echo {}", ":::", "slow", "quick")
        self.assertEqual(ended.stdout, "quick\nslow\n")

    def test_output_of_two_tasks_is_never_mixed(self):
        script = "for i in 1 2 3 4 5 6 7 8 9; do echo {}; echo e{} >&2; sleep 0.01; done"
        ended = self.map("--", "sh", "-c", script, items=range(20))
        for lines, prefix in ((ended.stdout.split(), ""), (ended.stderr.split(), "e")):
            groups = [lines[at:at + 9] for at in range(0, len(lines), 9)]
            self.assertEqual(sorted(groups), sorted([[f"{prefix}{i}"] * 9 for i in range(20)]))

    def test_much_output_goes_through_a_file_and_not_through_memory(self):
        # The first is the last to end, so that all the others are kept.
        script = "test {} != 1 || sleep 1; head -c 20000000 /dev/zero | tr '\\0' {}"
        line = self.here.poolctl_line("map", "-k", "--", "sh", "-c", script, ":::", *"12345")
        process = subprocess.Popen(line, stdout=subprocess.PIPE, env=self.here.poolctl_environment())
        peak, seen = 0, b""
        while data := process.stdout.read(1 << 20):
            seen += bytes(sorted(set(data)))
            if processes.alive(process.pid):
                peak = max(peak, int(processes.status(process.pid).get("VmHWM", "0 kB").split()[0]))
        process.stdout.close()
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(bytes(sorted(set(seen))), b"12345")
        self.assertEqual(seen, bytes(sorted(seen)))
        if not harness.SANITIZED:
            self.assertLess(peak, 50 << 10)

    def test_values_are_printed_one_a_line(self):
        ended = self.map("-k", "--pool", "math", "--function", "add", "1", items=["2", "3.5"])
        self.assertEqual(ended.stdout, "3\n4.5\n")
        ended = self.map("-k", "--pool", "math", "--function", "echo", "{}", ":::", "text", '{"a": [1]}', "null")
        self.assertEqual(ended.stdout, '"text"\n{"a":[1]}\nnull\n')

    def test_results_in_json_carry_the_number_of_their_item(self):
        ended = self.map("-k", "-o", "ndjson", "--pool", "math", "--function", "add", "1", items=["2"])
        self.assertEqual(ended.stdout, '{"tag":"1","attempt":1,"outcome":{"kind":"RETURNED","value":3}}\n')

    def test_failures_are_explained_and_counted(self):
        ended = self.map("--pool", "math", "--function", "raise", ":::", "oh dear", expect=1)
        self.assertIn("task 1 (oh dear): std::runtime_error: oh dear", ended.stderr)
        self.assertIn("1 of 1 tasks failed", ended.stderr)
        ended = self.map("--", "sh", "-c", "exit {}", ":::", "0", "3", expect=1)
        self.assertEqual(ended.stderr, "poolctl: 1 of 2 tasks failed\n")
        self.assertIn("/no/such/program", self.map("--", "/no/such/program", ":::", "a", expect=1).stderr)

    def test_a_reader_that_leaves_ends_everything(self):
        process = self.begin("--", "sh", "-c", "test {} != slow || exec sleep 60; echo {}", ":::", "slow", "quick", stdin=subprocess.DEVNULL)
        process.stdout.close()
        self.assertEqual(process.wait(20 * harness.PATIENCE), 128 + signal.SIGPIPE)
        self.assertEqual(self.control.pool("default")["cancelled"], "1")

    def test_progress_is_drawn_on_a_terminal_and_taken_away(self):
        master, slave = pty.openpty()
        process = subprocess.Popen(self.here.poolctl_line("map", "--", "sleep", "{}", ":::", "0.1", "0.2", "0.4", "0.8"), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=slave, env=self.here.poolctl_environment())
        os.close(slave)
        text = b""
        while True:
            try:
                text += os.read(master, 4096)
            except OSError:  # the other end is closed
                break
        os.close(master)
        self.assertEqual(process.wait(20 * harness.PATIENCE), 0)
        self.assertIn(b"/4  ", text)
        self.assertIn(b"% [", text)
        self.assertTrue(text.endswith(b"\r\x1b[K"), text[-80:])


class Joblog(MapTest):
    def test_columns(self):
        self.map("--joblog", self.log, "--", "sh", "-c", "echo 12345; exit {}", ":::", "0", "3", expect=1)
        self.map("--joblog", self.here.directory / "second", "--", "sh", "-c", "kill -9 $$", ":::", "a", expect=1)
        first, second = sorted(self.entries(), key=lambda entry: entry["Seq"])
        self.assertEqual((first["Exitval"], first["Signal"], first["Receive"]), ("0", "0", "6"))
        self.assertEqual((second["Exitval"], second["Signal"]), ("3", "0"))
        self.assertEqual(second["Command"], "sh -c 'echo 12345; exit 3'")
        self.assertGreater(float(first["Starttime"]), 1.6e9)
        self.assertLess(float(first["JobRuntime"]), 60 * harness.PATIENCE)
        self.log = self.here.directory / "second"
        self.assertEqual((self.entries()[0]["Exitval"], self.entries()[0]["Signal"]), ("0", "9"))

    def test_one_whose_time_was_over_has_failed_whatever_it_says(self):
        command = ["--joblog", self.log, "--timeout", "100ms", "--", "sh", "-c", f"echo {{}} >> {self.witness}; trap 'exit 0' TERM; sleep {{}} & wait"]
        self.assertIn("timed out", self.map(*command, ":::", "0", "100", expect=1).stderr)
        self.assertEqual([(entry["Exitval"] == "0" and entry["Signal"] == "0") for entry in sorted(self.entries(), key=lambda entry: entry["Seq"])], [True, False])
        self.map("--resume-failed", *command, ":::", "0", "100", expect=1)
        self.assertEqual(sorted(self.witness.read_text(encoding="utf-8").split()), ["0", "100", "100"])

    def test_lines_come_in_the_order_of_the_ends_and_at_once(self):
        process = self.begin("-k", "--joblog", self.log, "--", "sh", "-c", "test {} != slow || exec sleep 60", ":::", "slow", "quick")
        eventually(lambda: self.log.exists() and self.seqs() == [2], 20 * harness.PATIENCE, "the quick one is logged")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20 * harness.PATIENCE), 130)
        self.assertEqual(self.seqs(), [2])

    def test_resume_runs_what_is_not_logged(self):
        command = ["--joblog", self.log, "-k", "--", "sh", "-c", f"echo {{}} | tee -a {self.witness}; test {{}} != 2"]
        self.map(*command, ":::", "1", "2", expect=1)
        self.assertEqual(self.map("--resume", *command, ":::", "1", "2", "3").stdout, "3\n")
        self.assertEqual(sorted(self.seqs()), [1, 2, 3])
        self.assertEqual(self.map("--resume", *command, ":::", "1", "2", "3").stdout, "")

    def test_resume_failed_runs_what_failed_again(self):
        command = ["--joblog", self.log, "--", "sh", "-c", f"echo {{}} >> {self.witness}; test -e {self.log}.good -o {{}} != 2"]
        self.map(*command, items=range(1, 4), expect=1)
        self.map("--resume-failed", *command, items=range(1, 4), expect=1)
        (self.here.directory / "joblog.good").touch()
        self.map("--resume-failed", *command, items=range(1, 4))
        self.map("--resume-failed", *command, items=range(1, 4))
        self.assertEqual(sorted(self.witness.read_text(encoding="utf-8").split()), ["1", "2", "2", "2", "3"])

    def test_a_line_taken_out_means_once_more(self):
        command = ["--joblog", self.log, "--", "sh", "-c", f"echo {{}} >> {self.witness}"]
        self.map(*command, items=[1, 2])
        kept = [line for line in self.log.read_text(encoding="utf-8").splitlines(True) if not line.startswith("1\t")]
        self.log.write_text("".join(kept), encoding="utf-8")
        self.map("--resume", *command, items=[1, 2])
        self.assertEqual(sorted(self.witness.read_text(encoding="utf-8").split()), ["1", "1", "2"])

    def test_another_command_or_other_items_are_refused(self):
        self.map("--joblog", self.log, "echo", ":::", "a", "b")
        self.assertIn("task 2 was another command", self.map("--joblog", self.log, "--resume", "echo", ":::", "a", "c", expect=2).stderr)
        self.log.write_text("something else\n", encoding="utf-8")
        self.assertIn("joblog:1", self.map("--joblog", self.log, "--resume", "echo", ":::", "a", expect=2).stderr)

    def test_a_cut_last_line_is_not_believed(self):
        self.map("-k", "--jobs", "1", "--joblog", self.log, "echo", ":::", "a", "b")
        whole = self.log.read_bytes()
        self.log.write_bytes(whole[:-3])
        self.assertEqual(self.map("--joblog", self.log, "--resume", "echo", ":::", "a", "b").stdout, "b\n")
        self.assertEqual(self.seqs(), [1, 2])

    def test_one_map_at_a_time(self):
        process = self.begin("--joblog", self.log, "echo")
        process.stdin.write("a\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), "a\n")
        self.assertIn("another map", self.map("--joblog", self.log, "--resume", "echo", ":::", "a", expect=2).stderr)
        process.stdin.close()
        self.assertEqual(process.wait(20 * harness.PATIENCE), 0)

    def test_a_killed_map_goes_on_and_runs_nothing_twice_that_had_succeeded(self):
        # Each task leaves a line when it begins and one when it has done its work.
        script = f"echo begin {{}} >> {self.witness}; sleep 0.02; echo done {{}} >> {self.witness}; echo {{}}"
        command = ["--joblog", self.log, "--", "sh", "-c", script]
        items = "".join(f"{i}\n" for i in range(1, 101))
        output = ""
        for kill_at in (10, 30, 60):
            source = self.here.directory / "items"
            source.write_text(items, encoding="utf-8")
            arguments = ["--resume", *command] if kill_at > 10 else command
            process = self.begin("-a", source, *arguments, stdin=subprocess.DEVNULL)
            eventually(lambda: self.log.exists() and len(self.seqs()) >= kill_at, 60 * harness.PATIENCE, f"{kill_at} are logged")
            process.kill()
            output += process.communicate()[0]
            self.assertEqual(process.returncode, -signal.SIGKILL)
        output += self.map("--resume", *command, items=items).stdout
        self.assertEqual(sorted(self.seqs()), list(range(1, 101)))
        done = [line.split()[1] for line in self.witness.read_text(encoding="utf-8").splitlines() if line.startswith("done")]
        # A task that a kill cut short runs again; one that had done its work may have been cancelled on its last instruction only.
        succeeded = [task for task in self.all_tasks() if task["state"] == "SUCCEEDED"]
        argvs = [" ".join(task["command"]["argv"]) for task in succeeded]
        self.assertEqual(len(argvs), len(set(argvs)), "a task succeeded twice")
        self.assertEqual(len(argvs), 100)
        self.assertEqual({int(line) for line in output.split()}, set(range(1, 101)), "no output is missing")
        self.assertGreaterEqual(len(done), 100)
        self.assertFalse(pathlib.Path(f"{self.log}.run").exists())

    def all_tasks(self):
        tasks, token = [], ""
        while True:
            page = self.control.call("Tasks/List", {"page_size": 1000, "page_token": token})
            tasks += page["tasks"]
            token = page["nextPageToken"]
            if not token:
                return tasks

    def test_a_map_killed_before_its_first_line_knows_what_had_succeeded(self):
        # The map is stopped, so that its tasks succeed and none is logged.
        command = ["--joblog", self.log, "--", "sh", "-c", f"read line < {self.here.directory}/gate; echo {{}} | tee -a {self.witness}"]
        os.mkfifo(self.here.directory / "gate")
        process = self.begin(*command, ":::", "1", "2", stdin=subprocess.DEVNULL)
        eventually(lambda: self.control.pool("default")["running"] == 2, 20 * harness.PATIENCE, "both run")
        process.send_signal(signal.SIGSTOP)
        with open(self.here.directory / "gate", "w", encoding="utf-8") as gate:
            gate.write("go\ngo\n")
            gate.flush()
            eventually(lambda: self.control.pool("default")["succeeded"] == "2", 20 * harness.PATIENCE, "both have succeeded")
        process.kill()
        process.wait()
        self.assertEqual(self.seqs(), [])
        ended = self.map("--resume", *command, ":::", "1", "2")
        self.assertEqual(sorted(ended.stdout.split()), ["1", "2"])
        self.assertEqual(sorted(self.witness.read_text(encoding="utf-8").split()), ["1", "2"])
        self.assertEqual(sorted(self.seqs()), [1, 2])


class Ends(MapTest):
    def test_halt_soon_lets_end_what_runs(self):
        script = f"test {{}} != 1 || exit 1; test {{}} != 2 || sleep 0.5; echo {{}} >> {self.witness}"
        ended = self.map("--halt", "soon,fail=1", "--", "sh", "-c", script, items=range(1, 100), expect=1)
        self.assertIn("2", self.witness.read_text(encoding="utf-8").split())
        self.assertLess(len(self.witness.read_text(encoding="utf-8").split()), 4)
        self.assertIn("1 of 2 tasks failed", ended.stderr)

    def test_halt_now_cancels_what_runs(self):
        self.map("--joblog", self.log, "--halt", "now,fail=1", "--", "sh", "-c", "test {} != 1 || exit 1; exec sleep 60", ":::", "1", "2", "3", expect=1)
        self.assertEqual(self.seqs(), [1])

    def test_halt_at_the_first_success_is_a_success(self):
        self.map("--halt", "now,success=1", "--", "sh", "-c", "test {} != 1 && exit 1; true", ":::", "2", "1", "3")

    def test_halt_at_a_share(self):
        ended = self.map("--halt", "soon,fail=50%", "--", "sh", "-c", "exit 1", items=range(100), expect=1)
        self.assertRegex(ended.stderr, r"\b[34] of [34] tasks failed")

    def test_interrupt_cancels_what_runs(self):
        process = self.begin("--", "sh", "-c", "echo {}; exec sleep 60", ":::", *"abcd")
        eventually(lambda: self.control.pool("default")["running"] >= 2, 20 * harness.PATIENCE, "some run")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20 * harness.PATIENCE), 130)
        pool = self.control.pool("default")
        self.assertEqual((pool["running"], pool["queued"], pool["cancelled"]), (0, 0, "4"))

    def test_a_second_interrupt_does_not_wait(self):
        process = self.begin("--", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done", ":::", "a")
        eventually(lambda: self.control.pool("default")["running"] == 1, 20 * harness.PATIENCE, "it runs")
        process.send_signal(signal.SIGINT)
        self.assertIn("cancelling 1", process.stderr.readline())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20 * harness.PATIENCE), 130)

    def test_jobs_is_how_many_are_in_flight(self):
        self.map("--jobs", "1", "--", "sh", "-c", f"mkdir {self.here.directory}/alone && sleep 0.01 && rmdir {self.here.directory}/alone", items=range(20))

    def test_a_full_queue_is_waited_for(self):
        here = self.daemon({"default": {**harness.COMMANDS, "queue_size": 3}}).wait_ready()
        line = here.poolctl_line("map", "--jobs", "50", "-k", "echo", ":::", *range(200))
        ended = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60 * harness.PATIENCE, env=here.poolctl_environment())
        self.assertEqual((ended.returncode, ended.stdout.split()), (0, [str(i) for i in range(200)]), ended.stderr)

    def test_an_engine_that_dies_ends_a_map_that_shall_not_reconnect(self):
        process = self.begin("--reconnect", "0", "--joblog", self.log, "--", "sh", "-c", "exec sleep 60", ":::", "a")
        eventually(lambda: self.control.pool("default")["running"] == 1, 20 * harness.PATIENCE, "it runs")
        processes.kill_exactly(self.here.engine())
        _, stderr = process.communicate(timeout=20 * harness.PATIENCE)
        self.assertEqual(process.returncode, 75, stderr)
        self.assertIn("--resume", stderr)
        self.here.wait_healthy()


class Million(MapTest):
    @harness.performance
    def test_a_million_items_take_little_memory(self):
        with subprocess.Popen(["seq", "1000000"], stdout=subprocess.PIPE) as source:
            process = subprocess.Popen(self.here.poolctl_line("map", "--pool", "math", "--function", "noop", "{}"), stdin=source.stdout,
                                       stdout=subprocess.PIPE, env=self.here.poolctl_environment())
            source.stdout.close()
            lines = 0
            while data := process.stdout.read(1 << 20):
                lines += data.count(b"\n")
            process.stdout.close()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual((process.returncode, lines), (0, 1_000_000))
        self.assertLess(usage.ru_maxrss, 50 << 10, "KiB of poolctl at its largest")


if __name__ == "__main__":
    harness.main()
