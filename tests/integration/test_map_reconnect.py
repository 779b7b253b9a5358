"""poolctl map outlives the engine: every item runs once in a disk pool, and is accounted for in a pool in memory."""

import collections
import signal

import harness
from control import eventually
from test_reconnect import ReconnectTest

# Says that it starts, waits at its item's gate, says that it ends.
SCRIPT = 'echo "S $2" >> "$1/witness"; echo "first $2"; read word < "$1/gate.$2"; echo "last $2"; echo "E $2" >> "$1/witness"'


class MapReconnect(ReconnectTest):
    def setUp(self):
        super().setUp()
        self.witness = self.here.directory / "witness"
        self.log = self.here.directory / "joblog"

    def begin(self, items, *options):
        """A map whose items wait for their gates."""
        self.gates = {item: self.gate(f"gate.{item}") for item in items}
        return self.poolctl("map", "--joblog", self.log, *options, "--", "sh", "-c", SCRIPT, "sh", self.here.directory, "{}", ":::", *items)

    def open_gates(self, *items):
        for item in items:
            self.open_gate(self.gates[item])

    def lines(self):
        return self.witness.read_text(encoding="ascii").splitlines() if self.witness.exists() else []

    def wait_started(self, *items):
        eventually(lambda: {f"S {item}" for item in items} <= set(self.lines()), 20 * harness.PATIENCE, f"{items} run")

    def wait_ended(self, *items):
        eventually(lambda: {f"E {item}" for item in items} <= set(self.lines()), 20 * harness.PATIENCE, f"{items} have ended")

    def entries(self):
        return [line.split("\t") for line in self.log.read_text(encoding="utf-8").splitlines()[1:]]

    def test_each_item_runs_once_across_engines(self):
        run = self.begin("abcdef", "-k", "--jobs", "4")
        self.wait_started("a", "b")
        self.kill_engine()
        self.open_gates("b")
        self.wait_started("c")
        self.kill_engine()
        self.open_gates("a", "c")
        # Beside it e or f: e may have been sent ahead to d's worker, and be on its way back while the other one is free.
        self.wait_started("d")
        self.kill_engine()
        self.open_gates("d", "e", "f")
        code, out, err = self.finish(run)
        self.assertEqual(code, 0, err)
        self.assertEqual(out, "".join(f"first {item}\nlast {item}\n" for item in "abcdef"))
        self.assertEqual(collections.Counter(self.lines()), collections.Counter([f"{what} {item}" for item in "abcdef" for what in "SE"]))
        self.assertEqual(sorted((int(entry[0]), entry[6], entry[7]) for entry in self.entries()), [(i, "0", "0") for i in range(1, 7)])

    def test_many_small_items_run_once_whenever_the_engine_dies(self):
        count = 300
        run = self.poolctl("map", "sh", "-c", 'echo "$2" >> "$1/witness"; echo "$2"', "sh", self.here.directory, "{}", ":::", *range(count))
        for until in (50, 120, 200):
            eventually(lambda: len(self.lines()) >= until, 60 * harness.PATIENCE, f"{until} have run")
            self.kill_engine()
        code, out, err = self.finish(run)
        self.assertEqual(code, 0, err)
        self.assertEqual(sorted(map(int, self.lines())), list(range(count)))
        self.assertEqual(sorted(map(int, out.split())), list(range(count)))

    def test_values_of_functions_are_found_again(self):
        plugin = {"kind": "function", "plugin": "libpoold_examples.so", "workers": 1, "durability": "disk"}
        here = self.here = self.daemon({"math": plugin}).wait_ready()
        here.client().call("Pools/Pause", {"name": "math"})
        run = self.poolctl("map", "-k", "--jobs", "50", "--pool", "math", "--function", "add", "{}", "1", ":::", *range(50))
        eventually(lambda: here.client().pool("math")["queued"] == 50, 20 * harness.PATIENCE, "they are queued")
        self.kill_engine()
        here.client().call("Pools/Resume", {"name": "math"})
        code, out, err = self.finish(run)
        self.assertEqual((code, out), (0, "".join(f"{i + 1}\n" for i in range(50))), err)

    def test_what_was_in_flight_in_memory_fails_and_the_rest_goes_on(self):
        run = self.begin("abc", "--pool", "memory", "--jobs", "1")
        self.wait_started("a")
        self.kill_engine()
        self.wait_started("b")
        self.open_gates("b")
        self.wait_started("c")
        self.open_gates("c")
        code, out, err = self.finish(run)
        self.assertEqual((code, out), (1, "first b\nlast b\nfirst c\nlast c\n"), err)
        self.assertIn("task 1 (a): lost", err)
        self.assertIn("1 of 3 tasks failed", err)
        self.assertEqual([(entry[0], entry[6]) for entry in self.entries()], [("1", "125"), ("2", "0"), ("3", "0")])
        again = self.poolctl("map", "--joblog", self.log, "--resume-failed", "--pool", "memory", "--jobs", "1", "--",
                             "sh", "-c", SCRIPT, "sh", self.here.directory, "{}", ":::", *"abc")
        eventually(lambda: self.lines().count("S a") == 2, 20 * harness.PATIENCE, "a runs again")
        self.open_gates("a")
        self.assertEqual(self.finish(again)[:2], (0, "first a\nlast a\n"))

    def test_what_is_lost_counts_for_halt(self):
        run = self.begin("abc", "--pool", "memory", "--jobs", "1", "--halt", "now,fail=1")
        self.wait_started("a")
        self.kill_engine()
        code, _, err = self.finish(run)
        self.assertEqual(code, 1, err)
        self.assertEqual(self.lines(), ["S a"])

    def test_interrupt_after_an_engine_died(self):
        run = self.begin("abc", "--jobs", "2")
        self.wait_started("a", "b")
        self.kill_engine()
        eventually(lambda: len(self.running()) == 2, 20 * harness.PATIENCE, "they are known to run")
        run.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(run)[0], 130)
        self.assertEqual(self.running(), [])
        self.assertEqual(sorted(self.lines()), ["S a", "S b"])

    def test_tasks_end_with_their_map_after_an_engine_died(self):
        run = self.begin("abc", "--jobs", "2")
        self.wait_started("a", "b")
        self.kill_engine()
        self.open_gates("a")
        self.wait_started("c")  # so it has found its tasks again
        run.kill()
        run.wait()
        eventually(lambda: not self.running(), 30 * harness.PATIENCE, "they have ended")
        self.assertNotIn("E b", self.lines())

    def test_a_restart_of_the_daemon(self):
        run = self.begin("ab", "--jobs", "1")
        self.wait_started("a")
        self.assertEqual(self.here.stop(), 0)
        self.here.start()
        eventually(lambda: self.lines().count("S a") == 2, 20 * harness.PATIENCE, "the daemon's stop ended it, and it runs again")
        self.open_gates("a")
        self.wait_started("b")
        self.open_gates("b")
        code, out, err = self.finish(run)
        self.assertEqual((code, out), (0, "first a\nlast a\nfirst b\nlast b\n"), err)

    def test_a_daemon_that_stays_away(self):
        run = self.begin("a", "--reconnect", "300ms", "--pool", "memory")
        self.wait_started("a")
        self.here.kill()
        code, _, err = self.finish(run)
        self.assertEqual(code, 5, err)
        self.assertIn("did not come back in 0.300 s", err)
        self.assertIn("--resume", err)


if __name__ == "__main__":
    harness.main()
