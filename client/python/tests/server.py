"""A real server on a database of its own, to be killed and started again."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading

# Where userprofile-server is; without it, tests of the client are skipped.
PROGRAM = os.environ.get("USERPROFILE_SERVER_PROGRAM")


class Server:
    def __init__(self):
        self._folder = tempfile.mkdtemp(prefix="userprofile-python-")
        os.chmod(self._folder, 0o755)  # PostgreSQL runs as somebody else
        self.address = f"unix:{self._folder}/grpc"
        self.start()

    def start(self):
        self._process = subprocess.Popen(
            [PROGRAM, "serve", "--listen", self.address]
            + ["--database", f"embedded:{self._folder}/database"]
            + ["--admin-listen", "127.0.0.1:0"],
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in self._process.stderr:
            if re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            raise RuntimeError("the server does not start")
        # A pipe that nobody reads would fill.
        threading.Thread(target=_drain, args=[self._process.stderr]).start()

    def kill(self, number=signal.SIGKILL):
        self._process.send_signal(number)
        self._process.wait()

    def remove(self):
        self.kill(signal.SIGTERM)
        shutil.rmtree(self._folder, ignore_errors=True)


def _drain(pipe):
    with pipe:
        pipe.read()
