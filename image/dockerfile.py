"""Reads a Dockerfile: its stages, and their instructions with every variable put in.

Covers what image/Dockerfile uses and refuses the rest by name, so that nothing is passed over in
silence: https://docs.docker.com/reference/dockerfile/.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

# What may stand in a stage. HEALTHCHECK and the like say how a container is run, and build nothing.
BUILDING = ("RUN", "COPY", "ENV", "ARG", "WORKDIR", "USER", "SHELL")
DESCRIBING = ("ENTRYPOINT", "CMD", "HEALTHCHECK", "LABEL", "EXPOSE", "STOPSIGNAL", "VOLUME")
_VARIABLE = re.compile(r"\\\$|\$(?:(\w+)|\{(\w+)(?::([-+])((?:[^{}]|\$\{\w+\})*))?\})")


class DockerfileError(Exception):
    """A Dockerfile that cannot be read; the message says which line and why."""


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
      name: in capitals.
      flags: `--from=builder` is {"from": "builder"}.
      value: the rest as written, continuation lines joined.
      line: where it starts, from 1.
    """

    name: str
    value: str
    line: int
    flags: Mapping[str, str] = field(default_factory=dict)

    def words(self) -> list[str]:
        """The value as a list: of its JSON form, else split at blanks."""
        if self.value.startswith("["):
            found = json.loads(self.value)
            return [str(word) for word in found]
        return self.value.split()

    def pairs(self) -> dict[str, str]:
        """`A=1 B="two words"` as a dictionary (ENV, LABEL, ARG)."""
        found: dict[str, str] = {}
        for key, quoted, bare in re.findall(r'([\w.-]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', self.value):
            found[key] = re.sub(r"\\(.)", r"\1", quoted) if quoted else bare
        return found


@dataclass(frozen=True)
class Stage:
    """From one FROM to the next. `base` is an earlier stage's name or an image's."""

    name: str
    base: str
    line: int
    instructions: tuple[Instruction, ...]


def instructions(text: str) -> Iterator[Instruction]:
    """Every instruction of a Dockerfile in order.

    Raises:
      DockerfileError: a name that is not known here, or a here-document.
    """
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or not (line.strip() or pending):
            continue  # comments may stand between the lines of one instruction
        start = start or number
        if line.rstrip().endswith("\\"):
            pending += line.rstrip()[:-1]
            continue
        yield _instruction(pending + line, start)
        pending, start = "", 0
    if pending:
        raise DockerfileError(f"line {start}: the file ends in the middle of an instruction")


def _instruction(text: str, line: int) -> Instruction:
    name, _, value = text.strip().partition(" ")
    name, value = name.upper(), value.strip()
    if name != "FROM" and name not in BUILDING + DESCRIBING:
        raise DockerfileError(f"line {line}: {name} is not known here")
    flags: dict[str, str] = {}
    while name != "CMD" and (flag := re.match(r"--([\w-]+)(?:=(\S+))?\s+", value)):
        flags[flag[1]] = flag[2] or ""
        value = value[flag.end() :]
    if name in ("RUN", "COPY") and re.search(r"<<-?[\"']?[A-Za-z]", value):
        raise DockerfileError(f"line {line}: here-documents are not known here")
    return Instruction(name, value, line, flags)


def substitute(text: str, values: Mapping[str, str]) -> str:
    """$A, ${A}, ${A:-default} and ${A:+other} in a text; what has no value is empty."""

    def one(match: re.Match[str]) -> str:
        if match[0] == "\\$":
            return "$"
        value = values.get(match[1] or match[2], "")
        if match[3] == "-":
            return value or substitute(match[4], values)
        if match[3] == "+":
            return substitute(match[4], values) if value else ""
        return value

    return _VARIABLE.sub(one, text)


def stages(text: str, given: Mapping[str, str] | None = None) -> list[Stage]:
    """The stages of a Dockerfile; FROM lines have their arguments put in.

    Args:
      text: the file.
      given: build arguments (`--build-arg`).

    Raises:
      DockerfileError: the file has no stage, or something that is not known here.
    """
    given = given or {}
    found: list[Stage] = []
    before: dict[str, str] = {}
    for one in instructions(text):
        if one.name == "FROM":
            base, _, name = re.sub(r"(?i)\s+as\s+", " as ", one.value).partition(" as ")
            found.append(Stage(name or str(len(found)), substitute(base, before), one.line, ()))
        elif found:
            last, added = found[-1], one
            if one.name == "ARG" and one.value in before:  # one from above the first FROM
                added = Instruction("ARG", f"{one.value}={before[one.value]}", one.line)
            found[-1] = Stage(last.name, last.base, last.line, (*last.instructions, added))
        elif one.name == "ARG":
            before |= argument(one, given, before)
        else:
            raise DockerfileError(f"line {one.line}: {one.name} before the first FROM")
    if not found:
        raise DockerfileError("there is no FROM")
    return found


def argument(
    one: Instruction, given: Mapping[str, str], known: Mapping[str, str]
) -> dict[str, str]:
    """The value of an ARG: what is given, else what is known already, else its default."""
    name, has_default, default = one.value.partition("=")
    if name in given:
        return {name: given[name]}
    if has_default:
        return {name: substitute(default.strip('"'), known)}
    return {name: known[name]} if name in known else {}


def needed(all_stages: Sequence[Stage], target: str) -> list[Stage]:
    """The stages that a target is made of, in order, itself the last.

    Raises:
      DockerfileError: there is no stage of that name.
    """
    by_name = {stage.name: stage for stage in all_stages}
    if target not in by_name:
        raise DockerfileError(f"there is no stage {target} (there are {', '.join(by_name)})")
    wanted, queue = set(), [target]
    while queue:
        stage = by_name.get(queue.pop())
        if stage is None or stage.name in wanted:
            continue
        wanted.add(stage.name)
        queue += [stage.base, *(one.flags.get("from", "") for one in stage.instructions)]
    return [stage for stage in all_stages if stage.name in wanted]


def ignored(path: str, patterns: Sequence[str]) -> bool:
    """Whether .dockerignore leaves a path (relative, with slashes) out of the build's context.

    The last pattern that fits the path or a folder above it decides.
    """
    parts = path.split("/")
    heads = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    out = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        expression = _glob(pattern.lstrip("!").strip("/"))
        if any(expression.fullmatch(head) for head in heads):
            out = not negated
    return out


def ignore_patterns(text: str) -> list[str]:
    """The patterns of a .dockerignore, without comments and blank lines."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _glob(pattern: str) -> re.Pattern[str]:
    made = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern):
        made += {"**/": r"(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(
            part, re.escape(part)
        )
    return re.compile(made)
