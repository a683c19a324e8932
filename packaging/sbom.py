#!/usr/bin/env python3
"""Writes what the program is made of: a bill of materials in the form of CycloneDX 1.5, and the notices of
the licenses of others. packaging/sbom.py BILL NOTICES"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tomllib
import uuid

TARGET = "x86_64-unknown-linux-gnu"
TEXTS = ("license", "licence", "copying", "notice", "copyright", "unlicense")


FEATURES = ["--locked", "--features", "fanfold/jemalloc"]


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments, *FEATURES], check=True, capture_output=True, text=True).stdout


def contained():
    """The packages that the program contains, by id, without what only builds it: build scripts, macros,
    tests. Each has those on which it depends."""
    found = json.loads(cargo("metadata", "--format-version=1", "--filter-platform", TARGET))
    packages = {package["id"]: package for package in found["packages"]}
    edges = {node["id"]: [dep["pkg"] for dep in node["deps"]] for node in found["resolve"]["nodes"]}
    # The tree knows the features of this one program; the metadata are those of the whole workspace.
    tree = ["--package", "fanfold", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    lines = cargo("tree", "--target", TARGET, *tree).splitlines()
    names = {tuple(line.split()[:2]) for line in lines if line}
    inside = {id for id, package in packages.items() if (package["name"], "v" + package["version"]) in names}
    root = next(id for id in inside if packages[id]["name"] == "fanfold")
    return root, packages, {id: [on for on in edges[id] if on in inside] for id in inside}


def component(package, kind="library"):
    name, version = package["name"], package["version"]
    made = {"type": kind, "bom-ref": f"{name}@{version}", "name": name, "version": version}
    if package["source"]:
        made["purl"] = f"pkg:cargo/{name}@{version}"
    if package["license"]:
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return made


def bill(root, packages, reached):
    sums = checksums()
    parts = []
    for id in sorted(reached, key=lambda id: (packages[id]["name"], packages[id]["version"])):
        if id == root:
            continue
        part = component(packages[id])
        digest = sums.get((part["name"], part["version"]))
        if digest:
            part["hashes"] = [{"alg": "SHA-256", "content": digest}]
        parts.append(part)
    ref = lambda id: f"{packages[id]['name']}@{packages[id]['version']}"
    edges = [
        {"ref": ref(id), "dependsOn": sorted(ref(on) for on in reached[id])}
        for id in sorted(reached, key=ref)
    ]
    content = json.dumps([parts, edges], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        # It follows from the content, so that the same program has the same bill.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {"component": component(packages[root], "application")},
        "components": parts,
        "dependencies": edges,
    }


def checksums():
    """The hashes of the archives of crates.io, from the lock file."""
    lock = tomllib.loads(pathlib.Path("Cargo.lock").read_text())
    return {(p["name"], p["version"]): p["checksum"] for p in lock["package"] if "checksum" in p}


def notices(packages, reached):
    """Each text once, with the packages that it is of."""
    texts = {}
    for id in sorted(reached):
        package = packages[id]
        if package["source"] is None:
            continue
        name = f"{package['name']} {package['version']} ({package['license'] or 'see its text'})"
        folder = pathlib.Path(package["manifest_path"]).parent
        files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.name.lower().startswith(TEXTS)]
        for file in files:
            text = file.read_text(errors="replace").strip()
            texts.setdefault(hashlib.sha256(text.encode()).digest(), (text, []))[1].append(name)
        if not files:
            texts.setdefault(b"", ("The package has no text of its license.", []))[1].append(name)
    rule = "=" * 100
    parts = [f"{rule}\n" + "\n".join(sorted(set(names))) + f"\n{rule}\n\n{text}\n" for text, names in texts.values()]
    return "The program contains work of others, under these licenses.\n\n" + "\n".join(sorted(parts))


def main(bill_file, notices_file):
    root, packages, reached = contained()
    pathlib.Path(bill_file).write_text(json.dumps(bill(root, packages, reached), indent=1) + "\n")
    pathlib.Path(notices_file).write_text(notices(packages, reached))


main(*sys.argv[1:])
