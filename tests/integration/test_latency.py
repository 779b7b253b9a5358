"""Times that were promised: replacement of a killed worker, a task's way back to the queue, calls beside a crowd, and an idle daemon's silence.

Measures, so it runs alone and not with instrumented programs. Every number is printed.
"""

import multiprocessing
import os
import select
import signal
import statistics
import threading
import time
import unittest

import harness
import processes
from control import Control, connect, ndjson_of_chunks
from frames import Stream, stream_pb2, envelope
from python_pool import python_pool


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def show(name, values):
    milliseconds = [value * 1000 for value in values]
    p50, p99 = statistics.median(milliseconds), percentile(milliseconds, 99)
    print(f"\n{name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {max(milliseconds):.2f} ms ({len(values)} times)")


class Measured(harness.DaemonTest):
    def assertPercentile99(self, name, limit, measure):
        times = measure()
        show(name, times)
        self.assertLess(percentile(times, 99), limit, name)


@harness.performance
class Replacement(Measured):
    KILLS = 200

    def test_killed_worker_is_replaced_and_ready(self):
        """From the kill to the moment at which the client sees the next generation idle; it asks about once a millisecond."""
        here = self.daemon({"default": harness.COMMANDS}).wait_ready()
        control = here.client()

        def replacement(slot):
            victim = control.workers()[slot]
            begin = time.perf_counter()
            processes.send(victim["pid"], signal.SIGKILL)
            while True:
                now = control.workers()[slot]
                if now["generation"] > victim["generation"] and now["state"] == "IDLE":
                    return time.perf_counter() - begin
                self.assertLess(time.perf_counter() - begin, 10)
                time.sleep(0.0005)

        self.assertPercentile99(
            "killed poold-worker is replaced and ready", 0.050, lambda: [replacement(number % 2) for number in range(self.KILLS)]
        )

    def test_its_task_is_queued_again(self):
        """From the kill of a busy worker to the event that says QUEUED."""
        here = self.daemon({"default": {"kind": "command", "workers": 1}}).wait_ready()
        control = here.client()
        connection = connect(here.socket, 30)
        connection.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        reader = connection.makefile("rb")
        while reader.readline().strip():
            pass
        events = ndjson_of_chunks(reader)

        def until(state):
            while next(events)["state"] != state:
                pass

        def requeued():
            until("RUNNING")
            pid = control.workers()[0]["pid"]
            begin = time.perf_counter()
            processes.send(pid, signal.SIGKILL)
            until("QUEUED")
            return time.perf_counter() - begin

        control.submit(["sleep", "1000"], crashAttempts=1000)
        self.assertPercentile99("task of a killed worker is queued again", 0.020, lambda: [requeued() for _ in range(self.KILLS)])
        connection.close()


@harness.performance
class Crowd(Measured):
    IDLE, ACTIVE, IN_FLIGHT, SECONDS = 500, 50, 4, 5

    def test_call_beside_a_crowd(self):
        here = self.daemon({"default": harness.COMMANDS, "math": harness.FUNCTIONS}).wait_ready()
        idle = [connect(here.socket) for _ in range(self.IDLE)]
        crowd = Crowded(here.socket, self.ACTIVE, self.IN_FLIGHT)
        crowd.start()
        control = Control(here.socket)

        def call():
            begin = time.perf_counter()
            control.info()
            return time.perf_counter() - begin

        def measure():
            end = time.monotonic() + self.SECONDS
            return list(iter(lambda: call() if time.monotonic() < end else None, None))

        try:
            self.assertPercentile99(f"GetInfo beside {self.IDLE} idle and {self.ACTIVE} busy clients", 0.010, measure)
        finally:
            crowd.stop = True
            crowd.join(30)
            for connection in [control, *idle]:
                connection.close()
        print(f"meanwhile {crowd.done} no-ops")
        self.assertGreater(crowd.done, 1000)
        self.assertIsNone(crowd.error)


class Crowded(threading.Thread):
    """Many streams in a process of its own, so that this interpreter's lock is not measured; counts come back through a pipe."""

    def __init__(self, path, streams, in_flight):
        super().__init__(daemon=True)
        self.path, self.streams, self.in_flight = path, streams, in_flight
        self.stop, self.done, self.error = False, 0, None

    def run(self):
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=_crowd, args=(self.path, self.streams, self.in_flight, theirs))
        child.start()
        theirs.close()
        while not self.stop:
            time.sleep(0.01)
        ours.send("stop")
        try:
            self.done = ours.recv()
        except EOFError:
            self.error = "the crowd died"
        child.join()


def _crowd(path, count, in_flight, pipe):
    frame = stream_pb2.ClientFrame()
    frame.submit.task.pool = "math"
    frame.submit.task.function.name = "noop"

    def request(tag):
        frame.submit.tag = tag
        return envelope(frame.SerializeToString())

    poll = select.poll()
    streams = {}
    for _ in range(count):
        stream = Stream(path)
        stream.next_tag = in_flight + 1
        stream.send_raw(b"".join(request(tag) for tag in range(1, in_flight + 1)))
        streams[stream.socket.fileno()] = stream
        poll.register(stream.socket, select.POLLIN)
    poll.register(pipe.fileno(), select.POLLIN)
    done = 0
    while True:
        for fd, _ in poll.poll():
            if fd == pipe.fileno():
                pipe.send(done)
                return
            stream = streams[fd]
            stream.receive()
            answers = 1
            while len(stream.buffer) >= 5:
                stream.receive()
                answers += 1
            done += answers
            stream.send_raw(b"".join(request(stream.next_tag + n) for n in range(answers)))
            stream.next_tag += answers


@harness.performance
class Idle(harness.DaemonTest):
    # `./dev check --full` looks for a minute.
    SECONDS = int(os.environ.get("POOLD_IDLE_SECONDS", 10))
    # The supervisor asks its engine every 15 s: it wakes up to ask and to read, and the engine to answer. Workers are not asked.
    QUESTIONS_MAX = SECONDS // 15 + 1
    WAKE_UPS_MAX = {"poold": 2 * QUESTIONS_MAX, "poold-engine": QUESTIONS_MAX}

    def test_idle_daemon_does_not_wake_up(self):
        here = self.daemon({"default": harness.COMMANDS, "math": harness.FUNCTIONS, "py": python_pool(workers=1),
                            "kept": {**harness.COMMANDS, "durability": "disk"}}).wait_ready()
        control = here.client()
        for _ in range(20):
            control.run(["true"])
        family = {p.pid: p.name for p in processes.descendants(here.pid)} | {here.pid: "poold"}
        time.sleep(1)  # what the last task set in motion comes to rest
        before = {pid: processes.wake_ups(pid) for pid in family}
        time.sleep(self.SECONDS)  # this test measures doing nothing
        woken = {f"{name}[{pid}]": processes.wake_ups(pid) - before[pid] for pid, name in family.items()}
        print(f"\nwake-ups in {self.SECONDS} s: {woken}")
        for name, count in woken.items():
            self.assertLessEqual(count, self.WAKE_UPS_MAX.get(name.split("[")[0], 0), name)

    def test_memory(self):
        here = self.daemon({"default": harness.COMMANDS, "math": harness.FUNCTIONS}).wait_ready()
        for pid, name, what, limit in (
            (here.pid, "supervisor", "private", 4 << 10), (here.pid, "supervisor", "proportional", 8 << 10),
            (here.engine().pid, "engine", "proportional", 20 << 10),
        ):
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                sizes = {line.split(":")[0]: int(line.split()[1]) for line in file if line.rstrip().endswith("kB")}
            kib = sizes["Pss"] if what == "proportional" else sizes["Private_Clean"] + sizes["Private_Dirty"]
            print(f"\n{name}: {kib} KiB {what}")
            self.assertLessEqual(kib, limit)


if __name__ == "__main__":
    unittest.main(verbosity=2)
