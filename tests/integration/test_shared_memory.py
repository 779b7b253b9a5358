"""Payloads in shared memory: what they are and are not taken as, who gets them, and that nothing of them stays."""

import contextlib
import fcntl
import importlib.util
import os
import re
import resource
import signal
import subprocess
import textwrap
import unittest

import harness
import processes
from control import eventually
from python_pool import PACKAGE, PYTHON, Fifo, python_pool
from python_scripts import run

import poold
from poold import errors

# The package comes first: the messages that frames generates for those without it are poold.v1, too.
import frames  # isort: skip
from shared_frames import SharedStream, memfd  # isort: skip

KIB, MIB = 1024, 1024 * 1024
FRAME = 16 * MIB
WITHOUT = python_pool("shared_functions")


def sharing(**settings):
    return python_pool("shared_functions", shared_memory="true", **settings)


def payloads_of(process):
    """How many descriptors of payloads it has."""
    return sum("poold-payload" in target or "memfd:test" in target for target in processes.descriptors(process.pid).values())


def text_of(*parts, size):
    """A payload that begins with a path."""
    return "".join(map(str, parts)).encode().ljust(200) + bytes(size - 200)


class SharedMemoryTest(harness.DaemonTest):
    pools = {"default": sharing(), "without": WITHOUT, "cpp": {**harness.FUNCTIONS, "shared_memory": "true"}}

    def setUp(self):
        self.here = self.daemon(self.pools).wait_ready()
        self.client = poold.Client(self.here.socket)
        self.addCleanup(self.client.close)
        self.nothing_before = set(os.listdir("/dev/shm"))

    def assert_nothing_stays(self):
        eventually(lambda: payloads_of(self.here.engine()) == 0, 20 * harness.PATIENCE, "the engine has closed every payload")
        # Other programs have names there, too, for a while.
        new = set(os.listdir("/dev/shm")) - self.nothing_before
        eventually(lambda: not new & set(os.listdir("/dev/shm")), 60 * harness.PATIENCE, f"nothing stays of {new}")


class Taken(SharedMemoryTest):
    def test_large_bytes_there_and_back(self):
        data = os.urandom(3 * MIB)
        with self.client.stream() as stream:
            result = stream.submit("reverse", data).result()
            self.assertIsInstance(result, memoryview)
            self.assertTrue(result.readonly)
            self.assertEqual(result, data[::-1])
        self.assert_nothing_stays()

    def test_more_than_a_frame_takes(self):
        size = 64 * MIB
        with self.client.stream() as stream:
            self.assertEqual(stream.submit("size_of", bytearray(size)).result(), size)
            result = stream.submit("letters", size).result()
            self.assertEqual(len(result), size)
            self.assertEqual(bytes(result[-256:]), bytes(range(256)))
        self.assert_nothing_stays()

    def test_functions_in_cpp(self):
        data = os.urandom(20 * MIB)
        with self.client.stream() as stream:
            futures = [stream.submit("echo", data[number:], pool="cpp") for number in range(10)]
            for number, future in enumerate(futures):
                self.assertEqual(future.result(), data[number:])
            self.assertEqual(stream.submit("echo", b"small", pool="cpp").result(), b"small")
        self.assert_nothing_stays()

    def test_clients_in_cpp(self):
        for pool, size, count in (("cpp", 20 * MIB, 3), ("cpp", 300 * KIB, 200)):
            ended = subprocess.run([harness.BIN / "poold-test-shared", self.here.socket, pool, str(size), str(count)],
                                   capture_output=True, text=True, timeout=100 * harness.PATIENCE, check=False)
            self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assert_nothing_stays()

    def test_many_at_once_among_small_ones(self):
        with self.client.stream() as stream:
            futures = [stream.submit("size_of", bytes(300 * KIB + number if number % 3 else number)) for number in range(600)]
            self.assertEqual([future.result() for future in futures], [300 * KIB + number if number % 3 else number for number in range(600)])
        self.assert_nothing_stays()

    def test_payloads_and_results_are_handed_to_the_next_engine(self):
        control = self.here.client()
        workers = {worker["pid"] for worker in control.workers("default")}
        with self.client.stream() as stream:
            control.call("Pools/Pause", {"name": "default"})
            future = stream.submit("size_of", bytes(3 * MIB), want_id=True)
            eventually(lambda: future.id, what="it is accepted")
            control.call("Daemon/Upgrade")
            control.call("Pools/Resume", {"name": "default"})
            [ended] = control.wait(future.id)
        self.assertEqual((ended["state"], ended["outcome"]["value"]), ("SUCCEEDED", 3 * MIB))
        self.assertEqual({worker["pid"] for worker in control.workers("default")}, workers)
        self.test_large_bytes_there_and_back()

    def test_functions_get_a_memoryview_whatever_the_size(self):
        with self.client.stream() as stream:
            for size in (10, 300 * KIB):
                self.assertEqual(stream.submit("kind_of", bytes(size)).result(), "memoryview")
                self.assertEqual(stream.submit("kind_of", bytes(size), pool="without").result(), "bytes")
            with self.assertRaises(errors.TaskRaised) as caught:
                stream.submit("write_to", bytes(300 * KIB)).result()
            self.assertIn("read-only", str(caught.exception))

    def test_the_second_attempt_gets_the_same(self):
        data = text_of(self.here.directory, "/mark", size=MIB)
        with self.client.stream() as stream:
            future = stream.submit("die_with_first", data, crash_attempts=2)
            self.assertEqual(future.result(), MIB)
            self.assertEqual(future.attempt, 2)
        self.assert_nothing_stays()

    def test_a_pool_that_does_not_share_gets_bytes_up_to_a_frame(self):
        with self.client.stream() as stream:
            result = stream.submit("reverse", b"ab" * MIB, pool="without").result()
            self.assertEqual(result, b"ba" * MIB)
            with self.assertRaises(errors.ResourceExhausted) as caught:
                stream.submit("size_of", bytes(20 * MIB), pool="without").result()
            self.assertIn("20971520 bytes; pool 'without' takes at most 16711680 (shared_memory: true", str(caught.exception))
        self.assert_nothing_stays()

    def test_what_another_stream_follows_its_own_stream_gets(self):
        with SharedStream(self.here.socket) as own, SharedStream(self.here.socket) as other:
            own.submit(1, function="letters", args=(MIB,), want_accepted=True, hold=True)
            task = own.receive().accepted.id
            frame = frames.stream_pb2.ClientFrame()
            frame.follow.tag, frame.follow.id = 1, task
            other.send(frame)
            self.here.client().call("Tasks/Release", {"id": task})
            for stream in (own, other):
                frame = stream.result()
                if frame.HasField("result"):
                    self.assertEqual(len(stream.memory(frame.result.outcome.payload.shared_size)), MIB)
                else:
                    self.assertIn("was given to the stream that submitted the task", frame.rejected.message)
        self.assert_nothing_stays()


class WithoutTheAbility(SharedMemoryTest):
    def test_a_stream_that_takes_none_gets_bytes_up_to_a_frame(self):
        with frames.Stream(self.here.socket) as stream:
            stream.submit(1, function="letters", args=(MIB,))
            payload = stream.result().result.outcome.payload
            self.assertEqual((len(payload.data), payload.shared_size), (MIB, 0))
            stream.submit(2, function="letters", args=(20 * MIB,))
            rejected = stream.result().rejected
            self.assertEqual(rejected.code, "resource_exhausted")
            self.assertIn("20971520 bytes in shared memory", rejected.message)
            self.assertIn("StreamHello.shared_memory", rejected.message)

    def test_a_call_gets_bytes_or_is_told_how_to_get_them(self):
        control = self.here.client()
        small = self.client.submit("letters", MIB)
        large = self.client.submit("letters", 20 * MIB)
        self.assertEqual(len(self.client.wait(small).outcome.payload.data), MIB)
        for task in (control.call("Tasks/Wait", {"ids": [large]})["tasks"][0], control.call("Tasks/Get", {"id": large})["task"]):
            self.assertEqual(task["outcome"]["payload"]["sharedSize"], str(20 * MIB))
            self.assertIn("a stream that takes shared memory", task["outcome"]["error"]["message"])
        with self.assertRaises(errors.ResourceExhausted):
            self.client.result(large)

    def test_a_call_cannot_submit_shared_memory(self):
        control = self.here.client()
        error = self.refused("invalid_argument", control.call, "Tasks/Submit", {"function": {"name": "size_of", "payload": {"sharedSize": "5"}}})
        self.assertIn("only a stream carries shared memory", error.message)


class Refused(SharedMemoryTest):
    def refusal(self, descriptor, size, **options):
        with SharedStream(self.here.socket) as stream:
            stream.submit_shared(1, "size_of", [descriptor], size, **options)
            frame = stream.result()
            self.assertTrue(frame.HasField("rejected"), frame)
            # The stream goes on.
            stream.submit_shared(2, "size_of", [memfd(MIB)], MIB)
            self.assertEqual(stream.result().result.outcome.value.number_value, MIB)
            return f"{frame.rejected.code}: {frame.rejected.message}"

    def test_memory_that_is_not_sealed_as_it_should_be(self):
        self.assertEqual(self.refusal(memfd(MIB, 0), MIB),
                         "invalid_argument: function.payload: the memfd is not sealed against shrinking, growing, writing, other seals")
        self.assertIn("not sealed against other seals", self.refusal(memfd(MIB, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE), MIB))

    def test_another_size_than_announced(self):
        self.assertIn("the memfd has 1048576 bytes; 1048577 were announced", self.refusal(memfd(MIB), MIB + 1))

    def test_a_file_that_is_no_memfd(self):
        self.assertIn("the descriptor is no memfd", self.refusal(os.open(__file__, os.O_RDONLY), 10))

    def test_a_key(self):
        self.assertIn("invalid_argument: key: not with a payload in shared memory", self.refusal(memfd(MIB), MIB, key="k"))

    def test_a_frame_without_its_descriptor_ends_the_stream(self):
        with SharedStream(self.here.socket) as stream:
            with contextlib.suppress(BrokenPipeError):  # the daemon may be faster
                stream.submit_shared(1, "size_of", [], MIB)
            frame, _ = stream.receive_until("error")
            self.assertIn("names shared memory that did not come with it", frame.error.message)

    def test_descriptors_that_no_frame_names_end_the_stream(self):
        with SharedStream(self.here.socket, cancel_on_close=True) as stream:
            with self.assertRaises((frames.StreamClosed, ConnectionError)):
                for _ in range(100):
                    stream.submit_shared(1, "size_of", [memfd(MIB), memfd(MIB)], MIB, hold=True)
                stream.receive_until("error")
        self.assert_nothing_stays()

    def test_a_user_has_so_many_payloads_and_so_many_bytes(self):
        with SharedStream(self.here.socket, cancel_on_close=True) as stream:
            size = 1 << 39
            stream.submit_shared(1, "size_of", [memfd(size)], size)
            rejected = stream.result().rejected
            self.assertEqual(rejected.code, "resource_exhausted")
            self.assertRegex(rejected.message, rf"you have 0 bytes in it, and {size} would be added; one user may have \d+")
            limit = min(4096, resource.prlimit(self.here.engine().pid, resource.RLIMIT_NOFILE)[1] // 4)
            for tag in range(limit):
                stream.submit_shared(tag, "size_of", [memfd(4096)], 4096, hold=True)
            stream.submit_shared(limit, "size_of", [memfd(4096)], 4096)
            rejected = stream.result().rejected
            self.assertEqual(rejected.code, "resource_exhausted")
            self.assertIn(f"you have {limit} payloads in it; one user may have {limit}", rejected.message)
            self.assertEqual(self.measured(), {"payloads": limit, "bytes": limit * 4096, "refused_total": 2})
        self.assert_nothing_stays()
        self.assertEqual(self.measured(), {"payloads": 0, "bytes": 0, "refused_total": 2})

    def measured(self):
        """/metrics' figures of shared memory."""
        text = self.here.client().request("GET", "/metrics")[2].decode()
        return {name: int(value) for name, value in re.findall(r"^poold_shared_memory_(\w+) (\d+)$", text, re.MULTILINE)}

    def test_a_retry_after_the_end(self):
        with self.client.stream() as stream:
            future = stream.submit("write_to", bytes(MIB), want_id=True)
            self.assertIsInstance(future.exception(), errors.TaskRaised)
            error = self.refused("failed_precondition", self.here.client().call, "Tasks/Retry", {"id": future.id})
            self.assertIn("payload was in shared memory, which is closed when a task ends", error.message)


class Configured(harness.DaemonTest):
    def complaint(self, **settings):
        daemon = self.daemon({"default": {**settings, "shared_memory": "true"}}, start=False)
        ended = subprocess.run([*daemon.command_line(), "--check"], capture_output=True, text=True, timeout=20, check=False)
        self.assertNotEqual(ended.returncode, 0)
        return ended.stdout + ended.stderr

    def test_pools_that_cannot_share_memory(self):
        self.assertIn("only pools that run functions have it", self.complaint(kind="command"))
        self.assertIn("what is in shared memory is not on the disk", self.complaint(**WITHOUT, durability="disk"))
        self.assertIn("a program that speaks lines gets no descriptors", self.complaint(kind="function", program=["/bin/cat"], protocol="lines"))


class OwnWorkers(unittest.TestCase):
    """poold.multiprocessing and poold.Executor, whose private pools share memory."""

    def expect(self, script, stdout, **environment):
        self.maxDiff = None
        self.assertEqual(run(script, **environment), (0, textwrap.dedent(stdout), ""))

    def test_large_calls_and_results(self):
        self.expect(
            """
            import pickle
            from poold import Executor
            from poold.multiprocessing import Pool
            def size(data):
                return len(data)
            def grown(count):
                return [b"x" * 1000] * 3 + [bytearray(count)]
            class Held:
                def __init__(self, data):
                    self.data = data
                def __reduce_ex__(self, protocol):
                    return Held, (pickle.PickleBuffer(self.data),)
            def of_held(held):
                return type(held.data).__name__, len(held.data)
            with Pool(2) as pool:
                print(pool.map(size, [bytes(20 << 20), b"12", bytearray(1 << 20)], chunksize=1), pool.map(size, [bytes(20 << 20)] * 2, chunksize=2))
                print([len(part) for part in pool.apply(grown, (30 << 20,))], list(pool.imap(size, [bytes(1 << 20)] * 2)))
                print(pool.map(of_held, [Held(bytes(1 << 20)), Held(bytes(10))], chunksize=1))
                print(pool.apply(lambda data: len(data), (bytes(1 << 20),)))
            with Executor(2) as executor:
                print(list(executor.map(size, [bytes(20 << 20)] * 3)), executor.submit(size, bytes(300_000)).result())
            """,
            """\
            [20971520, 2, 1048576] [20971520, 20971520]
            [1000, 1000, 1000, 31457280] [1048576, 1048576]
            [('memoryview', 1048576), ('bytes', 10)]
            1048576
            [20971520, 20971520, 20971520] 300000
            """,
        )

    def test_more_than_may_be_in_flight(self):
        self.expect(
            """
            from poold.multiprocessing import Pool
            def size(data):
                return len(data)
            with Pool(2) as pool:
                print(sum(pool.map(size, (bytes(1 << 20) for _ in range(600)), chunksize=1)) >> 20)
            """,
            "600\n",
        )

    @unittest.skipUnless(importlib.util.find_spec("numpy"), "needs python3-numpy")
    def test_arrays_arrive_read_only_and_are_no_copies(self):
        self.expect(
            """
            import numpy
            from poold.multiprocessing import Pool
            def look(array):
                return array.flags.writeable, array.flags.owndata, float(array.sum()), array * 2
            with Pool(2) as pool:
                for count in (10, 1_000_000):
                    writeable, own, total, doubled = pool.apply(look, (numpy.ones((count, 2), order="F"),))
                    print(writeable, total, doubled.sum(), doubled.shape, doubled.flags.writeable)
                arrays = pool.map(look, [numpy.full(100_000, number) for number in range(50)])
                print([array[0] // 2 for _, _, _, array in arrays] == list(range(50)))
                several = pool.apply(lambda arrays: [array.nbytes for array in arrays.values()], ({"a": numpy.zeros(50_000), "b": numpy.zeros(3)},))
                print(several)
            """,
            """\
            True 20.0 40.0 (10, 2) True
            False 2000000.0 4000000.0 (1000000, 2) False
            True
            [400000, 24]
            """,
        )

    @unittest.skipUnless(importlib.util.find_spec("numpy"), "needs python3-numpy")
    def test_more_results_than_descriptors(self):
        self.expect(
            """
            import resource
            import numpy
            resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
            from poold.multiprocessing import Pool
            def grown(number):
                return numpy.full(50_000, number)
            with Pool(2) as pool:
                arrays = pool.map(grown, range(400))
                print([int(array[-1]) for array in arrays] == list(range(400)))
            """,
            "True\n",
        )


class Killed(SharedMemoryTest):
    pools = {"default": sharing(workers=2)}
    TIMES = 100

    def test_workers_that_hold_memory_leave_nothing(self):
        fifo, control = Fifo(self.here, "here"), self.here.client()
        with self.client.stream(cancel_on_close=True) as stream:
            for number in range(self.TIMES):
                future = stream.submit("wait_with", text_of(fifo.path, size=MIB), crash_attempts=1)
                self.assertEqual(fifo.read(), "here")
                busy = [worker for worker in control.call("Workers/List", {"pool": "default"})["workers"] if worker["state"] == "BUSY"]
                os.kill(busy[0]["pid"], signal.SIGKILL)
                self.assertIsInstance(future.exception(), errors.WorkerLost, number)
        self.assert_nothing_stays()

    def test_clients_that_hold_memory_leave_nothing(self):
        program = (
            "import sys, poold; stream = poold.Client(sys.argv[1]).stream(cancel_on_close=True)\n"
            "for _ in range(8): stream.submit('reverse', bytes(1 << 20))\n"
            "stream.submit('letters', 1 << 20).result(); print('here', flush=True)\n"
            "while True: stream.submit('reverse', bytes(1 << 20))\n"
        )
        clients = []
        for _ in range(self.TIMES):
            client = subprocess.Popen([PYTHON, "-c", program, self.here.socket], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(PACKAGE)})
            clients.append(client)
            if len(clients) == 4:
                self.kill_first(clients)
        while clients:
            self.kill_first(clients)
        self.assert_nothing_stays()

    def kill_first(self, clients):
        client = clients.pop(0)
        with client.stdout:
            self.assertEqual(client.stdout.readline(), b"here\n")
            client.kill()
            client.wait()


if __name__ == "__main__":
    harness.main()
