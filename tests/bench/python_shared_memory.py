"""Payloads of 64 MiB, and many of 1 MiB, through multiprocessing.Pool and poold.multiprocessing.Pool, in one run: python_shared_memory.py COUNT.

The large ones go there and back, one after the other; the others, 50 for each large one, only there, as arrays go to functions that reduce them. They
are buffers as NumPy's are, without NumPy. The poold that is measured comes from POOLD_EXECUTABLE, or PATH. Both are asked in turns. Prints lines of a name
and a number: what ours does, and how many times the standard pool's rate that is (the median of the turns).
"""

import multiprocessing
import os
import pathlib
import pickle
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "client" / "python"))
import poold.multiprocessing  # noqa: E402  pylint: disable=wrong-import-position

WORKERS = 2
TURNS = 3
LARGE, SMALL = 64 << 20, 1 << 20
SMALL_FOR_EACH = 50


class Block:
    """Is pickled as an array is: its bytes beside the pickle, where the protocol knows how."""

    def __init__(self, data):
        self.data = data

    def __reduce_ex__(self, protocol):
        return Block, (pickle.PickleBuffer(self.data) if protocol >= 5 else bytes(self.data),)


def same(block):
    return block


def last(block):
    return bytes(memoryview(block.data)[-1:])


def large(pool, count):
    """Bytes a second, each way."""
    block = Block(bytearray(LARGE))
    begin = time.perf_counter()
    for _ in range(count):
        if len(pool.apply(same, (block,)).data) != LARGE:
            sys.exit("a wrong result")
    return count * LARGE / (time.perf_counter() - begin)


def small(pool, count):
    """Calls a second."""
    blocks = [Block(bytearray(SMALL)) for _ in range(SMALL_FOR_EACH)] * count
    begin = time.perf_counter()
    if pool.map(last, blocks, chunksize=1) != [b"\0"] * len(blocks):
        sys.exit("a wrong result")
    return len(blocks) / (time.perf_counter() - begin)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: python_shared_memory.py COUNT")
    count = int(sys.argv[1])
    os.environ.pop("POOLD_SOCKET", None)  # a daemon of its own
    with multiprocessing.Pool(WORKERS) as theirs, poold.multiprocessing.Pool(WORKERS) as ours:
        for name, way, unit in (("large", large, 1e6), ("small", small, 1)):
            way(theirs, 1)
            way(ours, 1)
            turns = [(way(theirs, count), way(ours, count)) for _ in range(TURNS)]
            print(f"{name}_rate {statistics.median(mine for _, mine in turns) / unit:.0f}")
            print(f"{name}_ratio {statistics.median(mine / others for others, mine in turns):.2f}")


if __name__ == "__main__":
    main()
