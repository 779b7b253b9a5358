"""What `cmake --install` puts in place works without the tree it came from: source and build are hidden while it is used.

POOLD_BUILD names the CMake folder; POOLD_SOURCE the repository. Hiding needs a mount namespace of one's own (root, or user namespaces).
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get("POOLD_SOURCE") or pathlib.Path(__file__).parents[2]).resolve()
BUILD = pathlib.Path(os.environ.get("POOLD_BUILD") or SOURCE / "build/release").resolve()
UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]

CONFIGURATION = """
pools:
  default: {workers: 1}
  math: {kind: function, plugin: libpoold_examples.so, workers: 1}
  own: {kind: function, plugin: @WORK@/build/libtwice.so, workers: 1}
  alone: {kind: function, program: [@WORK@/build/worker, words], workers: 1, cwd: "@WORK@"}
  shell: {kind: function, protocol: lines, program: [@PREFIX@/share/doc/poold/examples/worker.sh], workers: 1}
  python: {kind: function, program: [/usr/bin/python3, -m, poold.worker, mine], workers: 1, env: {PYTHONPATH: "@PREFIX@/lib/python3/dist-packages:@WORK@"}}
"""

CLIENT = """
#include <poold/client.hpp>
#include <cstdio>
int main() {
  poold::Client client;
  const poold::Value sum = client.call({"add", {1, 2}}, {.pool = "math"});
  auto id = client.submit(poold::Command{{"true"}}).id;
  const poold::TaskInfo task = client.wait(id);
  std::printf("%s %d\\n", sum.to_json().c_str(), static_cast<int>(task.state));
}
"""
FUNCTION = """
#include <poold/function.hpp>
POOLD_FUNCTION("twice", [](std::int64_t n) { return 2 * n; });
"""
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(outside CXX)
find_package(poold 0.1 REQUIRED)
add_executable(client client.cpp)
target_link_libraries(client PRIVATE poold::poold)
add_library(twice MODULE twice.cpp)
target_link_libraries(twice PRIVATE poold::poold)
add_executable(worker ${CMAKE_PREFIX_PATH}/share/doc/poold/examples/worker.cpp)
target_link_libraries(worker PRIVATE poold::poold)
"""
PYTHON = """
import poold

@poold.task
def thrice(n):
    return 3 * n
"""


def namespaces_work():
    probe = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return probe.returncode == 0


@unittest.skipUnless(namespaces_work(), "no mount namespace can be had here, so the tree cannot be hidden")
class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="poold-install-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        staged = cls.work / "staged"
        subprocess.run(["cmake", "--install", BUILD, "--prefix", staged], check=True, stdout=subprocess.DEVNULL)
        # What was installed can be moved.
        cls.prefix = cls.work / "opt" / "poold"
        cls.prefix.parent.mkdir()
        staged.rename(cls.prefix)
        for name, text in {"poold.yaml": CONFIGURATION, "client.cpp": CLIENT, "twice.cpp": FUNCTION, "words": "one two three\n",
                           "CMakeLists.txt": PROJECT, "mine.py": PYTHON}.items():
            (cls.work / name).write_text(text.replace("@WORK@", str(cls.work)).replace("@PREFIX@", str(cls.prefix)), encoding="utf-8")

    def hidden(self, script):
        """Runs a script where neither source nor build tree can be seen; returns what it printed."""
        covers = " ".join(f"mount -t tmpfs none '{path}';" for path in {str(SOURCE), str(BUILD)} if not str(path).startswith(str(SOURCE) + "/"))
        text = f"set -e; {covers} [ ! -e '{BUILD}/bin' ] && [ ! -e '{SOURCE}/common' ]; P='{self.prefix}'; cd '{self.work}'\n{script}"
        ended = subprocess.run([*UNSHARE, "bash", "-c", text], capture_output=True, text=True, check=False, cwd="/", timeout=300,
                               env={"PATH": f"{self.prefix}/bin:/usr/bin:/bin", "HOME": str(self.work), "LC_ALL": "C.UTF-8"})
        self.assertEqual(ended.returncode, 0, f"{script}\n{ended.stdout}\n{ended.stderr}")
        return ended.stdout

    def with_daemon(self, script):
        return self.hidden(f"""
            export POOLD_SOCKET=$PWD/control.sock
            exec 5< <(exec poold --config poold.yaml --state-dir $PWD/state 2>&1)
            daemon=$!
            trap 'kill $daemon 2>/dev/null; cat log >&2' EXIT
            while read -r line <&5; do echo "$line" >>log; [[ $line == *" ready: "* ]] && break; done
            cat <&5 >>log &
            {script}
            poolctl daemon stop; wait $daemon; trap - EXIT""")

    def build_outside(self):
        self.hidden("[ -e build/client ] || { cmake -S . -B build -DCMAKE_PREFIX_PATH=$P >&2 && cmake --build build >&2; }")

    def test_programs_and_shipped_plugin(self):
        self.build_outside()
        self.assertEqual(self.with_daemon("poolctl run -- echo hello; poolctl run --pool math --function add 1 2"), "hello\n3\n")

    def test_cplusplus_outside_the_tree_with_find_package(self):
        self.build_outside()
        said = self.with_daemon("build/client; poolctl run --pool own --function twice 21; poolctl run --pool alone --function known two")
        self.assertEqual(said.split("\n")[1:], ["42", "true", ""])
        self.assertTrue(said.startswith("3 "), said)

    def test_cplusplus_outside_the_tree_with_pkg_config(self):
        self.build_outside()
        said = self.with_daemon("""
            export PKG_CONFIG_PATH=$P/lib/pkgconfig
            g++ -std=c++20 client.cpp -o by_pkg_config $(pkg-config --cflags --libs poold)
            ./by_pkg_config
            g++ -std=c++20 $P/share/doc/poold/examples/worker.cpp -o worker_by_pkg_config $(pkg-config --cflags --libs poold)
            ! ./worker_by_pkg_config words 2>refusal""")
        self.assertTrue(said.startswith("3 "), said)
        self.assertIn("workers are started by poold", (self.work / "refusal").read_text(encoding="utf-8"))

    def test_worker_in_shell(self):
        self.build_outside()
        self.assertEqual(self.with_daemon("poolctl run --pool shell --function size $PWD/words"), "14\n")

    def test_python_package(self):
        self.build_outside()
        said = self.with_daemon("""
            poolctl run --pool python --function thrice 5
            PYTHONPATH=$P/lib/python3/dist-packages /usr/bin/python3 -c '
import poold
client = poold.Client()
task = client.submit(["true"])
print("submitted")'""")
        self.assertEqual(said, "15\nsubmitted\n")

    def test_nothing_installed_names_the_tree_it_came_from(self):
        found = subprocess.run(["grep", "-rlF", "-e", str(SOURCE), "-e", str(BUILD), self.prefix], capture_output=True, text=True, check=False)
        self.assertEqual(found.stdout, "")

    def test_shipped_configuration_is_accepted(self):
        self.hidden("poold --check --config $P/etc/poold/poold.yaml")


if __name__ == "__main__":
    print(f"hiding {SOURCE}", file=sys.stderr)
    unittest.main(verbosity=2)
