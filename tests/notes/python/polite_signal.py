"""A signal stops a process politely."""
import signal
from multiprocessing import Event, Pipe, Process

told, telling = Pipe(duplex=False)


def run():
    stopping = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    telling.send("ready")
    while not stopping:
        signal.pause()
    print("cleaning up after", signal.Signals(stopping[0]).name)


process = Process(target=run)
process.start()
print(told.recv())
process.terminate()
process.join()
print("exit code", process.exitcode)
