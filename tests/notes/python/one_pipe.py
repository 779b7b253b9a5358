"""Five processes send through one pipe, whose ends are globals."""
from multiprocessing import Process, Pipe

receiver, sender = Pipe()


def send(number):
    sender.send(f"message {number}")


processes = [Process(target=send, args=(number,)) for number in range(5)]
for process in processes:
    process.start()
    process.join()
for _ in processes:
    print(receiver.recv())
