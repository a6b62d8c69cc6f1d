"""Software bill of materials (CycloneDX 1.5, JSON): `python deploy/sbom.py LOCK SITE_PACKAGES OUT`.

What is in SITE_PACKAGES is listed, with its licence from its own metadata and its hashes from the
lock. The same input gives the same bytes: no random serial number, the date is SOURCE_DATE_EPOCH.
"""  # noqa: INP001 - a script, not a package

import datetime as dt
import hashlib
import importlib.metadata
import json
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Any

OURS = "seatrial"
CLASSIFIER = "License :: OSI Approved :: "
SPDX_OF_WORDS = {
    "MIT License": "MIT",
    "MIT": "MIT",
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "Python Software Foundation License": "PSF-2.0",
    "PSF-2.0": "PSF-2.0",
}


SPDX_OF_TEXT = {
    "Permission is hereby granted, free of charge, to any person obtaining a copy": "MIT",
    "Apache License Version 2.0": "Apache-2.0",
    "Neither the name of": "BSD-3-Clause",
    "Redistribution and use in source and binary forms": "BSD-2-Clause",
}


def locked_hashes(lock: Path) -> dict[str, tuple[str, list[str]]]:
    """Name -> (version, SHA-256 of every file that the lock allows)."""
    found: dict[str, tuple[str, list[str]]] = {}
    for block in lock.read_text().replace("\\\n", " ").splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)==(\S+)", block)
        if match:
            found[_normal(match[1])] = (match[2], re.findall(r"sha256:([0-9a-f]{64})", block))
    return found


def licence_of(distribution: importlib.metadata.Distribution) -> dict[str, Any]:
    """One CycloneDX licence choice from a distribution's own words, or from its licence file."""
    metadata: Any = distribution.metadata
    expression = metadata.get("License-Expression")
    if expression:
        return {"expression": expression}
    words = [
        line.removeprefix(CLASSIFIER)
        for line in metadata.get_all("Classifier") or ()
        if line.startswith(CLASSIFIER)
    ]
    stated = (metadata.get("License") or "").strip()
    for word in (*words, stated.splitlines()[0] if stated else ""):
        if word in SPDX_OF_WORDS:
            return {"license": {"id": SPDX_OF_WORDS[word]}}
    for name in metadata.get_all("License-File") or ():
        text = distribution.read_text(f"licenses/{name}") or distribution.read_text(name) or ""
        for phrase, spdx in SPDX_OF_TEXT.items():
            if phrase in " ".join(text.split()):
                return {"license": {"id": spdx}}
    name = words[0] if words else (stated.splitlines()[0][:80] if stated else "unknown")
    return {"license": {"name": name}}


def component(
    distribution: importlib.metadata.Distribution, locked: dict[str, tuple[str, list[str]]]
) -> dict[str, Any]:
    """One entry."""
    name, version = _normal(distribution.name), distribution.version
    reference = f"pkg:pypi/{name}@{version}"
    made: dict[str, Any] = {
        "type": "application" if name == OURS else "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "purl": reference,
        "licenses": [licence_of(distribution)],
    }
    if name in locked:
        if locked[name][0] != version:
            raise SystemExit(f"sbom: {name} {version} is installed, the lock says {locked[name]}")
        made["hashes"] = [{"alg": "SHA-256", "content": one} for one in sorted(locked[name][1])]
    elif name != OURS:
        raise SystemExit(f"sbom: {name} {version} is installed and not in the lock")
    return made


def needed_by(distribution: importlib.metadata.Distribution, present: set[str]) -> list[str]:
    """Names that a distribution asks for and that are present."""
    asked = set()
    for line in distribution.requires or ():
        match = re.match(r"[A-Za-z0-9._-]+", line)
        if match and "extra ==" not in line:
            asked.add(_normal(match[0]))
    return sorted(asked & present)


def bill(lock: Path, site: Path) -> dict[str, Any]:
    """The whole document."""
    locked = locked_hashes(lock)
    found = {_normal(one.name): one for one in importlib.metadata.distributions(path=[str(site)])}
    parts = {name: component(found[name], locked) for name in sorted(found)}
    seed = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    stamp = dt.datetime.fromtimestamp(epoch, tz=dt.UTC)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, seed)}",
        "version": 1,
        "metadata": {
            "timestamp": stamp.isoformat().replace("+00:00", "Z"),
            "component": parts.pop(OURS),
        },
        "components": list(parts.values()),
        "dependencies": [
            {
                "ref": f"pkg:pypi/{name}@{one.version}",
                "dependsOn": [
                    f"pkg:pypi/{other}@{found[other].version}"
                    for other in needed_by(one, set(found))
                ],
            }
            for name, one in sorted(found.items())
        ],
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    lock_path, site_path, out = map(Path, sys.argv[1:4])
    out.write_text(json.dumps(bill(lock_path, site_path), indent=1) + "\n", encoding="utf-8")
