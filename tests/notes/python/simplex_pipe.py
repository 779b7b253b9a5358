"""A pipe in one direction."""
from multiprocessing import Pipe, Process

receiver, sender = Pipe(duplex=False)


def count():
    for number in range(3):
        sender.send(number)
    sender.close()


process = Process(target=count)
process.start()
sender.close()
while True:
    try:
        print("got", receiver.recv())
    except EOFError:
        break
process.join()
try:
    receiver.send(1)
except OSError as error:
    print(error)
