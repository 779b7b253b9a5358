"""Ten calls of a pool, with close and join."""
from multiprocessing import Pool

base = 100


def work(number):
    print("working on", number)
    return base + number * number


pool = Pool(3)
results = [pool.apply_async(work, (number,)) for number in range(10)]
pool.close()
pool.join()
print([result.get() for result in results])
