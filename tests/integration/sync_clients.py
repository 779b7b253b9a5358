"""Programs that hold, wait and vanish, for the tests of queues and semaphores: each is one process with one connection.

    python3 sync_clients.py SOCKET STEP...      STEP: Service/Method JSON, one after the other; each answer is a line on stdout
"""

import json
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from control import ConnectError, Control  # noqa: E402


class Program:
    """Such a process. `answer()` waits for the next line that it prints."""

    def __init__(self, socket, *steps):
        words = [word for method, message in steps for word in (method, json.dumps(message))]
        self.process = subprocess.Popen([sys.executable, __file__, socket, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self):
        return json.loads(self.process.stdout.readline())

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()


class ForkedProgram:
    """The same, forked from the test itself, for tests that need a thousand of them."""

    def __init__(self, socket, *steps):
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(reading)
                control = Control(socket, timeout=None)
                for method, message in steps:
                    os.write(writing, json.dumps(control.call(method, message)).encode() + b"\n")
                signal.pause()
            finally:
                os._exit(1)
        os.close(writing)
        self.lines = os.fdopen(reading)

    def answer(self):
        return json.loads(self.lines.readline())

    def kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.lines.close()
        self.pid = 0


def main():
    control = Control(sys.argv[1], timeout=None)
    for method, message in zip(sys.argv[2::2], sys.argv[3::2]):
        try:
            answer = control.call(method, json.loads(message))
        except ConnectError as error:
            answer = {"error": error.code}
        print(json.dumps(answer), flush=True)
    sys.stdin.read()  # until it is killed, or nobody wants it any more


if __name__ == "__main__":
    main()
