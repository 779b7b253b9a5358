"""Functions that the tests of Python workers call: some of them do what no function should."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import poold


@poold.task
def give(expression):
    """Returns any Python value, also one that cannot be sent."""
    return eval(expression)  # the tests' own text


@poold.task(name="renamed", priority=7, attempts=3, labels={"from": "decorator"}, pool="py")
def with_options(value=None):
    return value


@poold.task
def fail_until(path, attempts):
    """Raises until it was called so often."""
    with open(path, "a", encoding="utf-8") as file:
        file.write("x")
    if os.path.getsize(path) < attempts:
        raise RuntimeError("not yet")
    return os.path.getsize(path)


class Trouble(Exception):
    def __str__(self):
        raise ValueError("no text")


@poold.task
def raise_trouble():
    raise Trouble


@poold.task
def raise_from():
    try:
        {}["missing"]
    except KeyError as error:
        raise ValueError("of no value") from error


@poold.task
def exit_softly(code):
    sys.exit(code)


@poold.task
def exit_hard(code):
    os._exit(code)


@poold.task
def kill_self(number):
    os.kill(os.getpid(), number)
    time.sleep(60)


@poold.task
def segfault():
    ctypes.string_at(0)


@poold.task
def needs_two(first, second):
    return [first, second]


@poold.task
def type_error_inside():
    return needs_two(1)


@poold.task
def wait_for(begun, release):
    """Tells a FIFO that it has begun and blocks until somebody opens the other."""
    with open(begun, "w", encoding="utf-8") as file:
        file.write(str(os.getpid()))
    with open(release, encoding="utf-8") as file:
        return file.read()


@poold.task
def clean_up(begun, trace):
    """Waits for ever, and leaves a trace when it is interrupted."""
    try:
        with open(begun, "w", encoding="utf-8") as file:
            file.write(str(os.getpid()))
        time.sleep(600)
    except Exception:
        trace += ".swallowed"
        raise
    finally:
        with open(trace, "w", encoding="utf-8") as file:
            file.write(type(sys.exc_info()[1]).__name__)


@poold.task
def tell_grace(begun, trace):
    """Waits for ever; when it is interrupted, writes by what, and how long it has."""
    try:
        with open(begun, "w", encoding="utf-8") as file:
            file.write(str(os.getpid()))
        time.sleep(600)
    except poold.Interrupted as interrupt:
        with open(trace, "w", encoding="utf-8") as file:
            file.write(f"{type(interrupt).__name__} {interrupt.grace}")
        raise


@poold.task(timeout=4, grace=1.5, limits="gpu", backoff=2, backoff_max=60, retry_on=["raised", 75], ttl=30, deadline=60, delay=0.01, hold=False,
            attempts=2, on_parent_failure="release", labels={"a": "b"}, priority=1, crash_attempts=3, pool="py")
def with_every_option(value=None):
    return value


@poold.task
def deaf(begun):
    """Does not end when it is asked to, from the moment on at which it says that it has begun."""
    while True:
        try:
            if begun:
                path, begun = begun, ""
                with open(path, "w", encoding="utf-8") as file:
                    file.write(str(os.getpid()))
            time.sleep(600)
        except poold.Cancelled:
            pass


@poold.task
def finish_anyway(begun):
    """Is asked to end, and returns instead."""
    try:
        with open(begun, "w", encoding="utf-8") as file:
            file.write(str(os.getpid()))
        time.sleep(600)
    except poold.Interrupted:
        pass
    return "finished"


@poold.task
def hold_interpreter(begun, seconds):
    """C code that does not let go of the interpreter."""
    with open(begun, "w", encoding="utf-8") as file:
        file.write(str(os.getpid()))
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))


@poold.task
def print_everywhere(text):
    print(text, "print")
    print(text, "no end of line", end="")
    print(text, "error", file=sys.stderr)
    sys.stdout.flush()
    os.write(1, f"{text} descriptor 1\n".encode())
    os.write(2, f"{text} descriptor 2\n".encode())
    ctypes.CDLL(None).printf(b"%s from C\n", text.encode())
    subprocess.run(["sh", "-c", f"echo {text} child; echo {text} child error >&2"], check=True)


@poold.task
def print_raw(hexadecimal):
    sys.stdout.buffer.write(bytes.fromhex(hexadecimal))


@poold.task
def print_much(count):
    for number in range(count):
        print(f"line {number:09}")


@poold.task
def print_and_add(number):
    if number % 7 == 0:
        print("number", number)
    return number + 1


@poold.task
def print_and_wait(text, release):
    print(text)
    with open(release, encoding="utf-8") as file:
        return file.read()


@poold.task
def child_prints_and_waits(text, release):
    return subprocess.run(["sh", "-c", f"echo {text}; cat < {release}"], check=True, stdout=None).returncode


@poold.task
def spoil_output():
    sys.stdout.close()
    sys.stderr = None


@poold.task
def print_after_spoiling(text):
    os.write(1, text.encode())


@poold.task
def fork_and_return():
    """Both the parent and its child return."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "the child came back"


@poold.task
def fork_and_raise():
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    raise RuntimeError("the child raised")


_ends_children = False


def _end_early():
    if _ends_children:
        os.kill(os.getpid(), signal.SIGTERM)


os.register_at_fork(after_in_child=_end_early)


@poold.task
def fork_and_terminate():
    """How a child ends that gets SIGTERM before anything else has happened in it."""
    global _ends_children
    _ends_children = True
    try:
        child = os.fork()
    finally:
        _ends_children = False
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(0)


@poold.task
def fork_twice():
    """How a grandchild ends that writes to a pipe of the child's."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    _, writing = os.pipe()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    grandchild = os.fork()
    if grandchild:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
    try:
        os.write(writing, b"x")
        os._exit(0 if signal.getsignal(signal.SIGTERM) == signal.SIG_IGN else 2)
    except OSError:
        os._exit(1)


def _square(number):
    print("square of", number, flush=True)
    return number * number


@poold.task
def use_pool(numbers):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(_square, numbers)


@poold.task
def leave_child(begun):
    """Starts a child that outlives the call, and waits for ever."""
    child = subprocess.Popen(["sleep", "600"])
    with open(begun, "w", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {child.pid}")
    time.sleep(600)


@poold.task
def surroundings():
    """What a program sees of its signals and descriptors."""
    return {
        "sigterm": signal.getsignal(signal.SIGTERM) is not None,
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),
        "child": subprocess.run(["sh", "-c", "ls /proc/self/fd | wc -l"], capture_output=True, check=True, text=True).stdout.strip(),
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    }


def plain(value):
    return ["plain", value]


def _helper():
    return "private"


class Group:
    @staticmethod
    def member(value):
        return ["member", value]

    class Inner:
        @classmethod
        def deep(cls):
            return cls.__name__


def _say(directory, what, tag):
    with open(f"{directory}/witness", "a", encoding="ascii") as file:
        file.write(f"{what} {tag} {os.getpid()}\n")


@poold.task
def witness(directory, tag):
    """Writes down its start and its end, and waits in between until somebody opens the gate."""
    _say(directory, "S", tag)
    with open(f"{directory}/gate.{tag}", encoding="ascii") as gate:
        print("said", gate.read(), end="")
    _say(directory, "E", tag)
    return tag * 7 + 1


@poold.task
def witness_with_the_interpreter(directory, tag, seconds):
    """The same, but waits in C code that does not let go of the interpreter."""
    _say(directory, "S", tag)
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    _say(directory, "E", tag)
    return tag * 7 + 1


@poold.task
def noted(directory, tag):
    """Writes down that it ran."""
    _say(directory, "R", tag)
    return tag * 7 + 1
