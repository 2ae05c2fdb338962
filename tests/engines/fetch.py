"""Gets Flink, Spark and job servers of Beam for them: python -m tests.engines.fetch FOLDER.

FOLDER/flink becomes a Flink distribution, FOLDER/flink.jar and FOLDER/spark.jar job servers; Spark
itself is in the latter. About 600 MB are fetched once. Needs java and mvn (Maven) on the PATH.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLINK = "flink"
MAINS = {
    "flink": "org.apache.beam.runners.flink.FlinkJobServerDriver",
    "spark": "org.apache.beam.runners.spark.SparkJobServerDriver",
}


def jar_of(folder: Path, kind: str) -> Path:
    """Where the job server of an engine is put."""
    return folder / f"{kind}.jar"


def fetch(folder: Path) -> None:
    """Gets what is not there yet.

    Raises:
      RuntimeError: something cannot be had; one line.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise RuntimeError(f"no {program} on the PATH (apt-get install openjdk-17-jre maven)")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / FLINK).is_dir():
        made = folder / "flink.partial"
        shutil.rmtree(made, ignore_errors=True)
        _run(
            [
                sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", made,
                "-r", ROOT / "requirements/engines/flink.txt",
            ],
            "Flink's jars",
        )  # fmt: skip
        (made / "pyflink").rename(folder / FLINK)
        shutil.rmtree(made)
    for kind, main in MAINS.items():
        if jar_of(folder, kind).is_file():
            continue
        jars = folder / f"{kind}.jars"
        _run(
            [
                "mvn", "-B", "-q", "-f", ROOT / f"requirements/engines/{kind}.xml",
                "dependency:copy-dependencies", "-DincludeScope=runtime",
                f"-DoutputDirectory={jars.resolve()}",
            ],
            f"Beam's runner for {kind.title()}",
        )  # fmt: skip
        partial = folder / f"{kind}.jar.partial"
        merge(sorted(jars.glob("*.jar")), partial, main)
        partial.rename(jar_of(folder, kind))
        shutil.rmtree(jars)


def merge(jars: list[Path], dest: Path, main: str) -> None:
    """Makes one jar with a main class of many.

    One jar, as Beam publishes it: the job server sends every jar of its class path to the cluster.
    """
    seen, services = {"META-INF/MANIFEST.MF"}, dict[str, list[bytes]]()
    with zipfile.ZipFile(dest, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        told = ("Manifest-Version: 1.0", f"Main-Class: {main}", "Multi-Release: true", "", "")
        out.writestr("META-INF/MANIFEST.MF", "\r\n".join(told))
        for jar in jars:
            with zipfile.ZipFile(jar) as source:
                for entry in source.infolist():
                    name = entry.filename
                    signed = name.startswith("META-INF/") and name.endswith((".SF", ".RSA", ".DSA"))
                    if name.startswith("META-INF/services/") and not entry.is_dir():
                        services.setdefault(name, []).append(source.read(entry))
                    elif not (signed or name in seen):  # Spark looks for folders too
                        seen.add(name)
                        out.writestr(name, source.read(entry))
        for name, parts in services.items():
            out.writestr(name, b"\n".join(parts) + b"\n")


def _run(command: list[object], what: str) -> None:
    print(f"fetching {what} ...", file=sys.stderr, flush=True)
    done = subprocess.run([str(x) for x in command], check=False, capture_output=True, text=True)
    if done.returncode:
        said = [x.strip() for x in (done.stdout + done.stderr).splitlines() if "rror" in x]
        raise RuntimeError(f"{what} can't be had: {(said or ['no reason given'])[0][:300]}")


if __name__ == "__main__":
    try:
        fetch(Path(sys.argv[1]))
    except RuntimeError as error:
        sys.exit(f"engines: {error}")
