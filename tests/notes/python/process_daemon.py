"""A daemon process ends with the program."""
import time
from multiprocessing import Pipe, Process

ready, telling = Pipe(duplex=False)


def for_ever():
    print("the daemon runs", flush=True)
    telling.send("running")
    while True:
        time.sleep(3600)


process = Process(target=for_ever, daemon=True)
process.start()
print(ready.recv(), process.daemon)
print("the program ends")
