"""Pools that clients make of the configuration's templates."""

import harness
from control import eventually
from sync_clients import Program

TEMPLATES = {"small": {"kind": "function", "plugin": "libpoold_examples.so", "workers": 2}}


class MadePools(harness.DaemonTest):
    def setUp(self):
        self.poold = self.daemon(templates=TEMPLATES)
        self.control = self.poold.client()

    def create(self, name="", **settings):
        return self.control.call("Pools/Create", {"template": "small", "name": name, **settings})["pool"]

    def delete(self, name, **settings):
        self.control.call("Pools/Delete", {"name": name, **settings})

    def names(self):
        return sorted(pool["name"] for pool in self.control.call("Pools/List")["pools"])

    def gone(self, name):
        eventually(lambda: name not in self.names(), 20 * harness.PATIENCE, f"{name} is gone")

    def add(self, pool):
        return self.control.run(function="add", args=[1, 2], pool=pool)

    def test_a_pool_of_a_template_works_and_goes(self):
        pool = self.create("mine", workers=1)
        self.assertEqual((pool["name"], pool["template"], pool["workers"], pool["kind"]), ("mine", "small", 1, "FUNCTION"))
        self.assertEnded(self.add("mine"), "RETURNED", value=3)
        self.assertEnded(self.control.run(function="add", args=[1, 2], pool="mine", name="x" * 10), "RETURNED", value=3)
        self.delete("mine")
        self.gone("mine")
        self.refused("not_found", self.add, "mine")
        eventually(lambda: len(self.poold.worker_processes()) == 2, 20 * harness.PATIENCE)

    def test_names_come_again(self):
        first = self.create()["name"]
        self.assertNotEqual(first, self.create()["name"])
        self.delete(first)
        self.gone(first)
        self.assertEqual(self.create()["name"], first)
        self.assertEnded(self.add(first), "RETURNED", value=3)

    def test_temporary_pool_goes_with_its_connection(self):
        submit = ("Tasks/Submit", {"pool": "t", "function": {"name": "sleep_ms", "args": [1_000_000]}})
        with Program(self.poold.socket, ("Pools/Create", {"template": "small", "name": "t", "temporary": True}), submit) as owner:
            owner.answer()
            task = owner.answer()["id"]
            owner.kill()
        self.assertEqual(self.control.wait(task)[0]["state"], "CANCELLED")
        self.gone("t")

    def test_end_of_a_maker_spares_the_next_pool_of_that_name(self):
        owner = Program(self.poold.socket, ("Pools/Create", {"template": "small", "name": "t", "temporary": True}), ("Queues/Create", {"temporary": True}))
        self.addCleanup(owner.__exit__)
        owner.answer(), owner.answer()
        self.delete("t")
        self.gone("t")
        self.create("t")
        owner.kill()
        # Its queue goes after its pool.
        eventually(lambda: not self.control.call("Queues/List")["queues"], 20 * harness.PATIENCE, "the engine has seen it go")
        self.assertEnded(self.add("t"), "RETURNED", value=3)

    def test_processes_go_with_their_pool(self):
        self.create("mine")
        task = {"pool": "mine", "function": {"name": "sleep_ms", "args": [1_000_000]}}
        process = self.control.call("Processes/Start", {"task": task})["process"]
        self.assertEqual(process["pool"], "mine")
        self.delete("mine", now=True)
        self.assertEqual(self.control.call("Processes/Join", {"id": process["id"]})["process"]["state"], "CANCELLED")

    def test_running_tasks_finish_unless_now(self):
        self.create("mine", workers=1)
        running = self.control.submit(function="sleep_ms", args=[1_000_000], pool="mine")
        eventually(lambda: self.control.task(running)["state"] == "RUNNING", 20 * harness.PATIENCE)
        queued = self.control.submit(function="add", args=[1, 2], pool="mine")
        self.delete("mine")
        self.assertEqual(self.control.wait(queued)[0]["state"], "CANCELLED")
        self.assertEqual(self.control.task(running)["state"], "RUNNING")
        self.delete("mine", now=True)
        self.assertEqual(self.control.wait(running)[0]["state"], "CANCELLED")
        self.gone("mine")

    def test_made_pool_survives_a_reload_and_not_its_template(self):
        self.create("mine")
        self.control.call("Daemon/Reload")
        self.assertEnded(self.add("mine"), "RETURNED", value=3)
        self.poold.configure({"default": harness.COMMANDS})
        self.control.call("Daemon/Reload")
        self.gone("mine")

    def test_what_is_wrong_is_named(self):
        self.create("mine")
        for request, code, word in (
            ({"template": "smal"}, "not_found", "template: there is no template 'smal'"),
            ({}, "invalid_argument", "template: "),
            ({"template": "small", "name": "mine"}, "already_exists", "name: "),
            ({"template": "small", "name": "default"}, "already_exists", "name: "),
            ({"template": "small", "name": "a#1"}, "invalid_argument", "name: "),
            ({"template": "small", "workers": 3}, "invalid_argument", "workers: at most 2"),
        ):
            error = self.refused(code, self.control.call, "Pools/Create", request)
            self.assertIn(word, error.message)
        error = self.refused("failed_precondition", self.delete, "default")
        self.assertIn("the configuration's", error.message)
        self.refused("not_found", self.delete, "nothing")


if __name__ == "__main__":
    harness.main()
