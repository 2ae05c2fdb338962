"""The steps of a Dockerfile, executed in a root folder made of a few programs of this machine."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from image.dockerfile import needed, stages
from image.prove import Builder, Image, command

PROGRAMS = ("bash", "cat", "env", "id", "mkdir", "sh", "touch")
DOCKERFILE = """\
ARG BASE=debian
ARG VERSION=7
FROM ${BASE} AS first
SHELL ["/bin/bash", "-eu", "-o", "pipefail", "-c"]
ARG NAME=cpu
ARG VERSION
ENV WHERE=/made KEPT="two words"
RUN mkdir ${WHERE} && echo "${NAME} ${VERSION} ${KEPT}" > ${WHERE}/told
WORKDIR ${WHERE}
COPY files ./files
COPY lock-${NAME}.txt sub/

FROM first AS unused
RUN false

FROM ${BASE} AS last
COPY --from=first /made /copy
COPY --from=first /made/told /one
WORKDIR /home/it
RUN touch owned
USER 1234:1234
ENTRYPOINT ["bash", "-c"]
"""


def may_enter() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    words = ["unshare", "--mount", "--pid", "--fork", "--propagation", "private", "true"]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not may_enter(), reason="needs root, and namespaces of its own")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with a base that holds a shell, and nothing that this machine has besides."""
    root = tmp_path / "work/debian"
    for folder in ("etc", "bin", "tmp", "run", "home/it"):
        (root / folder).mkdir(parents=True)
    (root / "etc/debian_version").write_text("13.0\n")
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nit:x:1234:1234::/home/it:/bin/sh\n")
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found is not None
        shutil.copy(found, root / "bin" / name)
        listed = subprocess.run(["ldd", found], check=True, capture_output=True, text=True).stdout
        for library in re.findall(r"(/\S+)", listed):
            place = root / library.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                shutil.copy(library, place)
    return tmp_path / "work"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "files/deep").mkdir(parents=True)
    (folder / "image").mkdir()
    (folder / "image/Dockerfile.dockerignore").write_text("*\n!files\n!lock-*.txt\n**/*.pyc\n")
    (folder / "files/deep/a.txt").write_text("a")
    (folder / "files/b.pyc").write_text("no")
    (folder / "lock-cpu.txt").write_text("cpu")
    (folder / "lock-gpu.txt").write_text("gpu")
    return folder


def build(context: Path, work: Path, text: str = DOCKERFILE, **given: str) -> Image:
    builder = Builder(context, work, given)
    for stage in needed(stages(text, given), "last"):
        image = builder.build(stage)
    return image


def told(image: Image, script: str) -> str:
    words = command(image, ["bash", "-c", script])
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def test_steps_do_what_an_engine_would_do(context: Path, work: Path) -> None:
    image = build(context, work)
    assert (image.root / "one").read_text() == "cpu 7 two words\n"
    assert (image.root / "copy/files/deep/a.txt").read_text() == "a"
    assert (image.root / "copy/sub/lock-cpu.txt").read_text() == "cpu"
    assert not list(image.root.rglob("b.pyc")), ".dockerignore"
    assert not list(image.root.rglob("lock-gpu.txt"))
    assert (image.user, image.workdir, image.entrypoint()) == (
        "1234:1234", "/home/it", ["bash", "-c"],
    )  # fmt: skip
    assert "WHERE" not in image.env, "of another stage"
    assert told(image, "id -u; pwd; echo $HOME $$").split() == [
        "1234", "/home/it", "/home/it", "1",
    ]  # fmt: skip
    assert told(image, "touch /copy/x 2>/dev/null || echo refused") == "refused"


def test_build_arguments(context: Path, work: Path) -> None:
    image = build(context, work, NAME="gpu")
    assert (image.root / "one").read_text() == "gpu 7 two words\n"
    assert (image.root / "copy/sub/lock-gpu.txt").exists()


def test_nothing_stays_mounted(context: Path, work: Path) -> None:
    build(context, work)
    assert str(work) not in Path("/proc/self/mountinfo").read_text()


def test_what_is_the_same_is_kept(
    context: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(context, work)
    capsys.readouterr()
    build(context, work)
    assert capsys.readouterr().out.count("(as it was)") == 2
    (context / "files/deep/a.txt").write_text("new")
    image = build(context, work)
    assert (image.root / "copy/files/deep/a.txt").read_text() == "new"


def test_a_step_that_fails_stops_it(
    context: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = DOCKERFILE.replace("RUN touch owned", "RUN echo told first; cat /none | cat")
    with pytest.raises(subprocess.CalledProcessError):
        build(context, work, text.replace("FROM ${BASE} AS last", "FROM first AS last"))
    assert "told first" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["COPY gone /x", "COPY files/b.pyc /x"])
def test_what_is_not_in_the_context_cannot_be_copied(context: Path, work: Path, line: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"not in the build's context"):
        build(context, work, DOCKERFILE.replace("COPY files ./files", line))
