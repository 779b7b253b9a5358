"""A process with arguments and keyword arguments, and a join."""
from multiprocessing import Process


def greet(name, greeting="hello", times=1):
    for _ in range(times):
        print(greeting, name)


process = Process(target=greet, args=("world",), kwargs={"greeting": "good morning", "times": 2})
process.start()
process.join()
print("exit code", process.exitcode)
