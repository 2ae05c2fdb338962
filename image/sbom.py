"""The bill of materials of the image, as CycloneDX JSON.

  python image/sbom.py --lock requirements/lock-image-cpu.txt -o sbom.cdx.json [FOLDER]

FOLDER is a site-packages folder that the lock was installed in; without one, the lock is installed
into a folder that is thrown away (uv, 2.5 GB; this machine's own Python and C library are of no
account). What is written was held against the lock: every package, its version, its address as a
package (purl), the hash of its file, and its licence where its author names one.
"""

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(.*)$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class SbomError(Exception):
    """The environment is not what the lock says; the message names the packages."""


def canonical(name: str) -> str:
    """A package's name as an index knows it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def canonical_purl(purl: str) -> str:
    """A purl of a Python package with its name as an index knows it; no other is changed."""
    match = re.fullmatch(r"pkg:pypi/([^@]+)@(\S+)", purl)
    return f"pkg:pypi/{canonical(match[1])}@{match[2]}" if match else purl


def locked(text: str) -> dict[str, tuple[str, list[str]]]:
    """Name -> (version, sha256 of its files) of a lock file."""
    found: dict[str, tuple[str, list[str]]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if match := _PIN.match(line):
            found[canonical(match[1])] = (match[2], _HASH.findall(match[3]))
    return found


def described(folder: Path) -> dict[str, Any]:
    """What cyclonedx-py says of the packages of a site-packages folder.

    It asks an interpreter for its folders. The one it gets here answers with `folder` alone, so
    that an environment for another Python or C library can be described too.
    """
    with tempfile.TemporaryDirectory() as made:
        interpreter = Path(made) / "python"
        answer = json.dumps([str(folder.resolve())])
        interpreter.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
        interpreter.chmod(interpreter.stat().st_mode | stat.S_IXUSR)
        beside = Path(sys.executable).with_name("cyclonedx-py")
        program = str(beside) if beside.exists() else shutil.which("cyclonedx-py")
        if program is None:
            raise SbomError("cyclonedx-py is missing; pip install -r requirements/sbom.txt")
        done = subprocess.run(
            [program, "environment", "--output-reproducible", "--spec-version", "1.6",
             "--output-format", "JSON", str(interpreter)],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode:
        raise SbomError(f"cyclonedx-py failed: {done.stderr.strip()}")
    return dict(json.loads(done.stdout))


def free_licences(folder: Path) -> dict[str, str]:
    """Name -> the licence in its author's own words (`License: Apache 2.0`), one line of it.

    cyclonedx-py reads expressions and classifiers and leaves these out.
    """
    found = {}
    for one in importlib.metadata.distributions(path=[str(folder)]):
        text = (one.metadata["License"] or "").strip()
        if text and text.upper() != "UNKNOWN":
            found[canonical(one.metadata["Name"])] = text.splitlines()[0]
    return found


def completed(
    bill: Mapping[str, Any],
    lock: Mapping[str, tuple[str, list[str]]],
    free: Mapping[str, str],
    debian: Iterable[str] = (),
    version: str = "",
) -> dict[str, Any]:
    """A bill with licences and hashes for all, the packages of Debian and what it is the bill of.

    Args:
      bill: of cyclonedx-py.
      lock: of `locked`.
      free: of `free_licences`.
      debian: lines "name version architecture".
      version: of PneumoTFX.

    Raises:
      SbomError: a package of the lock is missing, has another version or no purl, or there is a
        package that the lock does not hold.
    """
    components = [dict(one) for one in bill.get("components", ())]
    by_name = {canonical(one["name"]): one for one in components}
    wrong = [f"{name} {lock[name][0]} is missing" for name in sorted(lock.keys() - by_name.keys())]
    for name, one in sorted(by_name.items()):
        if name not in lock:
            wrong.append(f"{name} {one.get('version')} is not in the lock")
            continue
        pinned, digests = lock[name]
        if one.get("version") != pinned:
            wrong.append(f"{name} is {one.get('version')}, the lock says {pinned}")
        # A purl keeps the dots of a name (jaraco.classes), an index does not.
        if canonical_purl(one.get("purl", "")) != f"pkg:pypi/{name}@{pinned}":
            wrong.append(f"{name} has the purl {one.get('purl')}")
        if not one.get("licenses") and name in free:
            one["licenses"] = [{"license": {"name": free[name], "acknowledgement": "declared"}}]
        if len(digests) == 1:
            one["hashes"] = [{"alg": "SHA-256", "content": digests[0]}]
    if wrong:
        raise SbomError("; ".join(wrong))
    for line in debian:
        name, number, machine = line.split()
        purl = f"pkg:deb/debian/{quote(name)}@{quote(number)}?arch={machine}"
        components.append(
            {"type": "library", "bom-ref": purl, "name": name, "version": number, "purl": purl}
        )
    subject = {"type": "application", "bom-ref": "pneumo-tfx", "name": "pneumo-tfx",
               "licenses": [{"license": {"id": "Apache-2.0"}}]}  # fmt: skip
    if version:
        subject["version"] = version
    return {
        **bill,
        "metadata": {**bill.get("metadata", {}), "component": subject},
        "components": components,
    }


def without_licence(bill: Mapping[str, Any]) -> list[str]:
    """Names of the Python packages of a bill whose author names no licence."""
    return sorted(
        one["name"] for one in bill["components"]
        if not one.get("licenses") and one["purl"].startswith("pkg:pypi/")
    )  # fmt: skip


def install(lock: Path, folder: Path) -> None:
    """Installs a lock of the image into a folder, on whatever Linux this is."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [str(uv) if uv.exists() else "uv", "pip", "install", "--quiet", "--no-deps",
         "--require-hashes", "--target", str(folder), "--python-version", "3.13",
         "--python-platform", "x86_64-manylinux_2_40", "-r", str(lock)],
        check=True,
    )  # fmt: skip


def write(bill: Mapping[str, Any], target: Path) -> None:
    """Writes a bill after it was held against CycloneDX's own schema.

    Raises:
      SbomError: the bill is not CycloneDX 1.6.
    """
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = json.dumps(bill, indent=1, sort_keys=True) + "\n"
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        reason = str(error).splitlines()[0]  # the rest is the whole schema
        raise SbomError(f"not CycloneDX 1.6: {reason}")
    making = target.with_name(f".{target.name}.{os.getpid()}")
    making.write_text(text)
    making.replace(target)


def main(words: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="image/sbom.py", description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="site-packages; installed if missing")
    parser.add_argument("--lock", type=Path, required=True)
    parser.add_argument("--debian", type=Path, help="lines `name version architecture`")
    parser.add_argument("--version", default="", help="of PneumoTFX")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args(words)
    try:
        with tempfile.TemporaryDirectory() as made:
            folder = given.folder
            if folder is None:
                folder = Path(made)
                install(given.lock, folder)
            debian = given.debian.read_text().splitlines() if given.debian else ()
            lock = locked(given.lock.read_text())
            bill = completed(described(folder), lock, free_licences(folder), debian, given.version)
        write(bill, given.output)
    except (SbomError, subprocess.CalledProcessError) as error:
        sys.exit(f"sbom: {error}")
    unknown = without_licence(bill)
    print(f"{given.output}: {len(bill['components'])} packages, {len(lock)} of them locked; "
          f"without a licence named by its author: {', '.join(unknown) or 'none'}")  # fmt: skip


if __name__ == "__main__":
    main()
