"""joblib's backend "poold" (poold.joblib), as scripts use it. Skipped where python3-joblib is not installed."""

import subprocess
import unittest

from harness import DaemonTest, main
from python_pool import PACKAGE, PYTHON, python_pool
from python_scripts import Scripts, run

MISSING = subprocess.run([PYTHON, "-c", "import joblib"], capture_output=True, check=False).returncode != 0
needs_joblib = unittest.skipIf(MISSING, "joblib is not installed: apt install python3-joblib")


@needs_joblib
class Calls(Scripts):
    def test_functions_of_a_script(self):
        self.expect("""
            import os
            from joblib import Parallel, delayed, parallel_backend
            import poold.joblib
            factor = 3
            def times(x):
                return x * factor
            with parallel_backend("poold", n_jobs=2):
                print(Parallel()(delayed(times)(i) for i in range(100)) == [3 * i for i in range(100)])
                pids = set(Parallel(batch_size=1)(delayed(os.getpid)() for _ in range(50)))
                print(len(pids) <= 2 and os.getpid() not in pids)
            print(Parallel(n_jobs=2, backend="poold")(delayed(lambda x: -x)(i) for i in range(3)))
            print(Parallel(n_jobs=2, backend="poold")([]))
        """, """\
            True
            True
            [0, -1, -2]
            []
        """)

    def test_workers_are_kept_and_see_the_globals_of_now(self):
        self.expect("""
            import os
            from joblib import Parallel, delayed
            import poold.joblib
            factor = 3
            class Point:
                def __init__(self, x):
                    self.x = x
            def moved(point):
                return Point(point.x * factor), os.getpid()
            def values():
                points = Parallel(n_jobs=2, backend="poold", batch_size=1)(delayed(moved)(Point(i)) for i in range(20))
                pids.append({pid for _, pid in points})
                return sum(point.x for point, _ in points), all(type(point) is Point for point, _ in points)
            pids = []
            print(values())
            factor = 10
            print(values())
            print(len(pids[0] | pids[1]) <= 2)
            with Parallel(n_jobs=2, backend="poold") as parallel:
                print(parallel(delayed(moved)(Point(1)) for _ in range(1))[0][0].x)
                factor = 20
                print(parallel(delayed(moved)(Point(1)) for _ in range(1))[0][0].x)
        """, """\
            (570, True)
            (1900, True)
            True
            10
            20
        """)

    def test_numbers_of_jobs(self):
        self.expect("""
            import os
            from joblib import Parallel, cpu_count, delayed, effective_n_jobs, parallel_backend
            import poold.joblib
            backend = poold.joblib.PooldBackend(nesting_level=0)
            print([backend.effective_n_jobs(n) for n in (None, 1, 7, -1, -1000)] == [1, 1, 7, cpu_count(), 1])
            print(backend.effective_n_jobs(-2) == max(1, cpu_count() - 1))
            with parallel_backend("poold", n_jobs=-1):
                print(effective_n_jobs(-1) == cpu_count(), Parallel()(delayed(abs)(-i) for i in range(5)))
            print(Parallel(n_jobs=1, backend="poold")(delayed(os.getpid)() for _ in range(1)) == [os.getpid()])
            try:
                Parallel(n_jobs=0, backend="poold")(delayed(abs)(i) for i in range(5))
            except ValueError as error:
                print(error)
        """, """\
            True
            True
            True [0, 1, 2, 3, 4]
            True
            n_jobs == 0 in Parallel has no meaning
        """)

    def test_small_calls_travel_in_growing_batches(self):
        self.expect("""
            from joblib import Parallel, delayed
            import poold.joblib
            sizes = []
            class Counting(poold.joblib.PooldBackend):
                def apply_async(self, func, callback=None):
                    sizes.append(len(func))
                    return super().apply_async(func, callback)
            print(Parallel(n_jobs=2, backend=Counting())(delayed(abs)(-i) for i in range(5000)) == list(range(5000)))
            print(max(sizes) > 1, sum(sizes), len(sizes) < 5000)
        """, """\
            True
            True 5000 True
        """)

    def test_batches_stay_small_enough_to_be_sent(self):
        self.expect("""
            from joblib import Parallel, delayed
            import poold.joblib
            sizes = []
            class Counting(poold.joblib.PooldBackend):
                def apply_async(self, func, callback=None):
                    sizes.append(len(func))
                    return super().apply_async(func, callback)
            for function, argument in ((len, bytes(1 << 20)), (bytes, 1 << 20)):
                values = Parallel(n_jobs=2, backend=Counting())(delayed(function)(argument) for _ in range(100))
                print(len(values), values.count(function(argument)), max(sizes) <= 4)
        """, "100 100 True\n100 100 True\n")

    def test_threads_of_libraries_are_shared_out(self):
        self.expect("""
            import os
            from joblib import Parallel, cpu_count, delayed, parallel_backend
            import poold.joblib
            def see(name):
                return os.environ.get(name)
            for variable in poold.joblib.PooldBackend.MAX_NUM_THREADS_VARS:
                os.environ.pop(variable, None)
            print(Parallel(n_jobs=2, backend="poold")([delayed(see)("OMP_NUM_THREADS")]) == [str(max(1, cpu_count() // 2))])
            with parallel_backend("poold", n_jobs=2, inner_max_num_threads=5):
                print(Parallel()([delayed(see)("OPENBLAS_NUM_THREADS")]))
            print("OMP_NUM_THREADS" in os.environ)
        """, """\
            True
            ['5']
            False
        """)


@needs_joblib
class Nested(Scripts):
    SCRIPT = """
        import os, threading
        from joblib import Parallel, delayed, parallel_backend
        import poold.joblib
        def innermost(number):
            return number
        def inner(number):
            return sum(Parallel(n_jobs=2{inner})(delayed(innermost)(i) for i in range(number)))
        def outer(number):
            return sum(Parallel(n_jobs=2{inner})(delayed(inner)(i) for i in range(number)))
        with parallel_backend("poold", n_jobs=2):
            print(Parallel()(delayed(outer)(i) for i in range(8)))
    """
    PRINTED = "[0, 0, 0, 1, 4, 10, 20, 35]\n"

    def test_parallel_inside_a_function(self):
        self.expect(self.SCRIPT.format(inner=""), self.PRINTED)

    def test_the_backend_is_asked_for_inside_as_well(self):
        self.expect(self.SCRIPT.format(inner=", backend='poold'"), self.PRINTED)

    def test_parallels_of_several_threads(self):
        self.expect("""
            from joblib import Parallel, delayed
            import poold.joblib
            def inner(number):
                return sum(Parallel(n_jobs=2, backend="poold")(delayed(abs)(-i) for i in range(number)))
            print(Parallel(n_jobs=3, backend="threading")(delayed(inner)(i) for i in range(6)))
        """, "[0, 0, 1, 3, 6, 10]\n")


@needs_joblib
class Failures(Scripts):
    def test_exception_comes_with_the_workers_traceback(self):
        self.expect("""
            import traceback
            from joblib import Parallel, delayed
            import poold.joblib
            class Own(Exception):
                pass
            def fail(number):
                if number == 30:
                    raise Own("no thirty")
                return number
            with Parallel(n_jobs=2, backend="poold") as parallel:
                try:
                    parallel(delayed(fail)(i) for i in range(100))
                except Own as error:
                    print(error, "in fail" in "".join(traceback.format_exception(error)))
                print(parallel(delayed(fail)(i) for i in range(5)))
        """, """\
            no thirty True
            [0, 1, 2, 3, 4]
        """)

    def test_nothing_of_a_failed_call_is_in_the_next(self):
        self.expect("""
            from joblib import Parallel, delayed
            import poold.joblib
            with Parallel(n_jobs=2, backend="poold", batch_size=3) as parallel:
                for number in range(10):
                    try:
                        parallel(delayed(int)("no number" if i == number else i) for i in range(100))
                    except ValueError:
                        print(parallel(delayed(abs)(i) for i in range(3)))
        """, "[0, 1, 2]\n" * 10)

    def test_dead_worker_is_one_error(self):
        self.expect("""
            import os, signal
            from joblib import Parallel, delayed, parallel_backend
            import poold, poold.joblib
            def work(number):
                if number == 13:
                    os.kill(os.getpid(), signal.SIGKILL)
                return number
            with parallel_backend("poold", n_jobs=2):
                for _ in range(5):
                    try:
                        Parallel()(delayed(work)(i) for i in range(40))
                    except poold.WorkerLostError as error:
                        print(error.signal)
                    print(Parallel()(delayed(work)(i) for i in range(5)))
        """, "9\n[0, 1, 2, 3, 4]\n" * 5)

    def test_other_parallel_goes_on(self):
        self.expect("""
            import os, threading
            from joblib import Parallel, delayed
            import poold, poold.joblib
            def slowly(number):
                with open(path) as file:  # until the other has failed
                    return number + len(file.read())
            path = os.path.join(os.environ["TMPDIR"], "fifo")
            os.mkfifo(path)
            results = []
            thread = threading.Thread(target=lambda: results.append(Parallel(n_jobs=2, backend="poold")([delayed(slowly)(1)])))
            thread.start()
            try:
                Parallel(n_jobs=2, backend="poold")(delayed(os._exit)(3) for _ in range(9))
            except poold.WorkerLostError as error:
                print(error.exit_code)
            with open(path, "w") as file:
                file.write("four")
            thread.join()
            print(results)
        """, "3\n[[5]]\n")

    def test_what_cannot_be_sent_is_one_error(self):
        self.expect("""
            import threading
            from joblib import Parallel, delayed
            import poold.joblib
            lock = threading.Lock()
            for calls in ([delayed(id)(lock)] * 2000, [delayed(abs)(1)] * 100 + [delayed(id)(lock)], [delayed(threading.Lock)()] * 9):
                try:
                    Parallel(n_jobs=2, backend="poold")(calls)
                except Exception as error:
                    print(type(error).__name__, error)
        """, "TypeError cannot pickle '_thread.lock' object\n" * 3)

    def test_generator_that_fails_later_is_heard_of(self):
        self.expect("""
            from joblib import Parallel, delayed
            import poold.joblib
            def calls():
                for number in range(50):
                    yield delayed(abs)(number)
                raise ValueError("no more")
            try:
                Parallel(n_jobs=2, backend="poold")(calls())
            except ValueError as error:
                print(error)
        """, "no more\n")

    def test_timeout(self):
        self.expect("""
            import multiprocessing, time
            from joblib import Parallel, delayed
            import poold.joblib
            def fail():
                raise TimeoutError("of its own")
            with Parallel(n_jobs=2, backend="poold", timeout=0.3) as parallel:
                try:
                    parallel([delayed(time.sleep)(600)])
                except multiprocessing.TimeoutError as error:
                    print(error)
            try:
                Parallel(n_jobs=2, backend="poold", timeout=600)([delayed(fail)()])
            except TimeoutError as error:
                print(error)
        """, "a batch has not ended within 0.3 s\nof its own\n")


@needs_joblib
class SharedDaemon(DaemonTest):
    SCRIPT = """
        import os
        from joblib import Parallel, delayed, effective_n_jobs, parallel_backend
        import poold, poold.joblib
        factor = 3
        def times(x):
            return x * factor
        def inner(number):
            return sum(Parallel(n_jobs=2, backend="poold")(delayed(times)(i) for i in range(number)))
        with parallel_backend("poold"{arguments}):
            print(effective_n_jobs(-1), Parallel()(delayed(times)(i) for i in range(9)))
            factor = 10
            print(Parallel()(delayed(inner)(i) for i in range(6)))
            try:
                Parallel()(delayed(os._exit)(3) for i in range(9))
            except poold.WorkerLostError as error:
                print(error.exit_code)
            print(Parallel()(delayed(times)(i) for i in range(3)))
    """

    def test_pool_of_a_daemon_that_runs(self):
        here = self.daemon({"strict": python_pool(), "py": python_pool(accept="pickle", workers=3)}).wait_ready()
        expected = "3 [0, 3, 6, 9, 12, 15, 18, 21, 24]\n[0, 0, 10, 30, 60, 100]\n3\n[0, 10, 20]\n"
        for arguments in ("", ", pool='py'"):
            self.assertEqual(run(self.SCRIPT.format(arguments=arguments), POOLD_SOCKET=here.socket), (0, expected, ""))

    def test_failed_parallel_leaves_the_workers_alone(self):
        here = self.daemon({"py": python_pool(accept="pickle", workers=3)}).wait_ready()
        script = """
            import os
            from joblib import Parallel, delayed
            import poold, poold.joblib
            def pids():
                return {worker.pid for worker in poold.Client().workers("py")}
            before = pids()
            try:
                Parallel(n_jobs=3, backend="poold")(delayed(int)("no number") for i in range(9))
            except ValueError:
                print(pids() == before)
        """
        self.assertEqual(run(script, POOLD_SOCKET=here.socket), (0, "True\n", ""))


class Missing(Scripts):
    def test_joblib_is_not_installed(self):
        code, _, stderr = run("""
            import sys
            sys.modules["joblib"] = None
            import poold.joblib
        """)
        self.assertEqual(code, 1)
        self.assertIn("ModuleNotFoundError: poold.joblib is a backend for the package joblib, which is not installed: apt install python3-joblib", stderr)


if __name__ == "__main__":
    main()
