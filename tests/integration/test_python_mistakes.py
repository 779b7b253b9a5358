"""Mistakes that users make with Pool, Process and Executor: each is the exception that the standard library raises, with words that help. The same table
is run with the standard classes."""

from harness import DaemonTest, main
from python_pool import python_pool
from python_scripts import Scripts, run

OURS = """
        from poold.multiprocessing import Pool, Process
        from poold import Executor
"""
THEIRS = """
        from multiprocessing import Pool, Process
        from concurrent.futures import ProcessPoolExecutor as Executor
"""
SCRIPT = """
        import sys, threading, time, types
        lock = threading.Lock()
        def two(first, second):
            return first
        def give_lock():
            return threading.Lock()
        def started(**settings):
            process = Process(**settings)
            process.start()
            return process
        def start_twice():
            process = started(target=abs, args=(1,))
            process.join()
            process.start()
        closed_pool = Pool(1)
        closed_pool.close()
        closed_pool.join()
        closed_executor = Executor(1)
        closed_executor.shutdown()
        pool = Pool(1)
        executor = Executor(1)
        for line in {lines!r}:
            try:
                print("no error", eval(line))
            except BaseException as error:
                print(type(error).__name__, "|", error, *getattr(error, "__notes__", []))
        pool.terminate()
        executor.shutdown()
"""

UNPICKLABLE = "cannot pickle '_thread.lock' object A call is sent as a pickle of its arguments"
NO_FUNCTION = "'str' object is not callable: a function is wanted"
NOT_ITERABLE = "'int' object is not iterable"
ARITY = "two() missing 1 required positional argument: 'second'"
CLOSED = "Pool not running: it was closed or terminated; make a new one"
SHUT_DOWN = "cannot schedule new futures after shutdown; make a new executor"
# What is done, the type, a part of the message.
MISTAKES = [
    # An argument, or a result, that cannot be pickled.
    ("pool.apply(two, (lock, 1))", "TypeError", UNPICKLABLE),
    ("pool.map(abs, [lock])", "TypeError", UNPICKLABLE),
    ("pool.map(abs, [lock, lock], 2)", "TypeError", UNPICKLABLE),
    ("list(pool.imap(abs, [lock]))", "TypeError", UNPICKLABLE),
    ("executor.submit(two, lock, 1).result()", "TypeError", UNPICKLABLE),
    ("list(executor.map(abs, [lock]))", "TypeError", UNPICKLABLE),
    ("list(executor.map(abs, [lock, 1], chunksize=2))", "TypeError", UNPICKLABLE),
    ("pool.apply(give_lock)", "MaybeEncodingError", "Error sending result: '<unlocked _thread.lock object at"),
    ("executor.submit(give_lock).result()", "TypeError", "cannot pickle '_thread.lock' object"),
    ("pool.apply(two, (pool, 1))", "NotImplementedError", "pool objects cannot be passed between processes"),
    # What is no function.
    ("pool.apply('two')", "TypeError", NO_FUNCTION),
    ("pool.map('two', [1])", "TypeError", NO_FUNCTION),
    ("list(pool.imap('two', [1]))", "TypeError", NO_FUNCTION),
    ("executor.submit('two').result()", "TypeError", NO_FUNCTION),
    ("list(executor.map('two', [1, 2], chunksize=2))", "TypeError", NO_FUNCTION),
    ("Pool(1, 5)", "TypeError", "initializer must be a callable"),
    ("Executor(1, initializer=5)", "TypeError", "initializer must be a callable"),
    # Wrong arguments.
    ("pool.apply(two, (1,))", "TypeError", ARITY),
    ("executor.submit(two, 1).result()", "TypeError", ARITY),
    ("executor.submit()", "TypeError", "missing 1 required positional argument: 'fn'"),
    ("pool.apply(two, (1,), {'third': 3})", "TypeError", "unexpected keyword argument 'third'"),
    ("pool.apply(two, 5)", "TypeError", "args has to be a tuple of arguments, not int; for one argument, (argument,)"),
    ("pool.map(abs, 5)", "TypeError", NOT_ITERABLE),
    ("pool.starmap(two, [5])", "TypeError", NOT_ITERABLE),
    ("executor.map(abs, 5)", "TypeError", NOT_ITERABLE),
    ("executor.map(abs, [1], chunksize=0)", "ValueError", "chunksize must be >= 1."),
    ("Process(target=two, args=5)", "TypeError", NOT_ITERABLE),
    ("Process(group=5)", "AssertionError", "group argument must be None for now"),
    # Numbers.
    ("Pool(0)", "ValueError", "Number of processes must be at least 1"),
    ("Pool(1.5)", "TypeError", "'float' object cannot be interpreted as an integer"),
    ("Pool('2')", "TypeError", "'str' object cannot be interpreted as an integer"),
    ("Pool(1, maxtasksperchild=0)", "ValueError", "maxtasksperchild must be a positive int or None"),
    ("Executor(0)", "ValueError", "max_workers must be greater than 0"),
    ("Executor('2')", "TypeError", "'str' object cannot be interpreted as an integer"),
    ("Executor(1, max_tasks_per_child='2')", "TypeError", "max_tasks_per_child must be an integer"),
    # At the wrong time.
    ("pool.join()", "ValueError", "Pool is still running: call close() or terminate() before join()"),
    ("pool.apply_async(time.sleep, (0.5,)).successful()", "ValueError", "not ready"),
    ("pool.map_async(time.sleep, [0.5]).successful()", "ValueError", "not ready"),
    ("pool.apply_async(time.sleep, (0.5,)).get(0.001)", "TimeoutError", "the call has not ended within 0.001 s"),
    ("pool.map_async(time.sleep, [0.5]).get(0.001)", "TimeoutError", "the calls have not ended within 0.001 s"),
    ("pool.imap(time.sleep, [0.5]).next(0.001)", "TimeoutError", "there is no value after 0.001 s"),
    *((f"closed_pool.{method}(abs, (1,))", "ValueError", CLOSED)
      for method in ("apply", "apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered")),
    ("closed_pool.__enter__()", "ValueError", CLOSED),
    ("closed_executor.submit(abs, 1)", "RuntimeError", SHUT_DOWN),
    ("closed_executor.map(abs, [1, 2])", "RuntimeError", SHUT_DOWN),
    ("closed_executor.map(abs, [1, 2], chunksize=2)", "RuntimeError", SHUT_DOWN),
    ("start_twice()", "AssertionError", "cannot start a process twice"),
    ("Process(target=abs).join()", "AssertionError", "can only join a started process"),
    ("started(target=time.sleep, args=(0.5,)).close()", "ValueError", "Cannot close a process while it is still running."),
]
# Where the standard classes hang, pass over it, or break the pool.
OWN = [
    ("started(target=two, args=(lock, 1))", "TypeError", UNPICKLABLE),
    ("pool.map(abs, [1], 0)", "ValueError", "Chunksize must be 1+, not 0"),
    ("Pool(1, abs, 5)", "TypeError", "initargs has to be a tuple of arguments, not int; for one argument, (argument,)"),
    ("Executor(1, abs, 5)", "TypeError", "initargs has to be a tuple of arguments, not int; for one argument, (argument,)"),
    ("Pool(2000)", "ValueError", "Number of processes must be at most 1000"),
    ("Executor(2000)", "ValueError", "max_workers must be <= 1000"),
    ("executor.submit(made.function).result()", "ModuleNotFoundError", "No module named 'made' The worker looks for the function made:function where"),
    ("pool.apply(made.function)", "ModuleNotFoundError", "No module named 'made' The worker looks for the function made:function where"),
    ("pool.apply(raise_odd)", "MaybeEncodingError", "the call raised Odd(1), which cannot be sent as it is"),
    ("executor.submit(raise_odd).result()", "Exception", "the call raised Odd(1), which cannot be sent as it is"),
    ("executor.submit(two, Unloadable(), 1).result()", "NotLoadedError", "the call arrived in the worker, but cannot be loaded: RuntimeError: not here"),
    ("pool.apply(abs, (-1,)) + executor.submit(abs, -1).result()", "no", "2"),
]
DEFINITIONS = """
        class Odd(Exception):
            def __init__(self, first, second):
                super().__init__(first)
        def raise_odd():
            raise Odd(1, 2)
        class Unloadable:
            def __reduce__(self):
                return not_here, ()
        def not_here():
            raise RuntimeError("not here")
        made = types.ModuleType("made")
        exec("def function(): pass", vars(made))
        sys.modules["made"] = made
"""


def lines_of(head, table, definitions=""):
    before, after = SCRIPT.format(lines=[line for line, _, _ in table]).split("        closed_pool = ")
    code, stdout, stderr = run(head + before + definitions + "        closed_pool = " + after)
    assert code == 0, stderr
    return stdout.splitlines()


class Table(Scripts):
    def check(self, table, printed):
        self.assertEqual(len(printed), len(table), printed)
        for (line, kind, message), shown in zip(table, printed):
            with self.subTest(line):
                self.assertEqual(shown.split(" ")[0], kind, shown)
                self.assertIn(message, shown)

    def test_each_says_what_to_do(self):
        self.check(MISTAKES, lines_of(OURS, MISTAKES))

    def test_each_has_the_type_of_the_standard_library(self):
        kinds = [line.split(" ")[0] for line in lines_of(THEIRS, MISTAKES)]
        for (line, kind, _), theirs in zip(MISTAKES, kinds, strict=True):
            with self.subTest(line):
                self.assertEqual(kind, theirs)

    def test_where_the_standard_library_hangs_or_is_silent(self):
        self.check(OWN, lines_of(OURS, OWN, DEFINITIONS))

    def test_process_says_what_was_wrong_and_ends_with_1(self):
        for head in (OURS, THEIRS):
            for settings, words in (("target='two'", "TypeError: 'str' object is not callable"), ("target=divmod, args=(1,)", "expected 2 arguments, got 1")):
                code, stdout, stderr = run(f"""{head}
        process = Process({settings})
        process.start()
        process.join()
        print(process.exitcode)
                """)
                self.assertEqual((code, stdout), (0, "1\n"), stderr)
                self.assertIn(words, stderr)

    def test_a_wrong_pool_spoils_no_other(self):
        self.expect("""
            from poold import _private
            from poold.multiprocessing import Pool
            with Pool(1) as pool:
                daemon = _private.private_daemon()
                try:
                    daemon.add_pool(-1, None, None)
                except Exception as error:
                    print("expected a number" in str(error))
                with Pool(1) as another:
                    print(pool.apply(abs, (-1,)), another.apply(abs, (-2,)))
        """, "True\n1 2\n")


class SharedDaemon(DaemonTest):
    def test_what_a_daemon_that_runs_does_not_allow(self):
        here = self.daemon({"strict": python_pool(), "py": python_pool(accept="pickle")}).wait_ready()
        table = [
            ("Pool(pool='strict')", "ValueError", "the pool 'strict' of the daemon at"),
            ("Pool(pool='strict')", "ValueError", "does not take application/x-python-pickle: say `accept: pickle` there, or choose another one"),
            ("Executor(pool='nosuch')", "ValueError", "has no pool 'nosuch'; it has strict, py"),
            ("Pool(1, abs, pool='py')", "ValueError", "an initializer is for workers of this program's own, and those of the pool 'py' belong to a daemon"),
            ("Pool(1, maxtasksperchild=5)", "ValueError", "a number of calls after which a worker is replaced is for workers of this program's own"),
            ("Executor(1, max_tasks_per_child=5)", "ValueError", "leave it out, or give no pool= and unset POOLD_SOCKET"),
            ("Client().call('nosuch', pool='py')", "TaskRejected", "nosuch"),
            ("Client().call('needs_two', 1, pool='py')", "TaskRejected", "missing a required argument: 'second'"),
            ("Client().call('echo', threading.Lock(), pool='py')", "NotAValue", "echo: argument 0: _thread.lock is no JSON value"),
            ("Client().call('os:getpid', pool='py')", "TaskRejected", "os:getpid"),
        ]
        script = f"""{OURS}
        import threading
        from poold import Client
        for line in {[line for line, _, _ in table]!r}:
            try:
                print("no error", eval(line))
            except Exception as error:
                print(type(error).__name__, "|", str(error).replace(chr(10), " "))
        """
        code, stdout, stderr = run(script, POOLD_SOCKET=here.socket)
        self.assertEqual((code, stderr), (0, ""))
        for (line, kind, message), shown in zip(table, stdout.splitlines(), strict=True):
            with self.subTest(line):
                self.assertEqual(shown.split(" ")[0], kind, shown)
                self.assertIn(message, shown)


if __name__ == "__main__":
    main()
