"""A Fanfold of its own for an example's test: servers, and every role.

The servers come from .tools/bin (scripts/tools.sh), the program from FANFOLD or target/debug.
"""
import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "clients/python"))
os.environ["PYTHONPATH"] = str(ROOT / "clients/python")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Stage:
    def __init__(self, config=None, roles=("orchestrator", "projector", "api", "worker"), **settings):
        self.folder, self.running = Path(tempfile.mkdtemp(prefix="fanfold-example-")), []
        atexit.register(self.close)
        nats, redis, http = free_port(), free_port(), free_port()
        self.nats, self.url = f"nats://127.0.0.1:{nats}", f"http://127.0.0.1:{http}"
        path = f"{ROOT / '.tools/bin'}:{os.environ['PATH']}"
        self.env = {**os.environ, "PATH": path, "NATS_URL": self.nats, "REDIS_URL": f"redis://127.0.0.1:{redis}",
                    "HTTP_PORT": str(http), **({"FANFOLD_CONFIG": str(config)} if config else {}), **settings}
        self.start("nats-server", "-js", "-a", "127.0.0.1", "-p", str(nats), "-sd", str(self.folder / "nats"))
        self.start("redis-server", "--bind", "127.0.0.1", "--port", str(redis), "--save", "", "--dir", str(self.folder))
        for port in (nats, redis):
            self.until(lambda: socket.create_connection(("127.0.0.1", port), 1).close() or True)
        program = os.environ.get("FANFOLD", str(ROOT / "target/debug/fanfold"))
        for role in roles:
            self.start(program, role)
        self.until(lambda: urllib.request.urlopen(f"{self.url}/readyz", timeout=1).status == 200)

    def start(self, *command, cwd=None):
        with open(self.folder / "log", "ab") as log:
            self.running.append(subprocess.Popen(command, env=self.env, cwd=cwd, stdout=log, stderr=log))
        return self.running[-1]

    def until(self, is_so, seconds=30):
        deadline = time.monotonic() + seconds
        while True:
            try:
                if is_so():
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                sys.exit(f"the deployment did not start:\n{(self.folder / 'log').read_text()[-4000:]}")
            time.sleep(0.1)

    def close(self):
        for process in reversed(self.running):
            process.terminate()
        for process in reversed(self.running):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
