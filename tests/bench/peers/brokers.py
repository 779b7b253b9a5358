"""No-ops through a message broker with two workers: brokers.py beanstalkd|gearmand COUNT. Prints lines of a name and a number.

Both are spoken to directly, with requests sent many at a time. beanstalkd has no results: what the workers got is collected at the end, and
the clock stops when the last task was deleted. gearmand's workers give back what they got, and the client has it before the clock stops.
"""

import multiprocessing
import os
import socket
import struct
import sys
import time

import server

WORKERS = 2
BATCH = 500  # beanstalkd: puts in one write
WINDOW = 1024  # gearmand: jobs in flight
WARM_UP = 100


def beanstalkd_worker(address, results):
    """Deletes each job together with asking for the next."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    stream = connection.makefile("rb")
    bodies, last = [], 0.0
    connection.sendall(b"reserve\r\n")
    while True:
        word, number, size = stream.readline().split()
        assert word == b"RESERVED", word
        body = stream.read(int(size) + 2)[:-2]
        if body == b"end":
            connection.sendall(b"delete " + number + b"\r\n")
            results.put((bodies, last))
            return
        connection.sendall(b"delete " + number + b"\r\nreserve\r\n")
        assert stream.readline() == b"DELETED\r\n"
        last = time.perf_counter()
        bodies.append(int(body))


def put(connection, stream, bodies):
    connection.sendall(b"".join(b"put 0 0 60 %d\r\n%s\r\n" % (len(body), body) for body in bodies))
    for _ in bodies:
        if not stream.readline().startswith(b"INSERTED"):
            sys.exit("beanstalkd did not take a job")


def beanstalkd(count):
    with server.directory() as directory:
        address, log = str(directory / "socket"), directory / "log"
        with server.running(["beanstalkd", "-l", f"unix:{address}"], log) as process:
            connection = server.connect(process, address, log)
            stream = connection.makefile("rb")
            results = multiprocessing.Queue()
            workers = [multiprocessing.Process(target=beanstalkd_worker, args=(address, results), daemon=True) for _ in range(WORKERS)]
            for worker in workers:
                worker.start()
            begin = time.perf_counter()
            for first in range(0, count, BATCH):
                put(connection, stream, [b"%d" % value for value in range(first, min(first + BATCH, count))])
            put(connection, stream, [b"end"] * WORKERS)  # the queue is first in, first out
            collected = [results.get(timeout=60) for _ in workers]
            seconds = max(last for _, last in collected) - begin
            for worker in workers:
                worker.join()
    if sorted(body for bodies, _ in collected for body in bodies) != list(range(count)):
        sys.exit("beanstalkd: a task was lost, or done twice")
    print(f"tasks_per_s {count / seconds:.0f}")


CAN_DO, PRE_SLEEP, NOOP, SUBMIT_JOB, JOB_CREATED, GRAB_JOB, NO_JOB, JOB_ASSIGN, WORK_COMPLETE = 1, 4, 6, 7, 8, 9, 10, 11, 13


def packet(kind, *fields):
    body = b"\0".join(fields)
    return struct.pack(">4sII", b"\0REQ", kind, len(body)) + body


def receive(stream):
    magic, kind, size = struct.unpack(">4sII", stream.read(12))
    assert magic == b"\0RES", magic
    return kind, stream.read(size)


def gearmand_worker(address):
    """Answers each job together with asking for the next; is killed at the end."""
    connection = socket.create_connection(address)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = connection.makefile("rb")
    connection.sendall(packet(CAN_DO, b"noop") + packet(GRAB_JOB))
    while True:
        kind, body = receive(stream)
        if kind == JOB_ASSIGN:
            handle, _, workload = body.split(b"\0", 2)
            connection.sendall(packet(WORK_COMPLETE, handle, workload) + packet(GRAB_JOB))
        elif kind == NO_JOB:
            connection.sendall(packet(PRE_SLEEP))
        else:
            assert kind == NOOP, kind
            connection.sendall(packet(GRAB_JOB))


def run_jobs(connection, stream, count, window):
    """Seconds, and the latencies if one is in flight at a time."""
    done, times, sent, in_flight = [], [], 0, 0
    begin = sent_at = time.perf_counter()
    while len(done) < count:
        if in_flight <= window // 2 and sent < count:
            more = range(sent, min(sent + window - in_flight, count))
            sent_at = time.perf_counter()
            connection.sendall(b"".join(packet(SUBMIT_JOB, b"noop", b"", b"%d" % value) for value in more))
            sent, in_flight = sent + len(more), in_flight + len(more)
        kind, body = receive(stream)
        if kind == WORK_COMPLETE:
            done.append(int(body.split(b"\0", 1)[1]))
            in_flight -= 1
            times.append(time.perf_counter() - sent_at)
        elif kind != JOB_CREATED:
            sys.exit(f"gearmand sent packet {kind}: {body[:200]}")
    seconds = time.perf_counter() - begin
    if sorted(done) != list(range(count)):
        sys.exit("gearmand: a task was lost, or done twice")
    return seconds, sorted(times)


def gearmand(count):
    with server.directory() as directory:
        address, log = ("127.0.0.1", server.free_port()), directory / "log"
        line = ["/usr/sbin/gearmand", f"--listen={address[0]}", f"--port={address[1]}", f"--log-file={log}", "--user=root"]
        with server.running(line if os.geteuid() == 0 else line[:-1], log) as process:
            connection = server.connect(process, address, log)
            stream = connection.makefile("rb")
            workers = [multiprocessing.Process(target=gearmand_worker, args=(address,), daemon=True) for _ in range(WORKERS)]
            for worker in workers:
                worker.start()
            run_jobs(connection, stream, WARM_UP, WINDOW)
            seconds, _ = run_jobs(connection, stream, count, WINDOW)
            _, times = run_jobs(connection, stream, max(100, count // 10), 1)
            for worker in workers:
                worker.kill()
                worker.join()
    print(f"tasks_per_s {count / seconds:.0f}\np50_us {times[len(times) // 2] * 1e6:.2f}")


WAYS = {"beanstalkd": beanstalkd, "gearmand": gearmand}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in WAYS:
        sys.exit("usage: brokers.py beanstalkd|gearmand COUNT")
    WAYS[sys.argv[1]](int(sys.argv[2]))
