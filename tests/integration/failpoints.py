"""The fail points of a build for tests: which there are, and a file through which they are armed (common/fail_point.hpp is the other side)."""

import collections
import mmap
import struct
import subprocess

import harness

Point = collections.namedtuple("Point", "index name process in_recovery place")
CELL = struct.Struct("=5q")  # countdown, count, kills, passed, killed


def listed():
    """Every point; none in a build that has none."""
    answer = subprocess.run([harness.BIN / "poold", "--list-failpoints"], capture_output=True, text=True, check=False, timeout=60)
    if answer.returncode != 0:
        return []
    rows = [line.split("\t") for line in answer.stdout.splitlines()]
    return [Point(index, name, process, when == "recovery", place) for index, (name, process, when, place) in enumerate(rows)]


class Trap:
    """The file that engine and supervisor of one daemon map."""

    def __init__(self, path, points):
        path.write_bytes(bytes(CELL.size * len(points)))
        with open(path, "r+b") as file:
            self.cells = mmap.mmap(file.fileno(), 0)

    def close(self):
        self.cells.close()

    def arm(self, point, count, kills):
        """It kills at every `count`th passage from now on, so many times. `kills` is written last: it is what arms."""
        at = point.index * CELL.size
        struct.pack_into("=2q", self.cells, at, count, count)
        struct.pack_into("=q", self.cells, at + 16, kills)

    def passed(self, point):
        return CELL.unpack_from(self.cells, point.index * CELL.size)[3]

    def killed(self, point):
        return CELL.unpack_from(self.cells, point.index * CELL.size)[4]
