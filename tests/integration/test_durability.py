"""Durable pools: what was accepted is there after every crash, and each answer is kept."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import unittest

import harness
import processes
from control import eventually

DISK = {
    "default": {**harness.COMMANDS, "durability": "disk"},
    "math": {**harness.FUNCTIONS, "durability": "disk"},
}


def sh(text, **spec):
    return {"command": {"argv": ["sh", "-c", text]}, **spec}


class Crash(harness.DaemonTest):
    """The supervisor is killed with SIGKILL, and another one is started."""

    def setUp(self):
        self.here = self.daemon(DISK).wait_ready()
        self.control = self.here.client()

    def crash(self, running=False):
        """Running: something goes on meanwhile, and is the next daemon's to end."""
        self.here.kill()
        if not running:
            eventually(lambda: not self.here.left_behind(), 10 * harness.PATIENCE, "everything of the old daemon is gone")
        self.here.start()
        self.control = self.here.client()

    def submit(self, spec, **more):
        return self.control.call("Tasks/Submit", {**spec, **more})["id"]

    def pause(self, pool="default"):
        self.control.call("Pools/Pause", {"name": pool})

    def test_queued_tasks_run_afterwards_in_their_order(self):
        self.pause()
        ids = [self.submit(sh(f"echo {number} >> {self.here.directory}/order", name=f"n{number}", labels={"n": str(number)})) for number in range(20)]
        self.here.configure({**DISK, "default": {**DISK["default"], "workers": 1}})
        self.crash()
        tasks = self.control.wait(*ids)
        self.assertEqual([task["state"] for task in tasks], ["SUCCEEDED"] * 20)
        self.assertEqual([task["labels"] for task in tasks], [{"n": str(number)} for number in range(20)])
        self.assertEqual((self.here.directory / "order").read_text().split(), [str(number) for number in range(20)])

    def test_results_and_logs_are_kept(self):
        ids = [self.submit(sh("echo out; exit 3")), self.submit({"pool": "math", "function": {"name": "add", "args": [1, 2]}})]
        before = self.control.wait(*ids)
        self.crash()
        self.assertEqual([self.control.task(number) for number in ids], before)
        self.assertEqual(self.here.poolctl("logs", ids[0]).stdout, "out\n")

    def test_large_work_and_result(self):
        text = "x" * 300_000
        task = self.submit({"pool": "math", "function": {"name": "echo", "args": [text]}})
        self.control.wait(task)
        self.pause("math")
        queued = self.submit({"pool": "math", "function": {"name": "echo", "args": [text]}})
        self.crash()
        self.assertEqual(self.control.task(task)["outcome"]["value"], text)
        self.assertEqual(self.control.wait(queued)[0]["outcome"]["value"], text)

    def test_keys_find_their_tasks(self):
        ended = self.submit(sh("true", key="ended"))
        self.control.wait(ended)
        self.pause()
        queued = self.submit(sh("true", key="queued"))
        self.crash()
        self.assertEqual(self.submit(sh("true", key="ended")), ended)
        self.assertEqual(self.submit(sh("true", key="queued")), queued)
        self.refused("already_exists", self.submit, sh("false", key="queued"))

    def test_options_are_kept(self):
        held = self.submit(sh("true", hold=True))
        late = self.submit(sh("true", delay="3600s"))
        child = self.submit(sh("true", after=[held]))
        limited = self.submit(sh("true", limits={"gpu": 1}, hold=True, priority=7))
        self.control.call("Tasks/Release", {"id": limited})
        self.control.wait(limited)
        self.crash()
        self.assertEqual([self.control.task(task)["state"] for task in (held, late, child)], ["WAITING"] * 3)
        self.assertEqual(self.control.task(limited)["priority"], 7)
        self.assertIn(held, self.here.poolctl("explain", child).stdout)
        self.assertIn("held", self.here.poolctl("explain", held).stdout)
        self.control.call("Tasks/Release", {"id": held})
        self.assertEqual([task["state"] for task in self.control.wait(held, child)], ["SUCCEEDED"] * 2)
        self.control.call("Tasks/Cancel", {"id": late})

    def test_parent_that_ended_before(self):
        good, bad = self.submit(sh("true")), self.submit(sh("false"))
        self.control.wait(good, bad)
        self.pause()
        children = [self.submit(sh("true", after=[parent])) for parent in (good,)]
        self.crash()
        self.assertEqual([task["state"] for task in self.control.wait(*children)], ["SUCCEEDED"])
        orphan = self.submit(sh("true", after=[bad]))
        self.assertEqual(self.control.wait(orphan)[0]["state"], "CANCELLED")

    def test_hold_release_and_cancel_that_were_answered(self):
        self.pause()
        tasks = [self.submit(sh("true")) for _ in range(3)]
        self.control.call("Tasks/Hold", {"id": tasks[0]})
        self.control.call("Tasks/Hold", {"id": tasks[1]})
        self.control.call("Tasks/Release", {"id": tasks[1]})
        self.control.call("Tasks/Cancel", {"id": tasks[2]})
        self.crash()
        self.assertEqual(self.control.wait(tasks[1])[0]["state"], "SUCCEEDED")
        self.assertEqual([self.control.task(task)["state"] for task in tasks], ["WAITING", "SUCCEEDED", "CANCELLED"])

    def test_cancel_of_a_running_task_that_was_answered(self):
        task = self.submit(sh("trap '' TERM; sleep 60 & wait; sleep 60"))
        eventually(lambda: self.control.task(task)["state"] == "RUNNING", what="it runs")
        worker = next(worker["pid"] for worker in self.control.workers("default") if worker["state"] == "BUSY")
        os.kill(worker, signal.SIGSTOP)  # it cannot hear of it
        self.control.call("Tasks/Cancel", {"id": task})
        self.here.kill()
        os.kill(worker, signal.SIGCONT)
        self.crash(running=True)
        self.assertEqual(self.control.wait(task)[0]["state"], "CANCELLED")

    def test_retried_task_runs_again(self):
        task = self.submit(sh(f"test -e {self.here.directory}/go"))
        self.control.wait(task)
        (self.here.directory / "go").touch()
        self.pause()
        self.control.call("Tasks/Retry", {"id": task})
        self.crash()
        ended = self.control.wait(task)[0]
        self.assertEqual((ended["state"], ended["attempt"]), ("SUCCEEDED", 2))

    def test_failures_are_counted_on(self):
        flag = self.here.directory / "flag"
        task = self.submit(sh(f"test -e {flag} || {{ touch {flag}; exit 1; }}; exit 2", attempts=2, backoff="3s"))
        eventually(flag.exists, what="the first attempt runs")
        eventually(lambda: self.control.task(task)["state"] == "WAITING", what="it waits for the second")
        self.crash()
        ended = self.control.wait(task)[0]
        self.assertEqual((ended["attempt"], ended["outcome"]["exitCode"]), (2, 2))

    def test_pool_that_is_gone_keeps_its_tasks(self):
        self.pause()
        task = self.submit(sh("true"))
        self.here.configure({"math": DISK["math"]})
        self.crash()
        self.refused("not_found", self.control.task, task)
        self.assertIn("1 tasks in the store are left there", self.here.log())
        self.here.configure(DISK)
        self.control.call("Daemon/Reload")
        self.assertEqual(self.control.wait(task)[0]["state"], "SUCCEEDED")

    def test_forgotten_tasks_do_not_come_back(self):
        self.here.configure({**DISK, "default": {**DISK["default"], "retention": {"count": 2}}})
        self.crash()
        tasks = [self.submit(sh("true", key=f"k{number}")) for number in range(6)]
        for task in tasks:
            eventually(lambda task=task: self.states(task) in ([], ["SUCCEEDED"]), what="it ended, or was forgotten")
        self.crash()
        kept = [bool(self.states(task)) for task in tasks]
        self.assertEqual(sum(kept), 2, "the last two that ended")
        gone = kept.index(False)
        self.assertNotEqual(self.submit(sh("true", key=f"k{gone}")), tasks[gone])

    def states(self, task):
        return [found["state"] for found in self.control.call("Tasks/List", {"selector": {"ids": [task]}})["tasks"]]

    def test_wait_and_run_after_the_crash(self):
        self.pause()
        task = self.submit(sh("exit 9"))
        self.crash()
        self.assertEqual(self.here.poolctl("wait", task).returncode, 9)


class Stop(harness.DaemonTest):
    def test_what_has_not_ended_waits_for_the_next_start_uncharged(self):
        here = self.daemon(DISK, stop_timeout="0s").wait_ready()
        control = here.client()
        flag = here.directory / "flag"
        running = control.submit(["sh", "-c", f"echo x >> {flag}; test $(wc -l < {flag}) -gt 1 || sleep 60"])
        eventually(flag.exists, what="it runs")
        control.call("Pools/Pause", {"name": "default"})
        queued = control.submit(["true"])
        self.assertEqual(here.stop(), 0)
        here.start()
        tasks = here.client().wait(running, queued)
        self.assertEqual([(t["state"], t["attempt"], t["crashes"]) for t in tasks], [("SUCCEEDED", 2, 0), ("SUCCEEDED", 1, 0)])

    def test_result_that_comes_in_time_counts(self):
        here = self.daemon(DISK, stop_timeout="60s").wait_ready()
        control = here.client()
        fifo = here.directory / "fifo"
        os.mkfifo(fifo)
        task = control.submit(["sh", "-c", f"read x < {fifo}; exit 4"])
        eventually(lambda: control.task(task)["state"] == "RUNNING", what="it runs")
        here.process.send_signal(signal.SIGTERM)
        fifo.write_text("go\n")
        self.assertEqual(here.process.wait(60 * harness.PATIENCE), 0)
        here.start()
        self.assertEqual(here.client().task(task)["outcome"]["exitCode"], 4)


class Store(harness.DaemonTest):
    """A store that cannot be used: the daemon does not start, says why, and changes nothing."""

    def refuses(self, here, *words):
        here.spawn()
        self.assertEqual(here.process.wait(20 * harness.PATIENCE), 1, here.log())
        for word in words:
            self.assertIn(word, here.log())

    def used(self):
        here = self.daemon(DISK).wait_ready()
        here.client().run(["true"])
        here.stop()
        return here, here.state / "poold.db"

    def test_newer_schema(self):
        here, path = self.used()
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA user_version=99")
        self.refuses(here, "schema version 99", "newer")

    def test_database_of_another_program(self):
        here, path = self.used()
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA application_id=1")
        self.refuses(here, "another program")

    def test_damaged_file(self):
        here, path = self.used()
        damaged = b"not a database at all" * 1000
        path.write_bytes(damaged)
        self.refuses(here, "not a database", "nothing was changed")
        self.assertEqual(path.read_bytes(), damaged)

    def test_database_that_another_process_uses(self):
        here, path = self.used()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
            database.execute("BEGIN EXCLUSIVE")
            self.refuses(here, f"{path}: is in use by another process")
        here.start().wait_ready()

    def test_file_that_cannot_be_opened(self):
        here = self.daemon(DISK, start=False)
        (here.state / "poold.db").mkdir(parents=True)
        self.refuses(here, f"cannot open {here.state}/poold.db")

    @unittest.skipUnless(os.geteuid() == 0, "mounting takes root")
    def test_state_directory_that_is_read_only(self):
        here = self.daemon(DISK, start=False)
        here.state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m,mode=700", "poold-test", here.state], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", here.state], check=True)
        self.refuses(here, str(here.state), "Read-only file system")

    def test_state_directory_that_cannot_be_made(self):
        here = self.daemon(DISK, start=False)
        here.state = here.directory / "file" / "state"
        (here.directory / "file").touch()
        self.refuses(here, f"{here.directory}/file", "irectory")

    def test_engine_that_finds_no_store_later_is_tried_again(self):
        here = self.daemon(DISK).wait_ready()
        path = here.state / "poold.db"
        here.client().call("Pools/Pause", {"name": "default"})
        task = here.client().submit(["true"])
        engine = here.engine()
        moved = here.state / "moved"
        path.rename(moved)
        path.mkdir()
        processes.kill_exactly(engine)
        eventually(lambda: "cannot open" in here.log(), 20 * harness.PATIENCE, "another engine found no store")
        path.rmdir()
        moved.rename(path)
        here.wait_healthy()
        self.assertEqual(here.client().wait(task)[0]["state"], "SUCCEEDED")

    def test_file_belongs_to_nobody_else(self):
        _, path = self.used()
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)


class FullDisk(harness.DaemonTest):
    """A state directory of 8 MiB, filled."""

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("mounting a tmpfs takes root; tests/conformance/store runs a full store instead")

    def setUp(self):
        witness = {**DISK["math"], "plugin": str(harness.LIBRARY / "libpoold_witness.so")}
        self.here = self.daemon({**DISK, "math": witness}, start=False)
        self.here.state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "poold-test", self.here.state], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.here.state], check=True)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notify.close)
        self.notify.bind(str(self.here.directory / "notify"))
        self.notify.settimeout(20 * harness.PATIENCE)
        self.here.environment["NOTIFY_SOCKET"] = str(self.here.directory / "notify")
        self.here.start().wait_ready()
        self.control = self.here.client()

    def status_line(self, fits):
        """The next one that the service manager is told and that fits."""
        while True:
            for line in self.notify.recv(4096).decode().splitlines():
                if line.startswith("STATUS=") and fits(line):
                    return line

    def health(self):
        status, _, body = self.control.request("GET", "/healthz")
        self.assertEqual(status, 200)
        return body.decode()

    def metric(self):
        lines = self.control.request("GET", "/metrics")[2].decode().splitlines()
        return next(line for line in lines if line.startswith("poold_degraded"))

    def test_everybody_is_told_while_it_lasts(self):
        control = self.control
        self.assertEqual((control.info()["degraded"], self.health(), self.metric()), ("", "ok\n", "poold_degraded 0"))
        self.fill()
        self.refused("unavailable", lambda: [control.submit(["true"], name="x" * 200) for _ in range(10_000)])
        reason = control.info()["degraded"]
        self.assertRegex(reason, "poold.db.*full")
        self.assertEqual((self.health(), self.metric()), (f"degraded: {reason}\n", "poold_degraded 1"))
        self.assertIn(f"degraded: {reason}", self.here.poolctl("daemon", "info").stdout)
        self.assertIn(reason, self.status_line(lambda line: "Degraded" in line))
        os.unlink(self.here.state / "filler")
        self.status_line(lambda line: "Degraded" not in line)
        eventually(lambda: control.info()["degraded"] == "", what="it has healed")
        self.assertEqual((self.health(), self.metric()), ("ok\n", "poold_degraded 0"))
        self.assertRegex(self.here.poolctl("daemon", "info").stdout, r"state: +running")

    def fill(self):
        with open(self.here.state / "filler", "wb", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while filler.write(b"x" * 65536):
                    pass

    def test_refusal_then_recovery_without_a_loss(self):
        control = self.control
        fifo = self.here.directory / "fifo"
        os.mkfifo(fifo)
        running = control.submit(["sh", "-c", f"read x < {fifo}"])
        eventually(lambda: control.task(running)["state"] == "RUNNING", what="it runs")
        accepted = {}

        def submit(number):
            spec = {"pool": "math", "name": "x" * 200, "function": {"name": "witness", "args": [str(self.here.directory / "ran"), number, 0]}}
            accepted[number] = control.call("Tasks/Submit", spec)["id"]

        for number in range(5):
            submit(number)
        engine = self.here.engine().pid
        self.fill()
        for number in range(5, 10_000):
            try:
                submit(number)
            except harness.ConnectError as error:
                self.assertEqual(error.code, "unavailable")
                self.assertRegex(str(error), "full|no space|disk")
                break
        else:
            self.fail("a full disk takes everything")
        self.refused("unavailable", control.submit, ["true"])
        fifo.write_text("go\n")
        os.unlink(self.here.state / "filler")
        eventually(lambda: self.takes(control), 10 * harness.PATIENCE, "it takes tasks again")
        self.assertEqual({task["state"] for task in control.wait(running, *accepted.values())}, {"SUCCEEDED"})
        ran = [int(line.split()[1]) for line in (self.here.directory / "ran").read_text().splitlines() if line.startswith("S")]
        self.assertEqual(sorted(ran), sorted(accepted), "what was refused has not run")
        self.assertEqual(self.here.engine().pid, engine, "nothing was restarted")

    def takes(self, control):
        try:
            return bool(control.submit(["true"]))
        except harness.ConnectError:
            return False


class Engine(harness.DaemonTest):
    def test_tasks_survive_their_engine(self):
        here = self.daemon(DISK).wait_ready()
        control = here.client()
        control.call("Pools/Pause", {"name": "math"})
        tasks = [control.submit(["true"]) for _ in range(50)]
        tasks += [control.call("Tasks/Submit", {"pool": "math", "function": {"name": "noop"}})["id"] for _ in range(50)]
        engine = here.engine()
        processes.kill_exactly(engine)
        eventually(lambda: (e := here.engine()) and e.pid != engine.pid, what="another engine")
        here.wait_healthy()
        states = {task["state"] for task in here.client().wait(*tasks)}
        self.assertEqual(states, {"SUCCEEDED"})


if __name__ == "__main__":
    harness.main()
