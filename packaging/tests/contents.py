#!/usr/bin/env python3
"""Checks what is in the packages without installing them: contents.py DIST."""
import collections
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import tomllib
import zipfile

dist = pathlib.Path(sys.argv[1])


def one(pattern):
    found = list(dist.glob(pattern))
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


def archive_of(bytes_or_path):
    if isinstance(bytes_or_path, bytes):
        return tarfile.open(fileobj=io.BytesIO(bytes_or_path))
    return tarfile.open(bytes_or_path)


def the_program_is_the_same_everywhere():
    found = collections.defaultdict(list)
    with archive_of(one("fanfold-*-linux-x86_64.tar.gz")) as tar:
        found[tar.extractfile(next(m for m in tar if m.name.endswith("/bin/fanfold"))).read()].append("archive")
    with zipfile.ZipFile(one("fanfold-[0-9]*.whl")) as wheel:
        found[wheel.read(next(n for n in wheel.namelist() if n.endswith("scripts/fanfold")))].append("wheel")
    with archive_of(subprocess.run(["dpkg-deb", "--fsys-tarfile", one("*.deb")], check=True, capture_output=True).stdout) as tar:
        found[tar.extractfile("./usr/bin/fanfold").read()].append("deb")
    with archive_of(image_layer()) as tar:
        found[tar.extractfile("usr/bin/fanfold").read()].append("image")
    assert len(found) == 1, list(found.values())


def image_layer():
    with archive_of(one("*-image-amd64.tar")) as tar:
        read = lambda name: tar.extractfile(name).read()
        index, docker = json.loads(read("index.json")), json.loads(read("manifest.json"))
        manifest = json.loads(read("blobs/sha256/" + index["manifests"][0]["digest"].split(":")[1]))
        place = "blobs/sha256/" + manifest["layers"][0]["digest"].split(":")[1]
        assert docker[0]["Layers"] == [place], "both forms have the same layer"
        return read(place)


def the_image_has_no_shell_and_nothing_that_anybody_may_write():
    with archive_of(image_layer()) as tar:
        for entry in tar:
            assert not entry.mode & 0o6022, f"{entry.name}: {entry.mode:o}"
            assert entry.uid == entry.gid == 0, entry.name
        names = tar.getnames()
    programs = [name for name in names if "/bin/" in f"/{name}/" and not name.endswith("bin")]
    assert programs == ["usr/bin/fanfold"], programs


def the_bill_has_every_crate_of_the_lock_file_once_and_no_tool_of_the_build():
    bill = json.loads(one("*.cdx.json").read_text())
    parts = [(c["name"], c["version"]) for c in bill["components"]]
    assert len(parts) == len(set(parts))
    locked = {(p["name"], p["version"]) for p in tomllib.loads(pathlib.Path("Cargo.lock").read_text())["package"]}
    assert set(parts) <= locked
    names = {name for name, _ in parts}
    assert {"async-nats", "redis", "axum", "domain"} <= names and not {"serde_derive", "cc", "harness"} & names, names
    refs = {c["bom-ref"] for c in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert {d["ref"] for d in bill["dependencies"]} == refs
    assert all(set(d["dependsOn"]) <= refs for d in bill["dependencies"])
    assert all("hashes" in c for c in bill["components"] if "purl" in c)


checks = [check for name, check in list(globals().items()) if name.startswith("the_")]
for check in checks:
    check()
    print(f"contents: {check.__name__.replace('_', ' ')}")
