"""Makes wheel and source archive of the tree in the working directory, the same bytes each time.

`python deploy/pack_dist.py DIST`, called by build-dist.sh with SOURCE_DATE_EPOCH set.
"""  # noqa: INP001 - a script, not a package

import contextlib
import gzip
import io
import os
import sys
import tarfile
from pathlib import Path

from setuptools import build_meta


def main(dist: Path) -> None:
    """Build both, with setuptools' chatter kept from the terminal."""
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        names = [build_meta.build_wheel(str(dist)), build_meta.build_sdist(str(dist))]
    make_plain(dist / names[1], epoch)
    for name in names:
        sys.stdout.write(f"{name} {(dist / name).stat().st_size} bytes\n")


def make_plain(archive: Path, epoch: int) -> None:
    """Take the builder's name and clock out of a source archive, and sort it."""
    with tarfile.open(archive) as made:
        files = {one.name: made.extractfile(one) for one in made.getmembers() if one.isfile()}
        modes = {one.name: one.mode & 0o755 for one in made.getmembers()}
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(files):
                body = files[name]
                data = body.read() if body is not None else b""
                member = tarfile.TarInfo(name)
                member.size, member.mtime, member.mode = len(data), epoch, modes[name]
                tar.addfile(member, io.BytesIO(data))
    archive.write_bytes(gzip.compress(packed.getvalue(), mtime=epoch))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
