"""Executes image/Dockerfile without a container engine: stage by stage, in a Debian made for it.

  sudo python -m image.prove --work FOLDER [--variant gpu] [--target STAGE] [--check]

Every RUN, COPY, ENV, ARG, WORKDIR and USER is taken from the Dockerfile itself and done as an
engine would do it: each RUN as the stage's user in the stage's own root folder, with namespaces of
its own for mounts and processes, so that nothing stays mounted whatever happens. The base image
is Debian's own archive by debootstrap, without the folders that the slim images leave out.
`--check` then starts the result as a container would be started (image/checks.py).
"""

import argparse
import contextlib
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from image.dockerfile import (
    DESCRIBING,
    Instruction,
    Stage,
    argument,
    ignore_patterns,
    ignored,
    needed,
    stages,
    substitute,
)

HERE = Path(__file__).resolve().parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A machine behind a mirror or a proxy reaches the registries by these.
PASSED_ON = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "http_proxy", "https_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# What the slim images of Debian leave out (debuerreotype's list), and what an image has no use for.
SLIM = (
    "usr/share/doc/*", "usr/share/info/*", "usr/share/locale/*", "usr/share/man/*",
    "usr/share/lintian/*", "var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*",
)  # fmt: skip
SLIM_DPKG = "".join(
    f"path-exclude /{folder}\n" for folder in SLIM if folder.startswith("usr/")
) + "path-include /usr/share/doc/*/copyright\n"  # fmt: skip
# The namespaces' own mounts; $1 is the root folder, the rest is what to start in it.
ENTER = """
set -e
root=$1; shift
for folder in dev sys; do mkdir -p "$root/$folder"; mount --rbind "/$folder" "$root/$folder"; done
mkdir -p "$root/proc" && mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
touch "$root/etc/resolv.conf" && mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
IFS=:
for folder in $VOLUMES; do mkdir -p "$root$folder"; mount --bind "$folder" "$root$folder"; done
if [ -n "$CERTIFICATES" ]; then
  mount -t tmpfs -o mode=0755 tmpfs "$root/run"
  mkdir "$root/run/host" && cp -L "$CERTIFICATES" "$root/run/host/certificates.crt"
fi
exec chroot "$@"
"""


@dataclass
class Image:
    """A stage as far as it is built: its files, and how a container of it is started."""

    root: Path
    digest: str = ""
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    args: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0"
    shell: tuple[str, ...] = ("/bin/sh", "-c")
    described: dict[str, Instruction] = field(default_factory=dict)

    def entrypoint(self) -> list[str]:
        """The words of ENTRYPOINT."""
        return self.described["ENTRYPOINT"].words() if "ENTRYPOINT" in self.described else []


def command(
    image: Image,
    words: Sequence[str],
    env: Mapping[str, str] | None = None,
    volumes: Sequence[Path] = (),
) -> list[str]:
    """What starts `words` in an image: own mounts, own processes, its user and variables.

    `volumes` are folders of this machine that the container sees under the same names.
    """
    user, _, group = image.user.partition(":")
    given = {"HOME": _home(image.root, user), **image.env, **image.args, **(env or {})}
    settings = [f"{name}={value}" for name, value in given.items()]
    return [
        "env", f"CERTIFICATES={CERTIFICATES if CERTIFICATES.exists() else ''}",
        f"VOLUMES={':'.join(map(str, volumes))}",
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
        "bash", "-c", ENTER, "enter", str(image.root), f"--userspec={user}:{group or user}",
        str(image.root), "env", "-i", f"--chdir={image.workdir}", *settings, *words,
    ]  # fmt: skip


def _home(root: Path, user: str) -> str:
    accounts = (root / "etc/passwd").read_text().splitlines()
    for name, _, uid, _, _, home, _ in (line.split(":") for line in accounts):
        if user in (name, uid):
            return home
    return "/"


def network() -> dict[str, str]:
    """The variables by which a RUN reaches the registries from this machine."""
    found = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    if CERTIFICATES.exists():
        found |= dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE"), "/run/host/certificates.crt")
    return found


def size(root: Path) -> int:
    """Bytes of all files of a root folder."""
    out = subprocess.run(
        ["du", "-sx", "--bytes", str(root)], check=True, capture_output=True, text=True
    )
    return int(out.stdout.split()[0])


def make_base(folder: Path, suite: str = "trixie") -> None:
    """A minimal Debian in a folder, by debootstrap; one that is there is kept."""
    if (folder / "etc/debian_version").exists():
        return
    making = folder.with_name(folder.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    with log_of(folder.parent, "debootstrap") as log:
        subprocess.run(
            ["debootstrap", "--variant=minbase", suite, str(making)],
            check=True, stdout=log, stderr=log,
        )  # fmt: skip
    for pattern in SLIM:
        for name in glob.glob(str(making / pattern)):  # noqa: PTH207
            path = Path(name)
            if pattern.startswith("usr/share/doc") and (path / "copyright").exists():
                for other in path.iterdir():
                    if other.name != "copyright":
                        _remove(other)
            else:
                _remove(path)
    (making / "etc/dpkg/dpkg.cfg.d/slim").write_text(SLIM_DPKG)
    making.rename(folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextlib.contextmanager
def log_of(work: Path, name: str) -> Iterator:
    """A log file open for writing; its last lines are shown if the block fails."""
    path = work / f"{name}.log"
    try:
        with path.open("w") as log:
            yield log
    except subprocess.CalledProcessError:
        sys.stderr.write("".join(path.read_text().splitlines(keepends=True)[-25:]))
        raise


class Builder:
    """Builds stages under one folder; a stage whose instructions and files are the same is kept.

    `as_is` takes every stage that was built once, whatever has changed since.
    """

    def __init__(
        self, context: Path, work: Path, given: Mapping[str, str], *, as_is: bool = False
    ) -> None:
        self.context, self.work, self.given, self.as_is = context, work, given, as_is
        self.built: dict[str, Image] = {}
        ignore = context / "image/Dockerfile.dockerignore"
        self.ignore = ignore_patterns(ignore.read_text())

    def build(self, stage: Stage) -> Image:
        """One stage, after those it is made of; prints a line for each step."""
        base = self.built.get(stage.base)
        if base is None:
            make_base(self.work / "debian")
            base = Image(self.work / "debian", digest="debian")
        image = Image(
            self.work / stage.name, base.digest, dict(base.env), {}, base.workdir, base.user,
            base.shell, dict(base.described),
        )  # fmt: skip
        stamp = self.work / f"{stage.name}.digest"
        wanted = self._digest(stage, base.digest)
        keep = image.root.exists() and stamp.exists()
        keep = keep and (self.as_is or stamp.read_text() == wanted)
        print(f"stage {stage.name} from {stage.base}{' (as it was)' if keep else ''}")
        if not keep:
            stamp.unlink(missing_ok=True)
            if image.root.exists():
                shutil.rmtree(image.root)
            subprocess.run(["cp", "-a", "--reflink=auto", base.root, image.root], check=True)
        before = size(image.root)
        for one in stage.instructions:
            started = time.monotonic()
            self._do(image, one, stage.name, skip=keep)
            if one.name in ("RUN", "COPY") and not keep:
                after = size(image.root)
                seconds = time.monotonic() - started
                change = (after - before) / 2**20
                print(f"  {change:+9.1f} MiB {seconds:6.1f} s  {one.name} {one.value[:60]}")
                before = after
        print(f"  {before / 2**20:9.1f} MiB in all", flush=True)
        if not keep:
            stamp.write_text(wanted)
        image.digest, image.args = wanted, {}
        self.built[stage.name] = image
        return image

    def _digest(self, stage: Stage, base: str) -> str:
        """Of everything that a stage depends on, stages before it included."""
        state = hashlib.sha256(f"{base} {sorted(self.given.items())}".encode())
        args: dict[str, str] = {}
        for one in stage.instructions:
            state.update(repr(one).encode())
            if one.name == "ARG":
                args |= argument(one, self.given, args)
            if one.name == "COPY" and "from" in one.flags:
                state.update(self.built[one.flags["from"]].digest.encode())
            elif one.name == "COPY":
                for path in self.sources(substitute(one.value, args).split()[:-1]):
                    for file in self.files(path):
                        state.update(str(file).encode() + file.read_bytes())
        return state.hexdigest()

    def _do(self, image: Image, one: Instruction, stage: str, *, skip: bool) -> None:
        values = image.args | image.env
        if one.name == "ARG":
            image.args |= argument(one, self.given, values)
        elif one.name == "ENV":
            image.env |= {key: substitute(text, values) for key, text in one.pairs().items()}
        elif one.name == "SHELL":
            image.shell = tuple(one.words())
        elif one.name == "USER":
            image.user = substitute(one.value, values)
        elif one.name == "WORKDIR":
            image.workdir = os.path.normpath(
                os.path.join(image.workdir, substitute(one.value, values))  # noqa: PTH118
            )
            folder = image.root / image.workdir.lstrip("/")
            if not skip and not folder.exists():
                folder.mkdir(parents=True)
        elif one.name in DESCRIBING:
            image.described[one.name] = one
        elif not skip and one.name == "RUN":
            if one.flags:
                raise NotImplementedError(f"line {one.line}: flags of RUN")
            with log_of(self.work, f"{stage}-{one.line}") as log:
                subprocess.run(
                    command(image, [*image.shell, one.value], network()),
                    check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip
        elif not skip and one.name == "COPY":
            self._copy(image, one, substitute(one.value, values).split())

    def _copy(self, image: Image, one: Instruction, words: Sequence[str]) -> None:
        *names, last = words
        target = image.root / os.path.normpath(
            os.path.join(image.workdir, last)  # noqa: PTH118
        ).lstrip("/")
        into = last.endswith("/") or len(names) > 1
        (target if into else target.parent).mkdir(parents=True, exist_ok=True)
        if "from" in one.flags:
            root = self.built[one.flags["from"]].root
            for name in names:
                source = root / name.lstrip("/")
                # The content of a folder goes into the target, as an engine has it.
                whole = f"{source}/." if source.is_dir() else str(source)
                if source.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-a", "--reflink=auto", whole, target], check=True)
            return
        for source in self.sources(names):
            for file in self.files(source):
                inside = file.relative_to(source) if source.is_dir() else Path(file.name)
                place = target / inside if source.is_dir() or into else target
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, place)
                os.chown(place, 0, 0)
                place.chmod(int(one.flags.get("chmod", "644"), 8))

    def sources(self, names: Sequence[str]) -> list[Path]:
        """What a COPY names in the context; each name has to be there."""
        found = []
        for name in names:
            paths = sorted(self.context.glob(name))
            if not any(True for path in paths for _ in self.files(path)):
                raise FileNotFoundError(f"COPY {name}: not in the build's context")
            found += paths
        return found

    def files(self, path: Path) -> list[Path]:
        """The files of the context below a path (or the file), without what is ignored."""
        every = sorted(path.rglob("*")) if path.is_dir() else [path]
        return [
            file for file in every
            if file.is_file() and not ignored(str(file.relative_to(self.context)), self.ignore)
        ]  # fmt: skip


def main() -> None:
    """The command line: builds a target, and with --check starts it."""
    parser = argparse.ArgumentParser(prog="image.prove", description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the stages' files")
    parser.add_argument("--variant", default="cpu", choices=("cpu", "gpu"))
    parser.add_argument("--target", default="runtime", help="stage to build")
    parser.add_argument("--check", action="store_true", help="start what was built")
    parser.add_argument("--as-is", action="store_true", help="keep every stage that is there")
    given = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("image.prove: chroot and mounts need root; call it with sudo")
    for program in ("debootstrap", "unshare", "chroot"):
        if shutil.which(program) is None:
            sys.exit(f"image.prove: {program} is missing; apt-get install debootstrap util-linux")
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    text = (HERE / "Dockerfile").read_text()
    builder = Builder(HERE.parent, work, {"VARIANT": given.variant}, as_is=given.as_is)
    try:
        for stage in needed(stages(text, builder.given), given.target):
            image = builder.build(stage)
    except subprocess.CalledProcessError as error:
        sys.exit(f"image.prove: exit status {error.returncode} of {error.cmd[-1]}")
    print(f"built {given.target} in {time.monotonic() - started:.0f} s")
    if given.check:
        from image.checks import CheckError, check

        try:
            check(image, work)
        except CheckError as error:
            sys.exit(f"image.prove: {error}")
        except subprocess.CalledProcessError as error:
            sys.exit(f"image.prove: a container ended with {error.returncode}; see the lines above")


if __name__ == "__main__":
    main()
