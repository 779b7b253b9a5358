"""Workers share an array in shared memory."""
from multiprocessing import Pool, shared_memory

SIZE = 8
memory = shared_memory.SharedMemory(create=True, size=SIZE)
name = memory.name


def fill(index):
    seen = shared_memory.SharedMemory(name=name)
    seen.buf[index] = index * index
    seen.close()


with Pool(2) as pool:
    pool.map(fill, range(SIZE))
print(list(memory.buf[:SIZE]))
memory.close()
memory.unlink()
