"""The Transform node against a bare tf.data loop that decodes, resizes, encodes and writes.

Both read the same gzip records and write gzip records. The node also starts Beam, traces the graph,
analyses and writes the graph; that cost is fixed, so two sizes are measured and the cost of one
more image is compared beside the total.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.child import measure

SIZES = (300, 1200)
SIDE = 299


def bench() -> dict[str, Any]:
    """Seconds and ratios for two numbers of images."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for n in SIZES:
            folder = Path(name) / str(n)
            seconds = {
                what: float(
                    measure("-m", "benchmarks.transform", what, folder, str(n)).output.split()[-1]
                )
                for what in ("records", "node", "bare")
            }
            found[str(n)] = {
                "node_s": seconds["node"],
                "bare_s": seconds["bare"],
                "ratio": seconds["node"] / seconds["bare"],
            }
    small, large = (found[str(n)] for n in SIZES)
    more = SIZES[1] - SIZES[0]
    node = (large["node_s"] - small["node_s"]) / more
    bare = (large["bare_s"] - small["bare_s"]) / more
    found["one_more_image"] = {"node_ms": node * 1e3, "bare_ms": bare * 1e3, "ratio": node / bare}
    found["bound_by"] = "start and graph tracing for few images; PNG and JPEG codecs for many"
    return found


def _records(folder: Path, n: int) -> None:
    """Phantoms as gzip records in the layout of ImportExampleGen, all in train but two."""
    import tensorflow as tf

    from components.phantom.dataset import write_phantoms
    from tests.support import records

    write_phantoms(folder / "phantoms", n, 0)
    files = sorted((folder / "phantoms").rglob("*.jpeg"))
    for split, of in (("train", files), ("val", files[:2])):
        out = folder / "examples" / f"Split-{split}"
        out.mkdir(parents=True)
        options = tf.io.TFRecordOptions(compression_type="GZIP")
        with tf.io.TFRecordWriter(str(out / "data_tfrecord-00000-of-00001.gz"), options) as writer:
            for file in of:
                row = records.values(file.read_bytes(), "normal", file.stem)
                writer.write(records.example(row))


def _node(folder: Path) -> None:
    """The Transform executor alone, as the graph runs it."""
    import tfx.v1  # noqa: F401  first: TFT and TFDV need its stand-ins
    from tfx.components.transform.executor import Executor
    from tfx.types import artifact_utils, standard_artifacts

    from pipeline.pipeline import SCHEMA_FILE

    examples = standard_artifacts.Examples()
    examples.uri = str(folder / "examples")
    examples.split_names = artifact_utils.encode_split_names(["train", "val"])
    schema = standard_artifacts.Schema()
    schema.uri = str(folder / "schema")
    Path(schema.uri).mkdir()
    (Path(schema.uri) / "schema.pbtxt").write_text(SCHEMA_FILE.read_text())
    outputs = {}
    for key, kind in {
        "transform_graph": standard_artifacts.TransformGraph,
        "transformed_examples": standard_artifacts.Examples,
        "updated_analyzer_cache": standard_artifacts.TransformCache,
        "pre_transform_schema": standard_artifacts.Schema,
        "pre_transform_stats": standard_artifacts.ExampleStatistics,
        "post_transform_schema": standard_artifacts.Schema,
        "post_transform_stats": standard_artifacts.ExampleStatistics,
        "post_transform_anomalies": standard_artifacts.ExampleAnomalies,
    }.items():
        outputs[key] = [kind()]
        outputs[key][0].uri = str(folder / "out" / key)
    config = {"image_size": SIDE, "fit": "stretch"}
    started = time.monotonic()
    Executor(
        Executor.Context(beam_pipeline_args=[], tmp_dir=str(folder / "tmp"), unique_id="0")
    ).Do(
        {"examples": [examples], "schema": [schema]},
        outputs,
        {
            "preprocessing_fn": "components.transform.preprocessing.preprocessing_fn",
            "custom_config": json.dumps(config),
            "splits_config": '{"analyze": ["train"], "transform": ["train", "val"]}',
            "disable_statistics": 1,
            "force_tf_compat_v1": 0,
        },
    )
    print(time.monotonic() - started)


def _bare(folder: Path) -> None:
    import tensorflow as tf

    from components.transform.decode import decode_gray, resize_gray
    from schema import features as f

    started = time.monotonic()
    spec = {f.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string)}

    def one(record: tf.Tensor) -> tf.Tensor:
        encoded = tf.io.parse_single_example(record, spec)[f.IMAGE_ENCODED]
        small = resize_gray(decode_gray(encoded), SIDE, "stretch")
        return tf.io.encode_png(small, compression=1)

    files = [str(path) for path in sorted((folder / "examples").glob("Split-*/*.gz"))]
    images = tf.data.TFRecordDataset(files, "GZIP").map(one, num_parallel_calls=tf.data.AUTOTUNE)
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(folder / "bare.gz"), options) as writer:
        for png in images:
            value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[png.numpy()]))
            features = tf.train.Features(feature={f.IMAGE_PNG: value})
            writer.write(tf.train.Example(features=features).SerializeToString())
    print(time.monotonic() - started)


if __name__ == "__main__":
    what, where = sys.argv[1], Path(sys.argv[2])
    if what == "records":
        _records(where, int(sys.argv[3]))
        print(0)
    else:
        {"node": _node, "bare": _bare}[what](where)
