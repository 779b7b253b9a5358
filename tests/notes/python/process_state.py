"""Name, pid, is_alive."""
import os
from multiprocessing import Event, Process, Queue, current_process

go, answers = Event(), Queue()


def report():
    answers.put((current_process().name, os.getpid()))
    go.wait()


process = Process(target=report, name="reporter")
print("before", process.name, process.pid, process.is_alive())
process.start()
name, pid = answers.get()
print("during", name, pid == process.pid == process.ident, process.is_alive())
go.set()
process.join()
print("after", process.is_alive(), process.exitcode)
