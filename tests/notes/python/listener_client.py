"""Two processes talk through connection.Listener and Client."""
from multiprocessing import Pipe, Process
from multiprocessing.connection import Client, Listener

where, telling = Pipe(duplex=False)


def serve():
    with Listener(family="AF_UNIX", authkey=b"secret") as listener:
        telling.send(listener.address)
        with listener.accept() as connection:
            connection.send(connection.recv().upper())


def ask(address):
    with Client(address, authkey=b"secret") as connection:
        connection.send("hello")
        print("answer:", connection.recv())


server = Process(target=serve)
server.start()
client = Process(target=ask, args=(where.recv(),))
client.start()
client.join()
server.join()
