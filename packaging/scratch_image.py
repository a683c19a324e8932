"""Writes container images without an engine: one layer, without a base.

The archive is in the form of `docker save` since version 25, which is that of OCI with a `manifest.json`
beside it: `docker load`, `podman load`, `ctr images import` and `skopeo copy oci-archive:` take it.
"""
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import time

USER = 65532


def epoch():
    return int(os.environ["SOURCE_DATE_EPOCH"])


def libraries(program):
    """The shared libraries of a program and the loader, with everything that they need."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True)
    if said.returncode != 0:
        return []
    parts = (line.split() for line in said.stdout.splitlines())
    return sorted({next(part for part in line if part.startswith("/")) for line in parts if any(p.startswith("/") for p in line)})


def lay(root, program, at):
    """Puts a program into a root, with its libraries at the places where the loader looks."""
    root = pathlib.Path(root)
    copy(program, root / at.lstrip("/"), 0o755)
    for library in libraries(program):
        name = pathlib.Path(library).name
        place = "lib64" if name.startswith("ld-") else "lib/x86_64-linux-gnu"
        copy(library, root / place / name, 0o755)


def copy(source, target, mode):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def people(root):
    """Names for root and for the one user, and where names of machines are looked up."""
    etc = pathlib.Path(root) / "etc"
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "passwd").write_text(f"root:x:0:0:root:/:/\nfanfold:x:{USER}:{USER}:fanfold:/:/\n")
    (etc / "group").write_text(f"root:x:0:\nfanfold:x:{USER}:\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")


def layer(root):
    """The layer as a tar: everything belongs to root, and no entry says when it was made."""
    root, out = pathlib.Path(root), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(root.rglob("*")):
            entry = tar.gettarinfo(path, str(path.relative_to(root)))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            entry.mtime = epoch()
            if entry.isfile():
                with open(path, "rb") as file:
                    tar.addfile(entry, file)
            else:
                tar.addfile(entry)
    return out.getvalue()


def write(root, tag, config, target):
    """Writes the archive of an image with this root, name and configuration."""
    plain = layer(root)
    packed = gzip.compress(plain, 9, mtime=0)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch()))
    image = {
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha256(plain)]},
        "history": [{"created": created, "created_by": "packaging/scratch_image.py"}],
    }
    blobs = {}

    def blob(kind, content):
        blobs[sha256(content)] = content
        return {"mediaType": kind, "digest": "sha256:" + sha256(content), "size": len(content)}

    of_image = blob("application/vnd.oci.image.config.v1+json", text(image))
    of_layer = blob("application/vnd.oci.image.layer.v1.tar+gzip", packed)
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}
    manifest |= {"config": of_image, "layers": [of_layer]}
    of_manifest = blob(manifest["mediaType"], text(manifest))
    version = tag.rpartition(":")[2]
    of_manifest["annotations"] = {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": version}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [of_manifest]}
    place = lambda of: "blobs/sha256/" + of["digest"].removeprefix("sha256:")
    docker = [{"Config": place(of_image), "RepoTags": [tag], "Layers": [place(of_layer)]}]
    files = {f"blobs/sha256/{sum}": content for sum, content in sorted(blobs.items())}
    files |= {"index.json": text(index), "manifest.json": text(docker), "oci-layout": text({"imageLayoutVersion": "1.0.0"})}
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), epoch(), 0o644
            tar.addfile(entry, io.BytesIO(content))
    print(target)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def text(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
