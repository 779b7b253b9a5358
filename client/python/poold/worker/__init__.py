"""The worker side: `python3 -m poold.worker MODULE...` runs functions of these modules for a pool of kind `function`.

Reading order: executor.py runs tasks, in the main thread; exchange.py is what it shares with the second thread, watcher.py, which answers the
daemon while a function runs; ring.py is how results leave; request.py reads what a task asks for, lookup.py finds functions,
outcome.py writes how they ended; pickled.py does the same for calls that are pickles, and script.py is a worker of a program's private daemon; capture.py and attempt_log.py keep what they print.
The protocol is in common/proto/poold/v1/worker.proto and the section on workers of common/proto/README.md.

Nothing in here is for programs to import.
"""
