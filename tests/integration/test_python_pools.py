"""poold.multiprocessing's Pool and poold.Executor as programs use them: each test is a script of its own, without main guard. Workers are killed for real."""

import os
import subprocess

from harness import BIN, PATIENCE, DaemonTest, main
from python_pool import PACKAGE, PYTHON, python_pool
from python_scripts import Scripts, run

# Calls of each kind; 1,000 where POOLD_DEATHS says so.
DEATHS = int(os.environ.get("POOLD_DEATHS", "100"))


class Globals(Scripts):
    SCRIPT = """
        import poold.multiprocessing as multiprocessing
        print("this line runs once")
        factor = 3
        class Point:
            def __init__(self, x):
                self.x = x
        def initialize(value):
            global factor
            factor = value
        def times(x):
            return x * factor
        def moved(point):
            return Point(times(point.x))
        with multiprocessing.Pool(2) as pool:
            print(pool.map(times, range(4)), [point.x for point in pool.map(moved, [Point(1), Point(2)])])
            print(pool.apply(lambda x: x + factor, (1,)))
        with multiprocessing.Pool(2, initialize, (10,)) as pool:
            print(pool.map(times, range(4)), isinstance(pool.apply(moved, (Point(1),)), Point))
    """
    PRINTED = """\
        this line runs once
        [0, 3, 6, 9] [3, 6]
        4
        [0, 10, 20, 30] True
    """

    def test_script_without_main_guard(self):
        self.expect(self.SCRIPT, self.PRINTED)

    def test_script_from_stdin(self):
        self.expect(self.SCRIPT, self.PRINTED, stdin=True)

    def test_prompt(self):
        lines = "from poold.multiprocessing import Pool\np = Pool(2)\ndef f(x): return x * 2\n\np.map(f, range(3))\n" \
                "def f(x): return x * 3\n\np.map(f, range(3))\np.terminate()\n"
        inherited = {name: value for name, value in os.environ.items() if name != "POOLD_SOCKET"}
        ended = subprocess.run([PYTHON, "-i", "-q"], input=lines, capture_output=True, text=True, check=False, timeout=60 * PATIENCE,
                               env={**inherited, "POOLD_EXECUTABLE": str(BIN / "poold"), "PYTHONPATH": str(PACKAGE)})
        self.assertEqual(ended.stdout, "[0, 2, 4]\n[0, 3, 6]\n", ended.stderr)

    def test_pipe_among_the_globals_is_every_workers(self):
        self.expect("""
            from poold.multiprocessing import Pipe, Pool
            receiver, sender = Pipe()
            def send(number):
                sender.send(number)
            with Pool(3) as pool:
                pool.map(send, range(9), chunksize=1)
            print(sorted(receiver.recv() for _ in range(9)))
        """, "[0, 1, 2, 3, 4, 5, 6, 7, 8]\n")

    def test_shared_memory_outlives_the_workers_that_used_it(self):
        self.expect("""
            from multiprocessing import shared_memory
            from poold.multiprocessing import Pool
            memory = shared_memory.SharedMemory(create=True, size=8)
            def fill(index):
                seen = shared_memory.SharedMemory(name=memory.name)
                seen.buf[index] = index
                seen.close()
                from multiprocessing import resource_tracker
                return resource_tracker._resource_tracker._pid  # of one of its own
            with Pool(2, maxtasksperchild=1) as pool:
                print(set(pool.map(fill, range(8), chunksize=1)))
                pool.close()
                pool.join()
            again = shared_memory.SharedMemory(name=memory.name)
            print(list(again.buf[:8]))
            again.close()
            memory.close()
            memory.unlink()
        """, "{None}\n[0, 1, 2, 3, 4, 5, 6, 7]\n")

    def test_connection_as_a_result(self):
        self.expect("""
            from poold.multiprocessing import Pool
            def give(text):
                from multiprocessing import Pipe
                receiver, sender = Pipe()
                sender.send(text)
                return receiver
            with Pool(1) as pool:
                print([pool.apply(give, (text,)).recv() for text in ("one", "two")])
        """, "['one', 'two']\n")

    def test_output_of_workers_is_the_scripts(self):
        self.assertEqual(run("""
            import os, sys
            from poold.multiprocessing import Pool
            def speak():
                print("to stdout", flush=True)
                print("to stderr", file=sys.stderr)
                os.system("echo from a child")
            with Pool(1) as pool:
                pool.apply(speak)
                print("then the script")
        """), (0, "to stdout\nfrom a child\nthen the script\n", "to stderr\n"))

    def test_directory_path_arguments_and_environment_are_the_scripts(self):
        self.expect("""
            import os, sys
            from poold.multiprocessing import Pool
            os.environ["OF_THE_SCRIPT"] = "yes"
            sys.path.append("/somewhere")
            def look():
                return os.getcwd(), sys.path[1:], sys.argv, os.environ["OF_THE_SCRIPT"], __name__
            with Pool(1) as pool:
                print(pool.apply(look) == look())
        """, "True\n")


class Deaths(Scripts):
    def test_error_says_what_happened(self):
        self.expect("""
            import concurrent.futures.process, os
            import poold
            def die():
                print("the last words")
                os.kill(os.getpid(), 9)
            with poold.Executor(1) as executor:
                pid = executor.submit(os.getpid).result()
                error = executor.submit(die).exception()
                print(isinstance(error, concurrent.futures.process.BrokenProcessPool), error.signal, error.exit_code, error.pid == pid)
                print(executor.submit(abs, -1).result())
                error = executor.submit(os._exit, 7).exception()
                print(error.signal, error.exit_code)
            print("killed by SIGKILL" in str(poold.WorkerLostError(9, None, 1)))
        """, """\
            True 9 None True
            1
            None 7
            True
        """)

    def test_crash_in_c_code_shows_its_traceback(self):
        self.expect("""
            import ctypes
            import poold
            def crash():
                print("before", flush=True)
                ctypes.string_at(0)
            with poold.Executor(1) as executor:
                error = executor.submit(crash).exception()
                print(error.signal, "before" in error.log, "in crash" in error.log)
        """, "before\n11 True True\n")

    def test_every_other_result_comes_whoever_dies(self):
        self.expect(f"""
            import os, signal
            from poold import WorkerLostError
            from poold.multiprocessing import Pool
            def work(number):
                if number % 3 == 1:
                    os._exit(number % 100 + 1)
                if number % 3 == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                return number
            def outcome(get):
                try:
                    return get()
                except WorkerLostError:
                    return "lost"
            expected = [number if number % 3 == 0 else "lost" for number in range({DEATHS})]
            with Pool(2) as pool:
                results = [pool.apply_async(work, (number,)) for number in range({DEATHS})]
                print([outcome(result.get) for result in results] == expected)
                values = pool.imap(work, range({DEATHS}))
                print([outcome(values.next) for _ in range({DEATHS})] == expected)
                results = [pool.map_async(work, [0, 3, 3 * number + 1, 6], chunksize=1) for number in range({DEATHS})]
                print({{outcome(result.get) for result in results}}, pool.map(work, [0, 3, 6]))
        """, "True\nTrue\n{'lost'} [0, 3, 6]\n")

    def test_killed_script_leaves_nothing(self):
        """Its daemon and workers end by themselves: the pipe that they hold is then closed."""
        ended = run("""
            import os, subprocess, sys
            reading, writing = os.pipe()
            os.set_inheritable(writing, True)
            script = subprocess.Popen([sys.executable, "-c", '''
            import os, signal
            from poold.multiprocessing import Pool
            pool = Pool(2)
            pool.map(abs, range(10))
            print(pool._crew.client.info().engine_pid if hasattr(pool._crew.client.info(), "engine_pid") else "", flush=True)
            from poold import _private
            print(_private._daemon._process.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
            '''.replace("\\n            ", "\\n")], stdout=subprocess.PIPE, text=True)
            pid = int(script.communicate()[0].split()[-1])
            try:
                gone = os.pidfd_open(pid)
            except ProcessLookupError:
                pass
            else:
                import select
                select.select([gone], [], [])
            print("ended")
            import glob, tempfile
            print(glob.glob(tempfile.gettempdir() + "/poold-*"))
        """)
        self.assertEqual(ended, (0, "ended\n[]\n", ""))


class Mistakes(Scripts):
    def test_no_daemon_program(self):
        code, _, stderr = run("from poold.multiprocessing import Pool\nPool(1)\n", POOLD_EXECUTABLE="/no/such/poold")
        self.assertEqual(code, 1)
        self.assertIn("POOLD_EXECUTABLE=/no/such/poold: no such program", stderr)


class SharedDaemon(DaemonTest):
    SCRIPT = """
        import os
        import poold
        from poold.multiprocessing import Pool
        factor = 3
        def times(x):
            return x * factor
        with Pool(pool={pool!r}) as pool:
            print(pool.map(times, range(4)), pool.map(times, range(9), chunksize=5), pool.apply(max, (1, 2)))
            try:
                pool.apply(os._exit, (3,))
            except poold.WorkerLostError as error:
                print("exit code", error.exit_code)
    """

    def test_pool_of_a_daemon_that_runs(self):
        here = self.daemon({"py": python_pool(accept="pickle"), "strict": python_pool()}).wait_ready()
        expected = "[0, 3, 6, 9] [0, 3, 6, 9, 12, 15, 18, 21, 24] 2\nexit code 3\n"
        for pool in ("py", None):
            self.assertEqual(run(self.SCRIPT.format(pool=pool), POOLD_SOCKET=here.socket), (0, expected, ""))

    def test_pool_that_takes_no_pickles(self):
        here = self.daemon({"strict": python_pool()}).wait_ready()
        code, _, stderr = run(self.SCRIPT.format(pool="strict"), POOLD_SOCKET=here.socket)
        self.assertEqual(code, 1)
        self.assertIn("application/x-python-pickle", stderr)
        code, _, stderr = run(self.SCRIPT.format(pool=None), POOLD_SOCKET=here.socket)
        self.assertIn("has no pool with `accept: pickle`: configure one, or unset POOLD_SOCKET", stderr)


class Lifetimes(Scripts):
    def test_workers_are_replaced_after_so_many_calls(self):
        self.expect("""
            import collections, os
            from poold.multiprocessing import Pool
            with Pool(2, maxtasksperchild=5) as pool:
                pids = pool.map(lambda _: os.getpid(), range(40), chunksize=1)
            counts = collections.Counter(pids)
            print(max(counts.values()), len(counts) >= 8)
        """, "5 True\n")

    def test_executor_serves_asyncio_and_cancels_what_waits(self):
        self.expect("""
            import asyncio, concurrent.futures, time
            import poold
            def double(x):
                return 2 * x
            async def ask(executor):
                loop = asyncio.get_running_loop()
                return await asyncio.gather(*(loop.run_in_executor(executor, double, number) for number in range(5)))
            with poold.Executor(2) as executor:
                print(asyncio.run(ask(executor)))
                print(sorted(future.result() for future in concurrent.futures.as_completed([executor.submit(double, x) for x in range(5)])))
            executor = poold.Executor(1)
            futures = [executor.submit(time.sleep, 0.2) for _ in range(20)]
            executor.shutdown(cancel_futures=True)
            print(sum(future.cancelled() for future in futures) >= 15, all(future.done() for future in futures))
        """, """\
            [0, 2, 4, 6, 8]
            [0, 2, 4, 6, 8]
            True True
        """)

    def test_program_that_just_ends_gets_what_it_submitted_to_an_executor(self):
        self.expect("""
            import time
            import poold
            from poold.multiprocessing import Pool
            def say(number):
                time.sleep(0.05)
                print("ran", number)
            executor = poold.Executor(1)
            for number in range(3):
                executor.submit(say, number)
        """, """\
            ran 0
            ran 1
            ran 2
        """)

    def test_program_that_just_ends_with_a_pool(self):
        code, stdout, stderr = run("""
            import time
            from poold.multiprocessing import Pool
            pool = Pool(2)
            results = [pool.apply_async(time.sleep, (600,)) for _ in range(10)]
            print(pool.apply_async(abs, (-1,)).ready())
        """)
        self.assertEqual((code, stdout, "left behind" in stderr), (0, "False\n", False), stderr)

    def test_failed_initializer_is_one_clear_error(self):
        code, stdout, stderr = run("""
            import poold
            from poold.multiprocessing import Pool
            def fail():
                raise ValueError("no such thing")
            with Pool(1, fail) as pool:
                try:
                    pool.apply(abs, (1,))
                except poold.InitializerFailedError as error:
                    print(error)
        """)
        self.assertEqual((code, stdout), (0, "the initializer failed: ValueError: no such thing\n"), stderr)


class Locks(Scripts):
    def test_lock_of_a_dead_holder_comes_free(self):
        self.expect("""
            import os
            from poold.multiprocessing import Lock, Pool, Process
            lock = Lock()
            def die_with_it():
                lock.acquire()
                os._exit(1)
            for _ in range(5):
                process = Process(target=die_with_it)
                process.start()
                assert lock.acquire(timeout=60)
                lock.release()
                process.join()
            print("free")
        """, "free\n")


if __name__ == "__main__":
    main()
