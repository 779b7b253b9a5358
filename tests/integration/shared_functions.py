"""Functions that the tests of shared memory call."""

import os
import signal

import poold


@poold.task
def size_of(data):
    return len(data)


@poold.task
def kind_of(data):
    return type(data).__name__


@poold.task
def letters(size):
    return bytes(range(256)) * (int(size) // 256)


@poold.task
def reverse(data):
    return bytes(data)[::-1]


@poold.task
def write_to(data):
    data[0] = 1


def total(array):
    return float(array.sum())


def doubled(array):
    return array * 2


def die_once(path, data):
    """Kills its worker when it is called for the first time."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return len(data)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


@poold.task
def die_with_first(data):
    """The same; the path stands at the beginning of the data."""
    return die_once(bytes(data[:200]).rstrip(b" ").decode(), data)


@poold.task
def wait_with(data):
    """Until the worker is killed."""
    with open(bytes(data[:200]).rstrip(b" ").decode(), "w", encoding="utf-8") as fifo:
        fifo.write("here")
    signal.pause()
