"""A semaphore lets two of five in."""
import time
from multiprocessing import Process, Semaphore, SimpleQueue

semaphore, inside = Semaphore(2), SimpleQueue()  # whose put has happened when it returns


def enter(number):
    with semaphore:
        inside.put(1)
        time.sleep(0.05)
        inside.put(-1)


processes = [Process(target=enter, args=(number,)) for number in range(5)]
for process in processes:
    process.start()
count = most = 0
for _ in range(10):
    count += inside.get()
    most = max(most, count)
for process in processes:
    process.join()
print("all left:", count == 0, "never more than two:", most <= 2)
