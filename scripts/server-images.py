#!/usr/bin/env python3
"""Builds images of the two servers of `make tools`, under the names that the tests and the compose file ask
for, and gives them to the Docker engine. Images of these names that are there already stay."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "packaging"))
import scratch_image as image  # noqa: E402

TOOLS = ROOT / ".tools"
NATS, REDIS = "nats:2.15.1", "redis:7.0.15"
# Debian's Redis finds its allocator and two more libraries there.
LIBRARIES = TOOLS / "redis/usr/lib/x86_64-linux-gnu"


def nats():
    program = TOOLS / "bin/nats-server"
    program = program if program.exists() else shutil.which("nats-server")
    return program, "/nats-server", {"Entrypoint": ["/nats-server"], "ExposedPorts": {"4222/tcp": {}}}


def redis():
    program = TOOLS / "redis/usr/bin/redis-check-rdb"
    program = program if program.exists() else shutil.which("redis-server")
    os.environ["LD_LIBRARY_PATH"] = str(LIBRARIES)
    command = ["redis-server", "--protected-mode", "no", "--save", ""]
    return program, "/usr/bin/redis-server", {"Cmd": command, "ExposedPorts": {"6379/tcp": {}}}


def build(name, server):
    if subprocess.run(["docker", "image", "inspect", name], capture_output=True).returncode == 0:
        return
    program, at, config = server()
    with tempfile.TemporaryDirectory() as folder:
        root, archive = pathlib.Path(folder, "root"), pathlib.Path(folder, "image.tar")
        image.lay(root, program, at)
        image.people(root)
        image.write(root, name, {"Env": ["PATH=/usr/bin"], "WorkingDir": "/", **config}, archive)
        subprocess.run(["docker", "load", "--quiet", "--input", archive], check=True)


os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
build(NATS, nats)
build(REDIS, redis)
