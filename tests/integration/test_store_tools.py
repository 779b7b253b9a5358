"""poold store check, backup and salvage: what a person does with a store while no daemon uses it."""

import contextlib
import sqlite3
import subprocess

import harness
from control import eventually

DISK = {"default": {**harness.COMMANDS, "durability": "disk"}}
PAGE = 4096


class StoreTools(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon(DISK).wait_ready()
        control = self.here.client()
        control.call("Pools/Pause", {"name": "default"})
        spec = {"command": {"argv": ["true", "x" * 500]}}
        answers = control.call("Tasks/SubmitBatch", {"tasks": [{**spec, "key": f"k{n}"} for n in range(400)]})["tasks"]
        self.ids = [answer["id"] for answer in answers]
        control.close()
        self.store = self.here.state / "poold.db"
        self.target = self.here.directory / "copy.db"

    def tool(self, *words):
        line = [harness.BIN / "poold", "store", *words, "--config", self.here.config, "--state-dir", self.here.state]
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60 * harness.PATIENCE)

    def found(self):
        """How many of the tasks the next daemon knows, with its pool paused by nobody."""
        listed = self.here.start().client().wait(*self.ids)
        self.assertEqual({task["state"] for task in listed}, {"SUCCEEDED"})
        return len(listed)

    def damage(self):
        """A page in the middle of the table of tasks, overwritten."""
        with contextlib.closing(sqlite3.connect(self.store)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = bytearray(self.store.read_bytes())
        pages = [at for at in range(0, len(content), PAGE) if content[at:at + 1] == b"\x0d" and b"x" * 400 in content[at:at + PAGE]]
        self.assertGreater(len(pages), 10)
        at = pages[len(pages) // 2]
        content[at:at + PAGE] = b"\xff" * PAGE
        self.store.write_bytes(content)
        return bytes(content)

    def test_refused_while_a_daemon_uses_it(self):
        for words in (["check"], ["backup", self.target], ["salvage", self.target]):
            answer = self.tool(*words)
            self.assertEqual((answer.returncode, answer.stdout), (1, ""))
            self.assertIn("poolctl daemon stop", answer.stderr)
        self.assertFalse(self.target.exists())

    def test_sound_store_is_checked_and_backed_up_and_comes_back(self):
        self.here.kill()
        eventually(lambda: not self.here.left_behind(), 10 * harness.PATIENCE, "its engine is gone, too")
        answer = self.tool("check")
        self.assertEqual((answer.returncode, answer.stdout), (0, f"{self.store}: ok, 400 tasks\n"), answer.stderr)
        answer = self.tool("backup", self.target)
        self.assertEqual((answer.returncode, answer.stdout), (0, f"{self.target}: 400 tasks\n"), answer.stderr)
        self.assertEqual(self.target.stat().st_mode & 0o777, 0o600)
        again = self.tool("backup", self.target)
        self.assertEqual(again.returncode, 1)
        self.assertIn("exists already", again.stderr)
        for part in ("", "-wal"):
            (self.here.state / ("poold.db" + part)).unlink(missing_ok=True)
        self.target.rename(self.store)
        self.assertEqual(self.found(), 400)

    def test_large_works_and_schedules_are_salvaged_too(self):
        control = self.here.client()
        self.ids.append(control.call("Tasks/Submit", {"command": {"argv": ["true", "x" * 20_000]}})["id"])
        control.call("Schedules/Add", {"schedule": {"name": "n", "spec": "0 0 29 2 *", "task": {"command": {"argv": ["true"]}}}})
        control.close()
        self.here.stop()
        answer = self.tool("salvage", self.target)
        self.assertEqual((answer.returncode, answer.stdout), (0, f"{self.target}: 401 tasks\n"), answer.stderr)
        for part in ("", "-wal"):
            (self.here.state / ("poold.db" + part)).unlink(missing_ok=True)
        self.target.rename(self.store)
        self.assertEqual(self.found(), 401)
        self.assertEqual([schedule["name"] for schedule in self.here.client().call("Schedules/List")["schedules"]], ["n"])

    def test_damaged_store_is_found_and_salvaged(self):
        self.here.stop()
        damaged = self.damage()
        answer = self.tool("check")
        self.assertEqual(answer.returncode, 1)
        self.assertIn("store salvage", answer.stderr)
        self.assertEqual(self.tool("backup", self.target).returncode, 1)
        answer = self.tool("salvage", self.target)
        self.assertEqual(answer.returncode, 1, answer)
        self.assertIn("cannot be read", answer.stdout)
        self.assertEqual(self.store.read_bytes(), damaged, "the damaged file is as it was")
        self.assertEqual([path.name for path in self.here.directory.glob("copy.db*")], ["copy.db"])
        self.target.replace(self.store)
        answer = self.tool("check")
        self.assertEqual(answer.returncode, 0, answer)
        kept = int(answer.stdout.split()[-2])
        self.assertTrue(300 < kept < 400, answer.stdout)

    def test_no_database_at_all(self):
        self.here.stop()
        self.store.write_bytes(b"not a database at all" * 1000)
        answer = self.tool("salvage", self.target)
        self.assertEqual(answer.returncode, 1)
        self.assertIn("nothing can be read", answer.stderr)
        self.assertFalse(self.target.exists())

    def test_words_that_are_none(self):
        self.here.stop()
        for words, said in ((["chekc"], "chekc"), ([], "check, salvage and backup"), (["backup"], "FILE"), (["check", "extra"], "extra")):
            answer = self.tool(*words)
            self.assertEqual(answer.returncode, 2, words)
            self.assertIn(said, answer.stderr)
        self.store.unlink()
        answer = self.tool("check")
        self.assertEqual(answer.returncode, 1)
        self.assertIn("--state-dir", answer.stderr)


if __name__ == "__main__":
    harness.main()
