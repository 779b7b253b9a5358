"""A program in a pseudo-terminal, and what a person would see there: python3-pyte keeps the picture."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time

import harness
import pyte


class Terminal:
    """Runs `line` in a terminal of its own. Everything waits for what is to be seen, never for time."""

    def __init__(self, line, environment, columns=100, lines=30, patience=60):
        self.patience = patience * harness.PATIENCE
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.seen = b""  # every byte
        self.master, slave = os.openpty()
        self._set_size()
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(line, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), env={**environment, "TERM": "linux"})
        self.slave = slave

    def _set_size(self):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", self.screen.lines, self.screen.columns, 0, 0))

    def resize(self, columns, lines):
        self.screen.resize(lines, columns)
        self._set_size()  # the kernel sends SIGWINCH

    def press(self, keys):
        os.write(self.master, keys.encode())

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        data = os.read(self.master, 65536)
        self.seen += data
        self.stream.feed(data)
        return True

    def wait(self, condition, what):
        """Until the picture is as `condition` (a function of its text, or a word that is to be there) wants it."""
        holds = condition if callable(condition) else lambda text: condition in text
        end = time.monotonic() + self.patience
        while not holds(self.text()):
            if time.monotonic() > end:
                raise AssertionError(f"{what}: never seen; the screen is\n{self.text()}")
            self.read(1)
        return self.text()

    def see(self, word):
        return self.wait(word, word)

    def see_no(self, word):
        return self.wait(lambda text: word not in text, f"no {word}")

    def row(self, word):
        return next((line for line in self.text().splitlines() if word in line), "")

    def line_of_cursor_bar(self):
        """The line that is shown the other way round."""
        for number in range(self.screen.lines):
            if self.screen.buffer[number][0].reverse:
                return self.screen.display[number].rstrip()
        return ""

    def end(self):
        """Waits for the program; its exit status."""
        end = time.monotonic() + self.patience
        while self.process.poll() is None:
            if time.monotonic() > end:
                raise AssertionError(f"it does not end; the screen is\n{self.text()}")
            self.read(0.05)
        while self.read(0):
            pass
        return self.process.returncode

    def as_before(self):
        """Whether the terminal's settings are what they were."""
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.slave)
        os.close(self.master)
