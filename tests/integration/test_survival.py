"""The supervisor dies, and what runs in disk pools goes on: it is finished once, by the same process, and the next daemon has its outcome.

Commands and functions here wait for a pipe that is opened after the kill, so that every one of them was running when the supervisor died.
POOLD_SUPERVISOR_KILLS and POOLD_ENGINE_KILLS make it longer (50 and 100 for the whole proof).
"""

import collections
import os
import pathlib
import signal
import unittest

import harness
import processes
from control import eventually

SUPERVISOR_KILLS = int(os.environ.get("POOLD_SUPERVISOR_KILLS", 5))
ENGINE_KILLS = int(os.environ.get("POOLD_ENGINE_KILLS", 5))
# Says when it starts and when it ends, and waits in between until somebody opens the gate.
SCRIPT = 'echo "S $2 $$" >> "$1/witness"; read word < "$1/gate.$2"; echo "E $2 $$" >> "$1/witness"; echo "said $word"; exit $3'


class SurvivalTest(harness.DaemonTest):
    def begin(self, **default):
        here = self.daemon({"default": {"kind": "command", "durability": "disk", "workers": 4, **default}}).wait_ready()
        self.witness = here.directory / "witness"
        return here

    def submit(self, here, tag, code=0, **options):
        """A command that runs until its gate is opened."""
        gate = here.directory / f"gate.{tag}"
        os.mkfifo(gate)
        return here.client().submit(["/bin/sh", "-c", SCRIPT, "sh", str(here.directory), str(tag), str(code)], **options)

    def open_gate(self, here, tag):
        with open(here.directory / f"gate.{tag}", "w", encoding="ascii") as gate:
            gate.write("go\n")

    def lines(self):
        return [line.split() for line in self.witness.read_text().splitlines()] if self.witness.exists() else []

    def wait_started(self, count):
        eventually(lambda: len([line for line in self.lines() if line[0] == "S"]) == count, what=f"{count} run")

    def kill_supervisor(self, here):
        """Dead, with its engine."""
        engine = here.engine()
        here.kill()
        if engine:
            self.assertEqual(processes.wait_gone([engine.pid], 20 * harness.PATIENCE), [], "the engine goes with it")

    def kill_engine(self, here):
        engine = here.engine()
        processes.kill_exactly(engine)
        eventually(lambda: (e := here.engine()) and e.pid != engine.pid, what="another engine")
        here.wait_healthy()

    def files(self, here):
        return sorted((here.state / "workers").iterdir())


class Survival(SurvivalTest):
    def rounds(self, count, kill, after):
        here = self.begin()
        tag = 0
        for number in range(count):
            ids = {}
            for _ in range(4):
                tag += 1
                ids[tag] = self.submit(here, tag, tag % 3)
            self.wait_started(tag)
            kill(here)
            # Some end while there is nobody, some when the next daemon serves.
            early = [t for t in ids if (t + number) % 4 < 2] if after else []
            for t in early:
                self.open_gate(here, t)
            eventually(lambda: {line[1] for line in self.lines() if line[0] == "E"} >= {str(t) for t in early}, what="those end")
            if after:
                here.start()
            for t in ids:
                if t not in early:
                    self.open_gate(here, t)
            for t, task in zip(ids, here.client().wait(*ids.values())):
                self.assertEqual((task["attempt"], task["crashes"]), (1, 0), task)
                self.assertEnded(task, "EXITED", exitCode=t % 3)
                self.assertEqual(here.poolctl("logs", task["id"]).stdout, "said go\n")
        seen = collections.Counter(line[0] + line[1] for line in self.lines())
        self.assertEqual(set(seen.values()), {1}, "each started once and ended once")
        self.assertEqual(len(seen), 2 * tag)
        here.wait_ready()
        self.assertEqual(len(self.files(here)), 4, "one file for each worker that lives")

    def test_long_tasks_run_once_whatever_becomes_of_the_supervisor(self):
        self.rounds(SUPERVISOR_KILLS, self.kill_supervisor, True)

    def test_long_tasks_run_once_whatever_becomes_of_the_engine(self):
        self.rounds(ENGINE_KILLS, self.kill_engine, False)

    def test_an_orphan_outlives_several_supervisors(self):
        here = self.begin()
        task = self.submit(here, 1, 2)
        self.wait_started(1)
        for _ in range(3):
            self.kill_supervisor(here)
            here.start()
            self.assertEqual(here.client().task(task)["state"], "RUNNING")
        self.kill_engine(here)
        self.open_gate(here, 1)
        [ended] = here.client().wait(task)
        self.assertEnded(ended, "EXITED", exitCode=2)
        self.assertEqual((ended["attempt"], len(self.lines())), (1, 2))

    def test_an_orphan_that_nobody_adopts_ends_after_its_attempt(self):
        here = self.begin()
        self.submit(here, 1)
        self.wait_started(1)
        self.kill_supervisor(here)
        self.open_gate(here, 1)
        eventually(lambda: not here.left_behind(), what="everything has ended")

    def test_a_function_goes_on_and_one_that_only_waited_is_run_by_the_next(self):
        plugin = str(harness.LIBRARY / "libpoold_witness.so")
        here = self.daemon({"math": {"kind": "function", "plugin": plugin, "durability": "disk", "workers": 1}}).wait_ready()
        self.witness = here.directory / "witness"
        ids = [here.client().call("Tasks/Submit", {"pool": "math", "function": {"name": "witness", "args": [str(self.witness), tag, 400_000]}})["id"]
               for tag in (1, 2)]
        self.wait_started(1)
        self.kill_supervisor(here)
        here.start()
        for tag, task in zip((1, 2), here.client().wait(*ids)):
            self.assertEnded(task, "RETURNED", value=tag * 7 + 1)
            self.assertEqual((task["attempt"], task["crashes"]), (1, 0), task)
        self.assertEqual([line[0] for line in self.lines()], ["S", "E"] * 2)

    def test_cancel_reaches_an_orphan(self):
        here = self.begin()
        task = self.submit(here, 1)
        self.wait_started(1)
        self.kill_supervisor(here)
        here.start()
        control = here.client()
        control.call("Tasks/Cancel", {"id": task})
        self.assertEqual([t["state"] for t in control.wait(task)], ["CANCELLED"])
        self.assertEqual(len(self.lines()), 1)
        here.wait_ready()

    def test_a_time_limit_holds_for_an_orphan_with_and_without_a_daemon(self):
        here = self.begin()
        tasks = [self.submit(here, tag, timeout="3s", grace="1s") for tag in (1, 2)]
        self.wait_started(2)
        self.kill_supervisor(here)
        eventually(lambda: not here.left_behind(), what="their time is over")
        here.start()
        for task in here.client().wait(*tasks):
            self.assertEnded(task, "TIMED_OUT")
        self.assertEqual(len(self.lines()), 2)

    def test_an_orphan_that_was_killed_costs_a_crash_and_runs_again(self):
        here = self.begin()
        task = self.submit(here, 1)
        self.wait_started(1)
        worker = next(p for p in here.worker_processes() if processes.children(p.pid))
        shell = self.lines()[0][2]
        self.kill_supervisor(here)
        eventually(lambda: any(p.read_bytes()[1024:1028] == b"said" for p in self.files(here)), what="it knows that it is an orphan")
        processes.kill_exactly(worker)
        eventually(lambda: not processes.alive(worker.pid), what="it is dead")
        here.start()
        self.wait_started(2)
        self.assertFalse(processes.alive(int(shell)), "what the first attempt left is gone before the second starts")
        self.open_gate(here, 1)
        [ended] = here.client().wait(task)
        self.assertEnded(ended, "EXITED", exitCode=0)
        self.assertEqual((ended["attempt"], ended["crashes"]), (2, 1), ended)

    def test_a_stop_ends_orphans_and_the_next_daemon_runs_their_tasks(self):
        here = self.begin()
        task = self.submit(here, 1)
        self.wait_started(1)
        self.kill_supervisor(here)
        here.start()
        self.assertEqual(here.stop(), 0)
        self.assertEqual(here.left_behind(), [])
        here.start()
        self.wait_started(2)
        self.open_gate(here, 1)
        [ended] = here.client().wait(task)
        self.assertEnded(ended, "EXITED", exitCode=0)
        self.assertEqual(ended["crashes"], 0, ended)

    def test_a_dead_worker_that_fell_behind_leaves_no_file(self):
        here = self.begin()
        before = self.files(here)
        self.assertEqual(len(before), 4)
        processes.kill_exactly(here.worker_processes()[0])
        eventually(lambda: len(self.files(here)) == 4 and self.files(here) != before, what="another worker")
        self.assertEqual(here.stop(), 0)
        self.assertEqual(self.files(here), [])


class WrongFiles(SurvivalTest):
    """What is no worker file of ours is refused with its reason, left where it is, and changes nothing."""

    def plant(self, here):
        here.start().wait_ready()
        self.assertEqual(here.stop(), 0)
        return here.state / "workers"

    def refused_for(self, here, path, reason):
        before = os.lstat(path)
        here.start().wait_ready()
        lines = [line for line in here.log().splitlines() if str(path) in line]
        self.assertTrue(any(reason in line for line in lines), (reason, lines))
        self.assertEqual(os.lstat(path).st_ino, before.st_ino, "it is left alone")
        self.assertEqual(here.poolctl("run", "--", "echo", "fine").stdout, "fine\n")

    def begin_stopped(self):
        here = self.daemon({"default": {"kind": "command", "durability": "disk", "workers": 1}}, start=False)
        return here, self.plant(here)

    def head(self, pid, start=1, pool="default", slot=0, generation=1):
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        text = "\n".join(["poold worker 1", pool, str(slot), str(generation), str(pid), str(start), boot, ""])
        return text.encode().ljust(4096, b"\0")

    def test_a_symbolic_link(self):
        here, workers = self.begin_stopped()
        target = here.directory / "precious"
        target.write_text("precious")
        path = workers / "default.0.1.1"
        path.symlink_to(target)
        self.refused_for(here, path, "symbolic link")
        self.assertEqual(target.read_text(), "precious")

    def test_a_fifo_a_directory_and_a_file_without_a_head(self):
        here, workers = self.begin_stopped()
        os.mkfifo(workers / "default.0.1.1")
        (workers / "default.0.1.2").mkdir()
        (workers / "default.0.1.3").write_text("hello")
        os.chmod(workers / "default.0.1.3", 0o600)
        self.refused_for(here, workers / "default.0.1.1", "no regular file")
        self.assertIn("Is a directory", here.log())
        self.assertIn("it has no head", here.log())

    def test_a_file_with_a_second_name_or_that_others_may_write(self):
        here, workers = self.begin_stopped()
        for number, name in enumerate(("default.0.1.1", "default.0.1.2")):
            (workers / name).write_bytes(self.head(os.getpid()))
            os.chmod(workers / name, 0o666 if number else 0o600)
        os.link(workers / "default.0.1.1", here.directory / "second")
        self.refused_for(here, workers / "default.0.1.1", "2 names")
        self.assertIn("others may write it", here.log())

    @unittest.skipUnless(os.geteuid() == 0, "only root can give a file away")
    def test_a_file_of_another_user(self):
        here, workers = self.begin_stopped()
        path = workers / "default.0.1.1"
        path.write_bytes(self.head(os.getpid()))
        os.chmod(path, 0o600)
        os.chown(path, 65534, 65534)
        self.refused_for(here, path, "belongs to user 65534")

    def test_a_head_that_is_anothers(self):
        here, workers = self.begin_stopped()
        path = workers / "default.0.2.1"
        path.write_bytes(self.head(os.getpid()))
        os.chmod(path, 0o600)
        self.refused_for(here, path, "another's")

    def test_a_file_that_names_a_living_stranger_is_believed_dead_and_the_stranger_lives(self):
        here, workers = self.begin_stopped()
        stranger = os.fork()
        if stranger == 0:
            os.setsid()
            signal.pause()
            os._exit(0)
        try:
            path = workers / "default.0.1.1"
            path.write_bytes(self.head(stranger, start=processes.look(stranger).start - 1))
            os.chmod(path, 0o600)
            here.start().wait_ready()
            eventually(lambda: not path.exists(), what="the file is dealt with")
            self.assertTrue(processes.alive(stranger))
        finally:
            processes.send(stranger, signal.SIGKILL)  # our own child, not yet waited for
            os.waitpid(stranger, 0)

    def test_last_words_that_are_torn(self):
        here = self.begin()
        task = self.submit(here, 1, 2)
        self.wait_started(1)
        self.kill_supervisor(here)
        self.open_gate(here, 1)
        eventually(lambda: not here.left_behind(), what="the orphan has ended")
        path = next(p for p in self.files(here) if p.read_bytes()[1024:1028] == b"said")
        with open(path, "r+b") as file:
            file.seek(4096)
            first = file.read(1)
            file.seek(0, os.SEEK_END)
            end = file.tell()
            file.seek(4096)
            file.write(bytes([first[0] ^ 0xFF]) * (end - 4096))
        here.start()
        eventually(lambda: "checksum does not fit" in here.log(), what="it is reported")
        self.wait_started(2)
        self.open_gate(here, 1)
        [ended] = here.client().wait(task)
        self.assertEnded(ended, "EXITED", exitCode=2)


if __name__ == "__main__":
    harness.main()
