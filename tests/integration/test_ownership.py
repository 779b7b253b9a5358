"""Beginnings and orderly ends: who owns a socket and a state directory, and what SIGTERM does."""

import os
import signal
import subprocess
import time
import unittest

import harness
import processes
from control import eventually

POOLS = {"default": harness.COMMANDS, "math": harness.FUNCTIONS}


def sleepers(daemon):
    return [p for p in processes.marked(harness.MARK, daemon.mark) if p.name == "sleep"]


class OrderlyEnd(harness.DaemonTest):
    def test_sigterm_lets_running_tasks_finish(self):
        here = self.daemon(POOLS, stop_timeout="20s").wait_ready()
        done = here.directory / "done"
        here.client().submit(["sh", "-c", f"sleep 0.5; touch {done}"])
        eventually(lambda: sleepers(here), what="it runs")
        self.assertEqual(here.stop(), 0)
        self.assertTrue(done.exists())
        self.assertFalse(os.path.exists(here.socket))
        self.assertEqual(here.left_behind(), [])

    def test_tasks_that_do_not_finish_are_ended(self):
        here = self.daemon({"default": {**harness.COMMANDS, "grace": "300ms"}}, stop_timeout="300ms").wait_ready()
        here.client().submit(["sh", "-c", "trap '' TERM; sleep 60 & sleep 60"])
        eventually(lambda: sleepers(here), what="it runs")
        begin = time.monotonic()
        self.assertEqual(here.stop(), 0)
        self.assertLess(time.monotonic() - begin, 5 * harness.PATIENCE)
        self.assertEqual(here.left_behind(), [])

    def test_second_sigterm_ends_at_once(self):
        here = self.daemon(POOLS, stop_timeout="60s").wait_ready()
        control = here.client()
        control.submit(["sleep", "60"])
        eventually(lambda: sleepers(here), what="it runs")
        here.process.send_signal(signal.SIGTERM)
        eventually(lambda: control.info()["stopping"], what="it is stopping")
        begin = time.monotonic()
        here.stop()
        self.assertLess(time.monotonic() - begin, 8 * harness.PATIENCE)

    def test_new_tasks_are_refused_meanwhile(self):
        here = self.daemon(POOLS, stop_timeout="20s").wait_ready()
        control = here.client()
        task_id = control.submit(["sleep", "1"])
        eventually(lambda: sleepers(here), what="it runs")
        here.process.send_signal(signal.SIGTERM)
        eventually(lambda: control.info()["stopping"], what="it is stopping")
        self.refused("unavailable", control.submit, ["true"])
        self.assertEqual(control.wait(task_id)[0]["state"], "SUCCEEDED")
        self.assertEqual(here.process.wait(20), 0)

    def test_daemon_ends_with_the_program_that_it_is_for(self):
        theirs, ours = os.pipe()
        here = self.daemon(POOLS, start=False)
        line = [*here.command_line(), "--lifeline", str(theirs)]
        here.command_line, here.descriptors = lambda: line, [theirs]
        here.start().wait_ready()
        os.close(theirs)
        here.client().submit(["sleep", "600"])
        eventually(lambda: sleepers(here), what="it runs")
        os.write(ours, b"bytes have no meaning")
        self.assertEqual(len(sleepers(here)), 1)
        os.close(ours)
        self.assertEqual(here.process.wait(60), 0)
        self.assertEqual(here.left_behind(), [])

    def test_idle_daemon_stops_at_once(self):
        here = self.daemon(POOLS, stop_timeout="30s").wait_ready()
        begin = time.monotonic()
        self.assertEqual(here.stop(), 0)
        self.assertLess(time.monotonic() - begin, 2 * harness.PATIENCE)


class Ownership(harness.DaemonTest):
    def refused_start(self, **options):
        """Runs another poold to its end, which must be a refusal; returns what it said."""
        ended = subprocess.run(options["line"], capture_output=True, text=True, timeout=30 * harness.PATIENCE, check=False)
        self.assertNotEqual(ended.returncode, 0)
        return ended.stderr + ended.stdout

    def line(self, here, socket=None, state=None):
        return [harness.BIN / "poold", "--config", here.config, "--socket", socket or here.socket, "--state-dir", state or here.state]

    def test_second_daemon_on_the_same_socket_or_state_directory(self):
        here = self.daemon().wait_ready()
        task_id = here.client().submit(["sleep", "0.5"])
        for line in (self.line(here), self.line(here, state=here.directory / "other"), self.line(here, socket=here.directory / "other.sock")):
            self.assertIn(str(here.pid), self.refused_start(line=line))
        self.assertEqual(here.client().wait(task_id)[0]["state"], "SUCCEEDED")
        self.assertEqual(here.client().info()["engineRestarts"], 0)

    def test_stale_socket_is_replaced(self):
        here = self.daemon()
        here.kill()
        self.assertTrue(os.path.exists(here.socket))
        here.start()
        self.assertEqual(here.client().run(["true"])["state"], "SUCCEEDED")

    def test_anything_else_in_the_sockets_place_is_not_touched(self):
        here = self.daemon(start=False)
        place = here.directory / "control.sock"
        other = here.directory / "precious"
        other.write_text("precious", encoding="utf-8")
        makers = {
            "file": lambda: place.write_text("precious", encoding="utf-8"),
            "directory": place.mkdir,
            "symlink": lambda: place.symlink_to(other),
            "dangling symlink": lambda: place.symlink_to(here.directory / "nothing"),
        }
        for what, make in makers.items():
            with self.subTest(what):
                make()
                self.assertIn(str(place), self.refused_start(line=self.line(here)))
                self.assertTrue(os.path.lexists(place))
                if place.is_dir() and not place.is_symlink():
                    place.rmdir()
                else:
                    place.unlink()
        self.assertEqual(other.read_text(encoding="utf-8"), "precious")

    def test_socket_and_state_directory_are_private(self):
        here = self.daemon()
        self.assertEqual(os.stat(here.socket).st_mode & 0o007, 0)
        self.assertEqual(os.stat(here.state).st_mode & 0o777, 0o700)

    def test_socket_somebody_else_put_there_is_not_removed_at_the_end(self):
        here = self.daemon()
        os.unlink(here.socket)
        (here.directory / "control.sock").write_text("mine", encoding="utf-8")
        self.assertEqual(here.stop(), 0)
        self.assertEqual((here.directory / "control.sock").read_text(encoding="utf-8"), "mine")


if __name__ == "__main__":
    unittest.main(verbosity=2)
