"""A producer and a consumer on a queue."""
from multiprocessing import Process, Queue

queue = Queue(3)


def produce():
    for number in range(6):
        queue.put(number)
    queue.put(None)


def consume():
    while (number := queue.get()) is not None:
        print("consumed", number)


processes = [Process(target=produce), Process(target=consume)]
for process in processes:
    process.start()
for process in processes:
    process.join()
