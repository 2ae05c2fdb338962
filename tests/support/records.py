"""Builds records of the data contract."""

import hashlib
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from schema import features as f


def feature(value: Any) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, str):
        return feature(value.encode())
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    if isinstance(value, float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=list(value)))


def values(content: bytes, pathogen: str, name: str, **changes: Any) -> dict[str, Any]:
    return {
        f.IMAGE_ENCODED: content,
        f.IMAGE_FORMAT: "png" if content.startswith(b"\x89PNG") else "jpeg",
        f.IMAGE_HEIGHT: 61,
        f.IMAGE_WIDTH: 83,
        f.IMAGE_SHA256: hashlib.sha256(content + name.encode()).hexdigest(),
        f.IMAGE_FILENAME: name,
        f.IMAGE_SOURCE: name.split("-", maxsplit=1)[0],
        f.PATIENT_ID: name.rsplit("-", 1)[0],
        f.PATHOGEN: pathogen,
        **dict.fromkeys((f.BOX_YMIN, f.BOX_XMIN, f.BOX_YMAX, f.BOX_XMAX), ()),
        f.STATS_MEAN: 120.0,
        f.STATS_STD: 50.0,
        f.STATS_P01: 3.0,
        f.STATS_P99: 250.0,
        f.STATS_ENTROPY: 7.0,
        f.STATS_ASPECT: 1.4,
        **changes,
    }


def example(row: dict[str, Any]) -> bytes:
    features = {name: feature(value) for name, value in row.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write(file: str, rows: Iterable[dict[str, Any]]) -> None:
    with tf.io.TFRecordWriter(file) as out:
        for row in rows:
            out.write(example(row))
