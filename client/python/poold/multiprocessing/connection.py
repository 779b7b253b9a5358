"""multiprocessing.connection, as it is: Listener and Client, Pipe's ends, wait."""

from multiprocessing.connection import Client, Connection, Listener, Pipe, answer_challenge, deliver_challenge, wait

__all__ = ["Client", "Connection", "Listener", "Pipe", "answer_challenge", "deliver_challenge", "wait"]
