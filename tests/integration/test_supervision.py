"""Deaths: of workers, of the engine, of the supervisor; what each costs, and that nothing stays behind."""

import signal
import time
import unittest

import harness
import processes
from control import connect, eventually
from frames import Stream

POOLS = {"default": harness.COMMANDS, "math": harness.FUNCTIONS}


def sleepers(daemon):
    return [p for p in processes.marked(harness.MARK, daemon.mark) if p.name == "sleep"]


class WorkerDeath(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon(POOLS).wait_ready()
        self.control = self.here.client()

    def start(self, argv, **spec):
        """Submits a command and waits until it runs; its id and its worker's process."""
        task_id = self.control.submit(argv, **spec)
        task = eventually(lambda: (t := self.control.task(task_id))["state"] == "RUNNING" and t, what="it runs")
        return task_id, processes.look(task["placement"]["pid"])

    def test_killed_worker_costs_one_attempt(self):
        task_id, worker = self.start(["sh", "-c", f"test -e {self.here.directory}/again && exit 0; touch {self.here.directory}/again; sleep 60"])
        eventually((self.here.directory / "again").exists, what="the first attempt got that far")
        processes.kill_exactly(worker)
        task = self.control.wait(task_id)[0]
        self.assertEqual((task["state"], task["attempt"], task["crashes"]), ("SUCCEEDED", 2, 1))

    def test_worker_that_dies_every_time(self):
        task_id = self.control.submit(["sh", "-c", "kill -9 $PPID; sleep 60"], crashAttempts=3)
        task = self.control.wait(task_id)[0]
        self.assertEqual((task["state"], task["attempt"], task["crashes"]), ("FAILED", 3, 3))
        self.assertEnded(task, "WORKER_LOST", signal=9)

    def test_whole_session_is_gone_before_the_next_attempt_starts(self):
        """`sh -c 'sleep 60 & sleep 60'`: each attempt first writes down who of its predecessors is alive."""
        witness = self.here.directory / "witness"
        script = f"""
            for pid in $(cat {witness}.pids 2>/dev/null); do
              stat=$(cat /proc/$pid/stat 2>/dev/null)
              case $stat in ''|*") Z "*|*") X "*) ;; *) echo "overlap $stat" >> {witness};; esac
            done
            echo $$ > {witness}.pids
            sleep 60 & echo $! >> {witness}.pids
            echo attempt >> {witness}
            sleep 60"""
        task_id = self.control.submit(["sh", "-c", script], crashAttempts=20)
        for attempt in range(1, 16):
            eventually(lambda: witness.exists() and witness.read_text().count("attempt") == attempt, what=f"attempt {attempt} runs")
            eventually(lambda: len(sleepers(self.here)) == 2, what="two sleeps run")
            task = self.control.task(task_id)
            self.assertEqual(task["attempt"], attempt)
            worker = processes.look(task["placement"]["pid"])
            self.assertTrue(processes.kill_exactly(worker))
        eventually(lambda: witness.read_text().count("attempt") == 16, what="the last attempt runs")
        self.assertNotIn("overlap", witness.read_text())
        self.control.call("Tasks/Cancel", {"id": task_id})
        self.control.wait(task_id)
        eventually(lambda: not sleepers(self.here), what="no sleep is left")

    def test_command_whose_child_was_left_behind_takes_it_along(self):
        task = self.control.run(["sh", "-c", "sleep 60 & exit 0"])
        self.assertEnded(task, "EXITED", exitCode=0)
        eventually(lambda: not sleepers(self.here), 10 * harness.PATIENCE, "the sleep is gone")

    def test_sigterm_to_a_worker(self):
        before = self.control.workers("default")[0]
        processes.send(before["pid"], signal.SIGTERM)
        eventually(lambda: self.control.workers("default")[0]["generation"] > before["generation"], what="it is replaced")
        self.assertEqual(self.control.run(["true"])["state"], "SUCCEEDED")

    def test_stopped_worker_is_killed_by_a_cancel(self):
        here = self.daemon({"default": {"kind": "command", "workers": 1, "grace": "300ms"}}).wait_ready()
        control = here.client()
        task_id = control.submit(["sleep", "60"])
        eventually(lambda: len(sleepers(here)) == 1, what="it sleeps")
        worker = control.workers()[0]
        processes.send(worker["pid"], signal.SIGSTOP)
        control.call("Tasks/Cancel", {"id": task_id})
        self.assertEqual(control.wait(task_id, timeout=20)[0]["state"], "CANCELLED")
        self.assertEqual(control.run(["true"])["state"], "SUCCEEDED")
        self.assertEqual(sleepers(here), [])

    def test_program_that_is_no_worker_but_closes_its_pipe(self):
        script = self.here.directory / "closer"
        script.write_text("#!/bin/sh\nexec 4>&-\nexec sleep 60\n", encoding="utf-8")
        script.chmod(0o755)
        here = self.daemon({"odd": {"kind": "function", "program": [str(script)], "workers": 1}, "default": harness.COMMANDS})
        control = here.client()
        eventually(lambda: "startError" in control.pool("odd"), 20 * harness.PATIENCE, "it was killed")
        self.assertEqual(control.run(["true"])["state"], "SUCCEEDED")

    def test_program_that_talks_nonsense(self):
        script = self.here.directory / "babbler"
        script.write_text("#!/bin/sh\nexec cat /dev/urandom >&4\n", encoding="utf-8")
        script.chmod(0o755)
        here = self.daemon({"odd": {"kind": "function", "program": [str(script)], "workers": 1}, "default": harness.COMMANDS})
        control = here.client()
        eventually(lambda: control.pool("odd")["state"] == "THROTTLED", 20 * harness.PATIENCE, "it is throttled")
        self.assertEqual(control.run(["true"])["state"], "SUCCEEDED")

    def test_stranger_below_the_supervisor_is_reaped(self):
        """A grandchild that left its session becomes the supervisor's child (it is a subreaper) and must not stay a zombie."""
        task = self.control.run(["sh", "-c", "setsid sh -c 'sleep 0.5' </dev/null >/dev/null 2>&1 & exit 0"])
        self.assertEqual(task["state"], "SUCCEEDED")
        eventually(lambda: not sleepers(self.here), what="the stranger ended")
        eventually(lambda: not processes.zombies_below(self.here.pid), what="no zombie")


class EngineDeath(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon(POOLS).wait_ready()
        self.control = self.here.client()

    def test_engine_is_replaced_and_its_workers_with_it(self):
        old_workers = {w["pid"] for w in self.control.workers()}
        task_id = self.control.submit(["sh", "-c", "sleep 60 & sleep 60"])
        eventually(lambda: len(sleepers(self.here)) == 2, what="it runs")
        engine = self.here.engine()
        processes.kill_exactly(engine)
        begin = time.monotonic()
        self.here.wait_healthy()
        if not harness.SANITIZED:
            self.assertLess(time.monotonic() - begin, 2)
        control = self.here.client()
        info = control.info()
        self.assertEqual((info["engineRestarts"], info["pid"]), (1, self.here.pid))
        self.assertNotEqual(info["enginePid"], engine.pid)
        self.here.wait_ready()
        self.assertFalse(old_workers & {w["pid"] for w in control.workers()})
        self.assertEqual(processes.wait_gone(old_workers, 5 * harness.PATIENCE), [])
        eventually(lambda: not sleepers(self.here), what="what they ran is gone")
        self.refused("not_found", control.call, "Tasks/Get", {"id": task_id})  # memory pools promise nothing
        self.assertEqual(control.run(["true"])["state"], "SUCCEEDED")
        generations = [w["generation"] for w in control.workers()]
        self.assertEqual(generations, [2] * len(generations))

    def test_clients_queue_while_there_is_no_engine(self):
        engine = self.here.engine()
        processes.send(engine.pid, signal.SIGSTOP)
        with connect(self.here.socket, 20 * harness.PATIENCE) as connection:  # never accepted by the old one
            connection.sendall(b"GET /v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            processes.kill_exactly(engine)
            self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 200"))

    def test_many_engine_deaths(self):
        fds = len(processes.descriptors(self.here.pid))
        for number in range(1, 11):
            processes.kill_exactly(self.here.engine())
            eventually(lambda: (e := self.here.engine()) and e.state != "Z", 20, "a new engine")
            self.here.wait_healthy()
            self.assertEqual(self.here.client().info()["engineRestarts"], number)
        self.here.wait_ready()
        self.assertEqual(len(processes.descriptors(self.here.pid)), fds)
        self.assertEqual(processes.zombies_below(self.here.pid), [])


class SupervisorDeath(harness.DaemonTest):
    def test_nothing_outlives_it_for_a_second(self):
        here = self.daemon(POOLS).wait_ready()
        control = here.client()
        for _ in range(2):
            control.submit(["sh", "-c", "sleep 60 & sleep 60"])
        control.submit(["sh", "-c", "trap '' TERM HUP INT; sleep 60 & sleep 60"])
        control.submit(function="spin_ms", args=[60_000], pool="math")
        control.submit(function="sleep_ms", args=[60_000], pool="math")
        eventually(lambda: len(sleepers(here)) == 4, what="all run")
        family = processes.descendants(here.pid)
        self.assertGreaterEqual(len(family), 1 + 4 + 2 + 4)
        here.kill()
        survivors = processes.wait_gone([p.pid for p in family], 1 * harness.PATIENCE)
        self.assertEqual([processes.look(pid) for pid in survivors], [])
        self.assertEqual(here.left_behind(), [])

    def test_new_one_starts_within_two_seconds(self):
        here = self.daemon(POOLS).wait_ready()
        for _ in range(3):
            for _ in range(3):
                here.client().submit(["sh", "-c", "sleep 60 & sleep 60"])
            here.kill()
            begin = time.monotonic()
            here.start()
            if not harness.SANITIZED:
                self.assertLess(time.monotonic() - begin, 2)
            self.assertEqual(here.client().run(["true"])["state"], "SUCCEEDED")

    def test_stopped_engine_is_waited_for(self):
        """The engine cannot see its channel close while it is stopped; it must still be gone with its supervisor."""
        here = self.daemon(POOLS).wait_ready()
        engine = here.engine()
        processes.send(engine.pid, signal.SIGSTOP)
        here.kill()
        self.assertEqual(processes.wait_gone([engine.pid], 1 * harness.PATIENCE), [])
        here.start()


class Leaks(harness.DaemonTest):
    def test_descriptors_of_worker_and_engine(self):
        here = self.daemon(POOLS).wait_ready()
        worker = here.worker_processes()[0]
        fds = processes.descriptors(worker.pid)
        self.assertEqual(set(fds) & {0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 5})
        self.assertFalse([name for fd, name in fds.items() if fd > 5 and not name.startswith("anon_inode:") and "pipe" not in name], fds)
        self.assertEqual(processes.look(worker.pid).session, worker.pid)
        engine = here.engine()
        self.assertEqual(engine.session, engine.pid)

    def test_after_a_thousand_connections_streams_and_worker_deaths(self):
        here = self.daemon(POOLS).wait_ready()
        control = here.client()
        control.run(["true"])

        def counts():
            return len(processes.descriptors(here.pid)), len(processes.descriptors(here.engine().pid))

        before = counts()
        for number in range(1000):
            if number % 10 == 0:
                with Stream(here.socket) as stream:
                    stream.submit(1, function="noop", pool="math")
                    stream.receive()
            else:
                with connect(here.socket) as connection:
                    connection.sendall(b"GET /v1/info HT")
            if number % 50 == 0:
                for worker in here.worker_processes()[:1]:
                    processes.kill_exactly(worker)
        here.wait_ready()
        eventually(lambda: counts() == before, 10 * harness.PATIENCE, f"as many descriptors as before: {before}, {counts()}")
        self.assertEqual(processes.zombies_below(here.pid), [])
        self.assertEqual(len(processes.descendants(here.pid)), 1 + 4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
