"""Semaphores whose holders are known: processes that hold a permit are killed, and those that wait go on."""

import harness
from control import eventually
from sync_clients import ForkedProgram, Program

HOLD = ("Semaphores/Acquire", {"semaphore": "s"})
GOT, LATE = {"acquired": True}, {"acquired": False}


class Semaphores(harness.DaemonTest):
    def setUp(self):
        self.poold = self.daemon()
        self.control = self.poold.client()

    def make(self, permits=1, maximum=1, name="s", **settings):
        return self.control.call("Semaphores/Create", {"name": name, "permits": permits, "permitsMax": maximum, **settings})["semaphore"]

    def acquire(self, control=None, name="s", **settings):
        return (control or self.control).call("Semaphores/Acquire", {"semaphore": name, **settings})["acquired"]

    def release(self, control=None, name="s", **settings):
        return (control or self.control).call("Semaphores/Release", {"semaphore": name, **settings})["released"]

    def semaphore(self, name="s"):
        return self.control.call("Semaphores/List", {"name": name})["semaphores"][0]

    def waiting(self, count, name="s"):
        eventually(lambda: self.semaphore(name)["waiting"] == count, 20 * harness.PATIENCE, f"{count} wait for {name}")

    def program(self, *steps):
        program = Program(self.poold.socket, *steps)
        self.addCleanup(program.__exit__)
        return program

    def test_lock_holder_killed_a_thousand_times(self):
        """Waiters stand in line; the first holds and is killed; the next is told."""
        self.make()
        line = []
        self.addCleanup(lambda: [program.kill() for program in line])
        line.append(ForkedProgram(self.poold.socket, HOLD))
        self.assertEqual(line[0].answer(), GOT)
        for waiting in (1, 2):
            line.append(ForkedProgram(self.poold.socket, HOLD))
            self.waiting(waiting)
        for _ in range(1000):
            line.pop(0).kill()
            self.assertEqual(line[0].answer(), GOT)
            line.append(ForkedProgram(self.poold.socket, HOLD))
            self.waiting(2)
        self.assertEqual(self.semaphore()["returned"], "1000")

    def test_all_waiters_go_on_when_a_holder_of_many_dies(self):
        self.make(3, 3)
        holder = self.program(("Semaphores/Acquire", {"semaphore": "s", "count": 3}))
        self.assertEqual(holder.answer(), GOT)
        waiters = [self.program(HOLD) for _ in range(3)]
        self.waiting(3)
        holder.kill()
        self.assertEqual([waiter.answer() for waiter in waiters], [GOT] * 3)

    def test_holders_are_named(self):
        self.make(2, 2)
        holder = self.program(HOLD)
        self.assertEqual(holder.answer(), GOT)
        self.assertEqual([h["pid"] for h in self.semaphore()["holders"]], [holder.process.pid])

    def test_time_out(self):
        self.make(0)
        self.assertFalse(self.acquire(timeout="0s"))
        self.assertFalse(self.acquire(timeout="0.050s"))
        self.assertEqual(self.semaphore()["waiting"], 0)

    def test_killed_waiter_takes_nothing(self):
        self.make()
        self.acquire()
        first, second = self.program(HOLD), self.program(HOLD)
        self.waiting(2)
        first.kill()
        self.waiting(1)
        self.release()
        self.assertEqual(second.answer(), GOT)

    def test_another_connection_may_release(self):
        self.make()
        self.acquire()
        other = self.poold.client()
        self.assertEqual(self.release(control=other), 1)
        self.assertTrue(self.acquire(control=other, timeout="0s"))
        error = self.refused("failed_precondition", self.release, ownOnly=True)
        self.assertIn("does not hold", error.message)

    def test_bound_is_kept(self):
        self.make()
        error = self.refused("failed_precondition", self.release)
        self.assertIn("released too often", error.message)
        self.assertEqual(self.release(clamp=True), 0)
        self.make(0, 0, name="free")
        self.assertEqual(self.release(name="free", count=7), 7)
        self.assertEqual(self.semaphore("free")["permits"], 7)

    def test_condition_releases_and_waits_as_one_step(self):
        self.make()
        self.make(0, 0, name="wake")
        wait = ("Semaphores/Acquire", {"semaphore": "wake", "consume": True, "release": [{"semaphore": "s"}]})
        waiters = [self.program(HOLD, wait, HOLD, ("Semaphores/Release", {"semaphore": "s"})) for _ in range(3)]
        self.waiting(3, "wake")
        # All have let go of the lock.
        self.assertTrue(self.acquire(timeout="0s"))
        self.assertEqual(self.release(name="wake", count=1, waitersOnly=True), 1)
        self.assertEqual(self.release(name="wake", count=100, waitersOnly=True), 2)
        self.assertEqual(self.release(name="wake", count=100, waitersOnly=True), 0)
        self.release()
        for waiter in waiters:
            self.assertEqual([waiter.answer() for _ in range(3)], [GOT] * 3)
        self.assertEqual(self.semaphore("wake")["permits"], 0)

    def test_refused_release_leaves_everything_as_it_was(self):
        self.make()
        self.make(0, 0, name="wake")
        request = {"semaphore": "wake", "timeout": "0s", "release": [{"semaphore": "wake"}, {"semaphore": "s"}]}
        error = self.refused("failed_precondition", self.control.call, "Semaphores/Acquire", request)
        self.assertIn("'s'", error.message)
        self.assertEqual(self.semaphore("wake")["permits"], 0)

    def test_event_wakes_all(self):
        self.make(0)
        wait = ("Semaphores/Acquire", {"semaphore": "s", "onlyWait": True})
        waiters = [self.program(wait) for _ in range(3)]
        self.waiting(3)
        self.release(clamp=True)
        self.assertEqual([waiter.answer() for waiter in waiters], [GOT] * 3)
        self.assertTrue(self.acquire(onlyWait=True, timeout="0s"))
        self.assertTrue(self.acquire(consume=True, timeout="0s"))
        self.assertFalse(self.acquire(onlyWait=True, timeout="0s"))

    def test_temporary_semaphore_goes_with_its_connection(self):
        owner = self.program(("Semaphores/Create", {"permits": 0, "temporary": True}))
        name = owner.answer()["semaphore"]["name"]
        waiter = self.program(("Semaphores/Acquire", {"semaphore": name}))
        self.waiting(1, name)
        owner.kill()
        self.assertEqual(waiter.answer(), {"error": "not_found"})

    def test_what_is_wrong_is_named(self):
        self.make()
        for method, request, code, word in (
            ("Acquire", {"semaphore": "x"}, "not_found", "semaphore: there is no semaphore 'x'"),
            ("Acquire", {"semaphore": "s", "count": 2}, "failed_precondition", "permitsMax"),
            ("Acquire", {"semaphore": "s", "consume": True, "onlyWait": True}, "invalid_argument", "onlyWait: "),
            ("Acquire", {"semaphore": "s", "release": [{"semaphore": "x"}]}, "not_found", "release.semaphore: "),
            ("Create", {"name": "s"}, "already_exists", "orOpen"),
            ("Create", {"permits": 3, "permitsMax": 2}, "invalid_argument", "permits: more than permitsMax"),
            ("Delete", {"name": "x"}, "not_found", "name: "),
        ):
            error = self.refused(code, self.control.call, "Semaphores/" + method, request)
            self.assertIn(word, error.message)


if __name__ == "__main__":
    harness.main()
