"""Runs a compiled graph, every task in the image that image/prove.py has built.

  sudo python -m tests.image.compiled --work FOLDER

FOLDER is that of `image.prove --check`, whose demonstration left the records. The tasks run one
after the other, each as the container that it would be, their artifacts on an S3 on the loopback
interface. Not part of `make test`: it needs the built image, root and some minutes.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from image.dockerfile import needed, stages
from image.prove import HERE, Builder, Image, command
from pipeline.config import load_config
from pipeline.kubeflow.compile import compile_spec
from pipeline.kubeflow.ready import as_text
from schema import storage
from tests.support import stores
from tests.support.spec_interpreter import Platform

CONFIG = """
name: small
model: {trunk: InceptionV3, weights: random, image_size: 75}
training: {epochs: 3, embedding: {batch_size: 16}}
evaluation: {resamples: 100, gate: {auc: {min: 0.0}}}
serving: {infra_validation: savedmodel}
"""


@dataclasses.dataclass
class Containers(Platform):
    """A platform whose containers are of the image."""

    image: Image | None = None

    def _container(
        self, container: Mapping[str, Any], handed: Mapping[str, Any], log: Path, kill_at: str
    ) -> int:
        assert self.image is not None and not kill_at
        words = [json.dumps(handed) if part == "{{$}}" else part
                 for part in (*container["command"], *container["args"])]  # fmt: skip
        inside = self.folder / f"{log.stem}-inside"
        inside.mkdir()
        env = {pair["name"]: pair["value"] for pair in container.get("env", [])}
        env |= {**self.environment, "TMPDIR": str(inside)}
        began = time.monotonic()
        with log.open("wb") as out:
            status = subprocess.run(
                command(self.image, words, env, [self.folder]),
                check=False, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            ).returncode  # fmt: skip
        seconds = time.monotonic() - began
        print(f"  {seconds:6.1f} s  exit status {status}  {log.stem}", flush=True)
        return status


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests.image.compiled")
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work.resolve()
    builder = Builder(HERE.parent, work, {"VARIANT": "cpu"}, as_is=True)
    for stage in needed(stages((HERE / "Dockerfile").read_text()), "runtime"):
        image = builder.build(stage)
    records = next((image.root / "work").rglob("records"))
    os.umask(0)  # the user of the image writes into these folders as well
    with tempfile.TemporaryDirectory(prefix="compiled-", dir=work) as made:
        folder = Path(made)
        folder.chmod(0o777)
        (folder / "s3").mkdir()
        (folder / "small.yaml").write_text(CONFIG)
        with stores.s3(folder / "s3") as bucket:
            os.environ.update(bucket.environment)
            storage.put(records, f"{bucket.root}/records")
            compiled = compile_spec(load_config(str(folder / "small.yaml")), "kubeflow",
                                    image="pneumo-tfx", root=f"{bucket.root}/runs")  # fmt: skip
            spec, *_ = yaml.safe_load_all(as_text(compiled, "kubeflow"))
            (folder / "run").mkdir()
            platform = Containers("kubeflow", folder / "run", bucket.environment, workers=1,
                                  image=image)  # fmt: skip
            done = platform.run(spec, f"{bucket.root}/runs", {"data": f"{bucket.root}/records"})
            served = storage.listing(f"{bucket.root}/runs/serving")
    print(f"{len(done)} tasks ran in the image; pushed: {', '.join(served) or 'nothing'}")


if __name__ == "__main__":
    main()
