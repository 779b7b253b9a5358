"""Pools whose number of workers follows the work, all pools together, and workers that have served their time."""

import harness
from harness import DaemonTest, eventually, main

SLEEP = ["sleep", "600"]


class Sizing(DaemonTest):
    def start(self, pool, **settings):
        poold = self.daemon({"default": pool}, **settings)
        self.control = poold.client()
        return poold

    def live(self, pool="default"):
        return len([w for w in self.control.workers(pool) if w["pid"]])

    def test_on_demand(self):
        self.start({"workers": {"min": 0, "max": 3, "idle_timeout": "100ms"}})
        self.assertEqual(self.live(), 0)
        self.assertEqual(self.control.pool("default")["state"], "READY")
        tasks = [self.control.submit(SLEEP) for _ in range(5)]
        eventually(lambda: self.control.pool("default")["running"] == 3, 30)
        self.assertEqual((self.live(), self.control.pool("default")["workers"], self.control.pool("default")["workersMin"]), (3, 3, 0))
        for task in tasks:
            self.control.call("Tasks/Cancel", {"id": task})
        eventually(lambda: self.live() == 0, 30)
        self.assertEqual(self.control.wait(self.control.submit(["true"]))[0]["state"], "SUCCEEDED")

    def test_all_pools_together(self):
        poold = self.daemon({"default": {"workers": {"min": 0, "max": 4}}, "other": {"workers": {"min": 0, "max": 4}}}, workers_max=2)
        self.control = poold.client()
        ends = [self.control.submit(["sleep", "0.01"]) for _ in range(10)]
        self.control.wait(*ends)
        self.assertLessEqual(self.live(), 2)
        other = self.control.submit(["true"], pool="other")  # although the others idle for a minute yet
        self.assertEqual(self.control.wait(other)[0]["state"], "SUCCEEDED")
        self.refused("failed_precondition", self.control.call, "Pools/Scale", {"name": "other", "workers": 2})

    def test_a_dedicated_process_stands_outside_and_a_made_pool_inside_the_number_of_all(self):
        poold = self.daemon({"default": harness.COMMANDS}, workers_max=2, templates={"t": harness.COMMANDS}).wait_ready()
        self.control = poold.client()
        process = self.control.call("Processes/Start", {"task": {"command": {"argv": ["true"]}}})["process"]
        self.assertEqual(self.control.wait(process["id"])[0]["state"], "SUCCEEDED")
        error = self.refused("resource_exhausted", self.control.call, "Pools/Create", {"template": "t", "workers": 1})
        self.assertIn("workers_max: 2", error.message)

    def test_workers_are_replaced_after_so_many_tasks(self):
        self.start({"workers": 1, "recycle": {"tasks": 3, "spread": 0}}).wait_ready()
        before = self.control.workers("default")[0]["pid"]
        for _ in range(3):
            self.control.wait(self.control.submit(["true"]))
        eventually(lambda: [w["pid"] for w in self.control.workers("default") if w["slot"] == 0 and w["pid"] not in (0, before)], 30)
        self.assertEqual(int(self.control.pool("default")["workersLost"]), 0)

    def test_workers_are_replaced_by_age_and_by_memory(self):
        for recycle in ({"age": "1s", "spread": 0}, {"memory": "1MiB"}):
            with self.subTest(recycle):
                self.start({"workers": 1, "recycle": recycle}).wait_ready()
                before = self.control.workers("default")[0]["pid"]

                def replaced():
                    self.control.wait(self.control.submit(["true"]))
                    return [w for w in self.control.workers("default") if w["slot"] == 0 and w["pid"] not in (0, before)]

                eventually(replaced, 30 * harness.PATIENCE)


if __name__ == "__main__":
    main()
