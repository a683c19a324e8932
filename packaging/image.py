#!/usr/bin/env python3
"""Writes the container image of the program: packaging/image.py STAGE VERSION FOLDER.

It has the program, the C library and the loader of this machine, and the authorities that it trusts. It
has no shell, it runs as a user without rights, and it writes nothing."""
import pathlib
import platform
import sys
import tempfile

import scratch_image as image

AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"
SECOND = 1_000_000_000


def config(version):
    labels = {
        "title": "Fanfold",
        "description": "XML valuation requests over HTTP, fanned out to workers and folded back in",
        "version": version,
        "licenses": "Apache-2.0",
    }
    return {
        "User": f"{image.USER}:{image.USER}",
        "Entrypoint": ["/usr/bin/fanfold"],
        # The admin listener stays on loopback, where the health check asks it.
        "Env": ["PATH=/usr/bin", "HTTP_HOST=0.0.0.0", "ADMIN_PORT=8081", "LOG_FORMAT=json"],
        "ExposedPorts": {"8080/tcp": {}},
        "StopSignal": "SIGTERM",
        "WorkingDir": "/",
        "Labels": {f"org.opencontainers.image.{name}": value for name, value in labels.items()}
        | {"org.fanfold.libc": " ".join(platform.libc_ver())},
        "Healthcheck": {
            "Test": ["CMD", "/usr/bin/fanfold", "probe", "--ready"],
            "Interval": 10 * SECOND,
            "Timeout": 4 * SECOND,
            "StartPeriod": 30 * SECOND,
            "Retries": 3,
        },
    }


def main(stage, version, folder):
    stage = pathlib.Path(stage)
    with tempfile.TemporaryDirectory() as root:
        image.lay(root, stage / "bin/fanfold", "/usr/bin/fanfold")
        image.people(root)
        image.copy("/" + AUTHORITIES, pathlib.Path(root) / AUTHORITIES, 0o644)
        for file in (stage / "share/doc/fanfold").iterdir():
            image.copy(file, pathlib.Path(root) / "usr/share/doc/fanfold" / file.name, 0o644)
        target = pathlib.Path(folder) / f"fanfold-{version}-image-amd64.tar"
        image.write(root, f"fanfold/fanfold:{version}", config(version), target)


main(*sys.argv[1:])
