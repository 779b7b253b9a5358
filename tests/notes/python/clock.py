"""A process class that prints the time every two seconds."""
import time
from multiprocessing import Process


class Clock(Process):
    def __init__(self, ticks, seconds):
        super().__init__()
        self.ticks = ticks
        self.seconds = seconds

    def run(self):
        for tick in range(self.ticks):
            print("tick", tick, time.strftime("%H:%M:%S"), flush=True)
            time.sleep(self.seconds)


clock = Clock(2, 2)
clock.start()
clock.join()
print("stopped", clock.exitcode)
