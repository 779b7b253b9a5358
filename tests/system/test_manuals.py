"""The manuals and the programs say the same: every option and every key, both ways."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("POOLD_BIN") or HERE / "build/release/bin").resolve()
MANUALS = HERE / "daemon/man"


def manual(name):
    return (MANUALS / name).read_text(encoding="utf-8")


class Options(unittest.TestCase):
    def test_options_of_poold(self):
        said = subprocess.run([BIN / "poold", "--help"], capture_output=True, text=True, check=True).stdout
        section = manual("poold.8.scd").split("# OPTIONS")[1].split("\n# ")[0]
        described = {word for line in section.splitlines() if line.startswith("*-") for word in re.findall(r"\*(-[a-z-]+)\*", line)}
        known = {word for line in said.splitlines() if line.startswith("  -") for word in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line.split("  ")[1])}
        self.assertEqual(described, known)


class Contract(unittest.TestCase):
    def test_every_service_is_named(self):
        files = sorted((HERE / "common/proto/poold/v1").glob("*.proto"))
        services = re.findall(r"^service (\w+)", "\n".join(file.read_text(encoding="utf-8") for file in files), re.MULTILINE)
        sentence = manual("poold-protocol.7.scd").split("The services are ")[1].split(";")[0]
        self.assertEqual(sorted(re.findall(r"_(\w+)_", sentence)), sorted(services))


class Keys(unittest.TestCase):
    def described(self):
        return set(re.findall(r"^\*([A-Za-z_.]+):\*", manual("poold.yaml.5.scd"), re.MULTILINE))

    def check(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            return subprocess.run([BIN / "poold", "--check", "--config", file.name], capture_output=True, text=True, check=False).stderr

    def test_every_key_of_the_manual_is_known(self):
        for key in sorted(self.described()):
            path = key.replace("ROLE", "read").replace("NAME", "x").split(".")
            if path[0] not in ("socket", "state_dir", "stop_timeout", "log_level", "access", "limits", "workers_max", "schedules", "pools", "templates"):
                path = ["pools", "a", *path]
            text = ""
            for word in reversed(path):
                text = f"{{{word}: {text or '[[]]'}}}"
            with self.subTest(key):
                self.assertNotIn("unknown key", self.check(text + "\n"))

    def test_every_key_of_the_program_is_in_the_manual(self):
        """The program has no list of its keys; its source takes each by name, and tables name the rest."""
        sources = "".join(path.read_text(encoding="utf-8") for path in sorted((HERE / "daemon/settings").glob("*.cpp")))
        known = set(re.findall(r'take\("(\w+)"\)', sources))
        known |= set(re.findall(r'\{"(\w+)", RLIMIT_', sources)) | set(re.findall(r'read_members\(map, "(\w+)"', sources))
        self.assertGreater(len(known), 30)
        last_parts = {key.split(".")[-1] for key in self.described()}
        self.assertEqual(known - last_parts, set())

    def test_examples_are_accepted(self):
        for name in ("poold.yaml.5.scd",):
            for example in re.findall(r"```\n(.*?)```", manual(name), re.DOTALL):
                self.assertEqual(self.check(example), "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
