"""poold.Executor where concurrent.futures promises something: its ends, timeouts, cancellation, asyncio. Beside CPython's own tests
(tests/conformance/cpython), which know one dead worker as the end of everything."""

from harness import DaemonTest, main
from python_pool import python_pool
from python_scripts import Scripts, run

# A call that says that it has begun and waits for ever.
BEGIN = """
        import os, time
        from concurrent.futures import BrokenExecutor
        import poold
        path = os.path.join(os.environ["TMPDIR"], "fifo")
        os.mkfifo(path)
        def block(path):
            with open(path, "w") as file:
                file.write("x")
            time.sleep(600)
        def began(count):
            with open(path) as file:
                heard = 0
                while heard < count:
                    heard += len(file.read(count - heard))
"""


class Ends(Scripts):
    ENDED = BEGIN + """
        executor = poold.Executor(2)
        futures = [executor.submit(block, path) for _ in range(20)]
        began(2)
        pids = [worker.pid for worker in executor._crew.client.workers(executor._crew.pool)]
        gone = [os.pidfd_open(pid) for pid in pids]
        executor.{method}()
        executor.{method}()
        ends = [type(future.exception()) if not future.cancelled() else None for future in futures]
        print(all(end is None or issubclass(end, BrokenExecutor) for end in ends), sum(end is None for end in ends) >= 16, ends[0] is not None)
        text = str(next(future.exception() for future in futures if not future.cancelled()))
        print("{method}() has ended the workers" in text or "was killed by {signal}" in text)
        try:
            executor.submit(abs, 1)
        except RuntimeError as error:
            print(error)
        import select
        for descriptor in gone:
            select.select([descriptor], [], [])
        executor.shutdown()
        with poold.Executor(2) as another:
            print(another.submit(abs, -1).result())
    """
    PRINTED = "True True True\nTrue\ncannot schedule new futures after shutdown; make a new executor\n1\n"

    def test_terminate_workers(self):
        self.expect(self.ENDED.format(method="terminate_workers", signal="SIGTERM"), self.PRINTED)

    def test_kill_workers(self):
        self.expect(self.ENDED.format(method="kill_workers", signal="SIGKILL"), self.PRINTED)

    def test_workers_without_calls_are_ended(self):
        self.expect("""
            import poold
            for method in ("kill_workers", "terminate_workers"):
                for count in (0, 1):
                    for _ in range(10):
                        executor = poold.Executor(2)
                        values = list(executor.map(abs, range(count)))
                        getattr(executor, method)()
                        executor.shutdown()
            print(values)
        """, "[0]\n")

    def test_workers_are_ended_within_with(self):
        self.expect(BEGIN + """
        with poold.Executor(2) as executor:
            future = executor.submit(block, path)
            began(1)
            executor.kill_workers()
        print(isinstance(future.exception(), BrokenExecutor))
        """, "True\n")

    def test_shutdown_cancels_what_no_worker_has(self):
        self.expect(BEGIN + """
        executor = poold.Executor(1)
        def work(number):
            return number
        first = executor.submit(open, path, "w")  # until it is opened for reading
        futures = [executor.submit(work, number) for number in range(200)]
        executor.shutdown(wait=False, cancel_futures=True)
        open(path).close()
        executor.shutdown(wait=True)
        numbers = [future.result() for future in futures if not future.cancelled()]
        cancelled = [future for future in futures if future.cancelled()]
        print(numbers == list(range(len(numbers))), len(cancelled) >= 190, all(future.done() for future in futures), first.done())
        from concurrent.futures import wait
        print(len(wait(futures).done))
        """, "True True True True\n200\n")

    def test_shutdown_without_waiting_lets_all_run(self):
        self.expect("""
            import poold
            executor = poold.Executor(2)
            futures = [executor.submit(abs, -number) for number in range(50)]
            executor.shutdown(wait=False)
            print(sum(future.result() for future in futures))
        """, "1225\n")

    def test_waiting_for_one_that_ends_by_itself_waits_for_its_threads(self):
        self.expect("""
            import threading
            import poold
            with poold.Executor(1) as executor:  # the private daemon has a thread of its own from now on
                executor.submit(abs, -1).result()
            before, left = set(threading.enumerate()), []
            for _ in range(50):
                executor = poold.Executor(1)
                private, pool = executor._crew._private, executor._crew.pool
                executor.submit(abs, -1).add_done_callback(lambda _: executor.shutdown(wait=False))
                executor.shutdown(wait=True)
                left.append((set(threading.enumerate()) - before, pool in private._pools))
            print([end for end in left if end != (set(), False)])
        """, "[]\n")

    def test_dropped_in_a_forked_child(self):
        """The workers are the parent's."""
        self.expect("""
            import gc, os, threading
            import poold
            executor = poold.Executor(1)
            pid = executor.submit(os.getpid).result()
            child = os.fork()
            if not child:
                del executor
                gc.collect()
                for thread in threading.enumerate():
                    if thread is not threading.current_thread():
                        thread.join(60)
                os._exit(0)
            print(os.waitpid(child, 0)[1], executor.submit(os.getpid).result() == pid)
        """, "0 True\n")


class Waiting(Scripts):
    def test_map_that_takes_too_long(self):
        self.expect(BEGIN + """
        def work(number):
            if number == 2:
                block(path)
            return number
        import concurrent.futures
        for chunksize in (1, 2):
            executor = poold.Executor(1)
            executor.submit(work, 0).result()  # the worker has started
            values = executor.map(work, range(100), timeout=2, chunksize=chunksize)
            print(next(values), next(values))
            began(1)
            try:
                next(values)
            except concurrent.futures.TimeoutError as error:
                print("too late")
            executor.kill_workers()
        with poold.Executor(1) as executor:
            print(list(executor.map(abs, range(3), timeout=60)), list(executor.map(pow, (2, 3), (4, 5), timeout=60, chunksize=2)))
        """, "0 1\ntoo late\n0 1\ntoo late\n[0, 1, 2] [16, 243]\n")

    def test_map_that_is_not_read_to_its_end(self):
        """What waits is cancelled."""
        self.expect(BEGIN + """
        ran = os.path.join(os.environ["TMPDIR"], "ran")
        def work(number):
            with open(ran, "a") as file:
                file.write("x")
            if number == 1:
                block(path)
            return number
        for chunksize in (1, 2):
            executor = poold.Executor(1)
            values = executor.map(work, range(1000), chunksize=chunksize)
            if chunksize == 1:
                print(next(values))
            began(1)
            del values
            executor.kill_workers()
        print(os.path.getsize(ran))
        """, "0\n4\n")

    def test_map_takes_no_chunks_of_nothing(self):
        self.expect("""
            import poold
            with poold.Executor(1) as executor:
                for size in (0, -1):
                    try:
                        executor.map(abs, [1], chunksize=size)
                    except ValueError as error:
                        print(error)
                print(list(executor.map(abs, [], chunksize=5)), list(executor.map(abs, [])))
        """, "chunksize must be >= 1.\nchunksize must be >= 1.\n[] []\n")

    def test_futures_as_they_end(self):
        self.expect(BEGIN + """
        from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, as_completed, wait
        with poold.Executor(2) as executor:
            slow = executor.submit(open, path, "w")
            quick = [executor.submit(abs, -number) for number in range(20)]
            failing = executor.submit(int, "no number")
            print(sorted(future.result() for future in as_completed(quick)) == list(range(20)))
            print(slow in wait([slow, *quick], return_when=FIRST_COMPLETED).not_done)
            print(failing in wait([slow, failing], return_when=FIRST_EXCEPTION).done)
            try:
                list(as_completed([slow], timeout=0.1))
            except TimeoutError as error:
                print(error)
            open(path).close()
        """, "True\nTrue\nTrue\n1 (of 1) futures unfinished\n")

    def test_cancelled_future_is_not_run(self):
        self.expect(BEGIN + """
        from concurrent.futures import as_completed
        with poold.Executor(1) as executor:
            first = executor.submit(open, path, "w")
            others = [executor.submit(abs, -number) for number in range(50)]
            print(first.cancel(), others[-1].cancel(), others[-1].cancelled())
            open(path).close()
            print(len(list(as_completed(others))), others[-2].result())
        """, "False True True\n50 48\n")


class Asyncio(Scripts):
    def test_calls_deaths_and_errors(self):
        self.expect("""
            import asyncio, os
            import poold
            async def main():
                loop = asyncio.get_running_loop()
                with poold.Executor(2) as executor:
                    calls = [loop.run_in_executor(executor, pow, 2, number) for number in range(50)]
                    calls.append(loop.run_in_executor(executor, os._exit, 3))
                    calls.append(loop.run_in_executor(executor, int, "no number"))
                    results = await asyncio.gather(*calls, return_exceptions=True)
                    print(results[:50] == [2**number for number in range(50)], type(results[50]).__name__, type(results[51]).__name__)
                    ended = [await future for future in asyncio.as_completed([loop.run_in_executor(executor, abs, -number) for number in range(9)])]
                    print(sorted(ended))
            asyncio.run(main())
        """, "True WorkerLostError ValueError\n[0, 1, 2, 3, 4, 5, 6, 7, 8]\n")

    def test_timeout_cancels_what_waits(self):
        self.expect(BEGIN + """
        import asyncio
        async def main():
            loop = asyncio.get_running_loop()
            executor = poold.Executor(1)
            blocked = loop.run_in_executor(executor, block, path)
            waiting = [loop.run_in_executor(executor, abs, 1) for _ in range(20)]
            await asyncio.to_thread(began, 1)
            try:
                await asyncio.wait_for(waiting[-1], 0.1)
            except TimeoutError:
                print("too late", waiting[-1].cancelled())
            executor.kill_workers()
            results = await asyncio.gather(blocked, *waiting, return_exceptions=True)
            print(isinstance(results[0], BrokenExecutor), all(isinstance(result, (BrokenExecutor, asyncio.CancelledError)) for result in results))
        asyncio.run(main())
        """, "too late True\nTrue True\n")


class SharedDaemon(DaemonTest):
    def test_workers_of_a_daemon_that_runs_are_not_ended(self):
        here = self.daemon({"py": python_pool(accept="pickle", workers=2, grace="200ms")}).wait_ready()
        script = BEGIN + """
        pids = sorted(worker.pid for worker in poold.Client().workers("py"))
        for method in ("terminate_workers", "kill_workers"):
            executor = poold.Executor(2, pool="py")
            futures = [executor.submit(block, path) for _ in range(5)]
            began(2)
            getattr(executor, method)()
            print(isinstance(futures[0].exception(), BrokenExecutor), f"{method}() has ended" in str(futures[0].exception()))
        with poold.Executor(2, pool="py") as executor:
            print(executor.submit(abs, -1).result())
        print(sorted(worker.pid for worker in poold.Client().workers("py")) == pids)
        """
        self.assertEqual(run(script, POOLD_SOCKET=here.socket), (0, "True True\nTrue True\n1\nTrue\n", ""))


if __name__ == "__main__":
    main()
