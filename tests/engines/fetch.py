"""Downloads Beam's job servers of Flink and Spark: python -m tests.engines.fetch FOLDER.

FOLDER/flink.jar and FOLDER/spark.jar hold the engine too. About 600 MB are downloaded once, by
Maven. Needs java and mvn on the PATH.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAINS = {
    "flink": "org.apache.beam.runners.flink.FlinkJobServerDriver",
    "spark": "org.apache.beam.runners.spark.SparkJobServerDriver",
}


def fetch(folder: Path) -> None:
    """Makes each jar that is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for engine, main in MAINS.items():
        jar, parts = folder / f"{engine}.jar", folder / f"{engine}.parts"
        if not jar.is_file():
            pom = ROOT / f"requirements/engines/{engine}.xml"
            options = ["-DincludeScope=runtime", f"-DoutputDirectory={parts.resolve()}"]
            maven = ["mvn", "-B", "-q", "-f", pom, "dependency:copy-dependencies", *options]
            subprocess.run(maven, check=True)
            partial = jar.with_suffix(".partial")
            merge(sorted(parts.glob("*.jar")), partial, main)
            partial.rename(jar)
            shutil.rmtree(parts)


def merge(jars: list[Path], dest: Path, main: str) -> None:
    """Merges jars into one with a main class, as Beam publishes its job servers."""
    seen, services = {"META-INF/MANIFEST.MF"}, dict[str, list[bytes]]()
    with zipfile.ZipFile(dest, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        lines = ("Manifest-Version: 1.0", f"Main-Class: {main}", "Multi-Release: true", "", "")
        out.writestr("META-INF/MANIFEST.MF", "\r\n".join(lines))
        for jar in jars:
            with zipfile.ZipFile(jar) as source:
                for entry in source.infolist():
                    name = entry.filename
                    signature = name.endswith((".SF", ".RSA", ".DSA"))
                    if name.startswith("META-INF/services/") and not entry.is_dir():
                        services.setdefault(name, []).append(source.read(entry))
                    elif name not in seen and not (signature and name.startswith("META-INF/")):
                        seen.add(name)
                        out.writestr(name, source.read(entry))
        for name, parts in services.items():
            out.writestr(name, b"\n".join(parts) + b"\n")


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
