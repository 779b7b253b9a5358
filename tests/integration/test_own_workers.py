"""Workers that are programs of one's own, in C++: the shipped example, and what is said when a worker cannot work."""

import unittest

import harness
from control import eventually

EXAMPLE = harness.BIN.parent / "examples" / "poold_example_worker"


class OwnWorkers(harness.DaemonTest):
    def reason(self, **pool):
        """Why the pool has no workers."""
        control = self.daemon({"own": {"kind": "function", "workers": 1, **pool}}).client()
        shown = eventually(lambda: (p := control.pool("own"))["state"] == "THROTTLED" and p, 20 * harness.PATIENCE, "it is throttled")
        return shown["startError"]["message"]

    def test_the_example_keeps_what_it_read_at_its_start(self):
        here = self.daemon(start=False)
        words = here.directory / "words"
        words.write_text("one two three", encoding="utf-8")
        here.configure({"words": {"kind": "function", "program": [str(EXAMPLE), str(words)], "workers": 1}})
        control = here.start().wait_ready().client()
        words.unlink()
        for name, args, value in (("known", ["two"], True), ("known", ["four"], False), ("count", [], 3)):
            task = control.wait(control.submit(function=name, args=args, pool="words"))[0]
            self.assertEnded(task, "RETURNED", value=value)
        task = control.wait(control.submit(function="known", args=[""], pool="words"))[0]
        self.assertEnded(task, "RAISED")
        self.assertEqual(task["outcome"]["error"]["message"], "a word has letters")

    def test_a_program_that_refuses_is_quoted(self):
        self.assertEqual(self.reason(program=[str(EXAMPLE), "/no/such/file"]), "cannot read /no/such/file")
        self.assertEqual(self.reason(program=[str(EXAMPLE)]), "expected one argument, a file of words")

    def test_a_plug_in_that_cannot_be_loaded_is_named(self):
        self.assertIn("cannot load the plug-in", self.reason(plugin="/no/such/plug-in.so"))
        self.assertIn("it has no symbol", self.reason(plugin="/lib/x86_64-linux-gnu/libm.so.6"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
