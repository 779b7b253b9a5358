"""Functions for trials and tests, and a first thing to copy from. A pool that runs them:

    py:
      kind: function
      program: [python3, -m, poold.worker, poold_examples]
      env: {PYTHONPATH: "client/python:client/python/examples"}
      workers: 2
"""

import os
import subprocess
import sys
import time

import poold


@poold.task
def noop():
    """Does nothing."""


@poold.task
def echo(value):
    """Gives back what it got: any JSON value, or bytes."""
    return value


@poold.task
def add(*numbers, **more):
    """The sum of all numbers."""
    return sum(numbers) + sum(more.values())


@poold.task(name="greet", attempts=3, labels={"kind": "example"})
def greeting(name, polite=False):
    """A decorated function remains one: greeting("Ann") works here, too."""
    return f"Good day, {name}." if polite else f"Hi {name}!"


@poold.task
def count_words(data: bytes) -> int:
    """Takes bytes, which travel as they are."""
    return len(data.split())


@poold.task
def divide(a, b):
    """Raises for b = 0."""
    return a / b


@poold.task
def sleep_ms(milliseconds):
    """Sleeps, and can be cancelled meanwhile."""
    time.sleep(milliseconds / 1000)


@poold.task
def spin_ms(milliseconds):
    """Keeps the interpreter busy."""
    until = time.monotonic() + milliseconds / 1000
    while time.monotonic() < until:
        pass


@poold.task
def chat(*lines):
    """Prints to standard output and standard error."""
    for line in lines:
        print(line)
    print("that was all", file=sys.stderr)


@poold.task
def shell(script):
    """Runs a program, whose output is this task's; returns its exit code."""
    return subprocess.run(["sh", "-c", script], check=False).returncode


@poold.task
def pid():
    """The worker's process id."""
    return os.getpid()


def undecorated():
    """Is called as "poold_examples:undecorated"."""
    return "here"
