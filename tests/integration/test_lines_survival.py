"""Programs that speak lines, in a disk pool: engine and supervisor die while they work, they know nothing of it, and each attempt runs once."""

import os
import signal

import harness
import processes
from control import eventually
from test_lines import PROGRAM, lines_pool
from test_survival import SurvivalTest


class LinesSurvival(SurvivalTest):
    def begin(self, workers=2, **settings):
        here = self.daemon(start=False)
        program = here.directory / "program.sh"
        program.write_text(PROGRAM, encoding="utf-8")
        program.chmod(0o755)
        here.configure({"sh": lines_pool(program, workers=workers, durability="disk", **settings)})
        here.start().wait_ready()
        self.witness = here.directory / "witness"
        return here

    def submit(self, here, tag, then="ok $x", **options):
        """A function that waits at its gate for what it returns. Its shell is the program itself."""
        gate = here.directory / f"gate.{tag}"
        os.mkfifo(gate)
        shell = f"echo S {tag} $$ >> {self.witness}; read x < {gate}; echo said $x >&2; echo E {tag} $$ >> {self.witness}; {then}"
        return here.client().submit(function="any", args=[shell], pool="sh", **options)

    def open_gate(self, here, tag, value=7):
        with open(here.directory / f"gate.{tag}", "w", encoding="ascii") as gate:
            gate.write(f"{value}\n")

    def wait_said(self, tag):
        eventually(lambda: any(line[:2] == ["E", str(tag)] for line in self.lines()), 20 * harness.PATIENCE, "it goes on")

    def assertRanOnce(self, here, task, tag, value=7):
        [ended] = here.client().wait(task)
        self.assertEnded(ended, "RETURNED", value=value)
        self.assertEqual((ended["attempt"], ended["crashes"]), (1, 0), ended)
        records = [line for line in self.lines() if line[1] == str(tag)]
        self.assertEqual([line[0] for line in records], ["S", "E"])
        self.assertEqual(records[0][2], records[1][2], "the same process")
        self.assertEqual(here.poolctl("logs", task).stderr, f"said {value}\n")

    def test_engine_dies_while_it_works(self):
        here = self.begin()
        before = {worker["pid"] for worker in here.client().workers("sh")}
        tasks = {tag: self.submit(here, tag) for tag in (1, 2)}
        self.wait_started(2)
        for _ in range(3):
            self.kill_engine(here)
        for tag, task in tasks.items():
            self.open_gate(here, tag, tag)
            self.assertRanOnce(here, task, tag, tag)
        here.wait_ready()
        self.assertEqual({worker["pid"] for worker in here.client().workers("sh")}, before)
        self.submit(here, 3)
        self.wait_started(3)
        self.open_gate(here, 3)

    def without_engine(self, here, do):
        """The engine is dead, and nobody starts another, while this is done."""
        engine = here.engine()
        os.kill(here.pid, signal.SIGSTOP)
        processes.kill_exactly(engine)
        self.assertEqual(processes.wait_gone([engine.pid], 20 * harness.PATIENCE), [], "its pipes are closed")
        do()
        os.kill(here.pid, signal.SIGCONT)
        here.wait_healthy()

    def test_it_answers_while_there_is_no_engine(self):
        here = self.begin(workers=1)
        task = self.submit(here, 1)
        self.wait_started(1)

        def answer():
            self.open_gate(here, 1)
            self.wait_said(1)

        self.without_engine(here, answer)
        self.assertRanOnce(here, task, 1)

    def test_it_ends_while_there_is_no_engine(self):
        here = self.begin(workers=1)
        first = here.directory / "first"
        task = self.submit(here, 1, f"if mkdir {first}; then exit 3; fi; ok 5")
        self.wait_started(1)
        program = int(self.lines()[0][2])

        def end():
            self.open_gate(here, 1)
            eventually(lambda: not processes.alive(program), 20 * harness.PATIENCE, "it has ended")

        self.without_engine(here, end)
        self.wait_started(2)
        self.open_gate(here, 1)
        [ended] = here.client().wait(task)
        self.assertEnded(ended, "RETURNED", value=5)
        self.assertEqual((ended["attempt"], ended["crashes"]), (2, 1), ended)
        self.assertEqual([line[0] for line in self.lines()], ["S", "E"] * 2)

    def test_it_speaks_no_protocol_while_there_is_no_engine(self):
        here = self.begin(workers=1)
        task = self.submit(here, 1, "echo rubbish")
        self.wait_started(1)
        program = int(self.lines()[0][2])

        def end():
            self.open_gate(here, 1)
            self.wait_said(1)

        self.without_engine(here, end)
        [ended] = here.client().wait(task)
        self.assertEnded(ended, "RAISED")
        self.assertEqual((ended["attempt"], ended["outcome"]["error"]["type"]), (1, "ProtocolError"), ended)
        eventually(lambda: not processes.alive(program), 20 * harness.PATIENCE, "it has ended")
        here.wait_ready()

    def test_supervisor_dies_while_it_works(self):
        here = self.begin()
        tasks = {tag: self.submit(here, tag) for tag in (1, 2)}
        self.wait_started(2)
        self.kill_supervisor(here)
        self.open_gate(here, 1)  # while there is nobody
        self.wait_said(1)
        here.start()
        self.assertEqual(here.client().task(tasks[2])["state"], "RUNNING")
        self.open_gate(here, 2)
        for tag, task in tasks.items():
            self.assertRanOnce(here, task, tag)
        here.wait_ready()
        self.assertEqual(len(self.files(here)), 2, "one file for each worker that lives")

    def test_an_orphan_that_nobody_adopts_ends_after_its_attempt(self):
        here = self.begin()
        self.submit(here, 1)
        self.wait_started(1)
        self.kill_supervisor(here)
        self.open_gate(here, 1)
        eventually(lambda: not here.left_behind(), 20 * harness.PATIENCE, "everything has ended")
        self.assertEqual([line[0] for line in self.lines()], ["S", "E"])

    def test_an_orphan_that_ends_by_itself_costs_a_crash_and_runs_again(self):
        here = self.begin(workers=1)
        first = here.directory / "first"
        task = self.submit(here, 1, f"if mkdir {first}; then exit 3; fi; ok 5")
        self.wait_started(1)
        self.kill_supervisor(here)
        self.open_gate(here, 1)
        eventually(lambda: not here.left_behind(), 20 * harness.PATIENCE, "it has ended")
        here.start()
        self.wait_started(2)
        self.open_gate(here, 1)
        [ended] = here.client().wait(task)
        self.assertEnded(ended, "RETURNED", value=5)
        self.assertEqual((ended["attempt"], ended["crashes"]), (2, 1), ended)

    def test_a_time_limit_holds_for_an_orphan(self):
        here = self.begin(workers=1)
        task = self.submit(here, 1, timeout="3s", grace="1s")
        self.wait_started(1)
        self.kill_supervisor(here)
        eventually(lambda: not here.left_behind(), 20 * harness.PATIENCE, "its time is over")
        here.start()
        self.assertEnded(here.client().wait(task)[0], "TIMED_OUT")
        self.assertEqual([line[0] for line in self.lines()], ["S"])

    def test_cancel_reaches_an_orphan(self):
        here = self.begin(workers=1)
        task = self.submit(here, 1)
        self.wait_started(1)
        self.kill_supervisor(here)
        here.start()
        here.client().call("Tasks/Cancel", {"id": task})
        self.assertEqual(here.client().wait(task)[0]["state"], "CANCELLED")
        self.assertEqual([line[0] for line in self.lines()], ["S"])
        here.wait_ready()

    def test_an_idle_one_ends_with_its_supervisor(self):
        here = self.begin()
        pids = [worker["pid"] for worker in here.client().workers("sh")]
        self.kill_supervisor(here)
        self.assertEqual(processes.wait_gone(pids, 20 * harness.PATIENCE), [])


if __name__ == "__main__":
    harness.main()
