"""The members' answers on validation, and how they are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from components.embedder.records import Records
from components.embedder.store import Embeddings
from components.evaluation import table
from components.progress import Step
from components.scorer.columns import columns
from components.trainer.calibrate import Calibrated, member_probabilities
from components.trainer.head import pool, select
from components.trainer.network import Network
from schema.labels import Task


@dataclass(frozen=True)
class MemberAnswers:
    """Of each member to each image of a split.

    Attributes:
      logits: float32 [n, members, classes].
      members: float64 [n, members, classes], probabilities.
    """

    logits: np.ndarray
    members: np.ndarray

    @classmethod
    def of(cls, logits: np.ndarray) -> Self:
        """From logits."""
        return cls(logits, member_probabilities(logits))


def answer(network: Network, split: Embeddings, batch: int = 32) -> MemberAnswers:
    """Asks every member, from the stored features; from the stored maps where the trunk learned.

    Without stored maps (training from images) the members that changed the trunk are asked by
    `components.trainer.images`, which puts their maps into `split`.
    """
    import tensorflow as tf

    logits: list[np.ndarray] = []
    step = Step()
    for i, member in enumerate(network.members):
        rows: list[np.ndarray] = []
        upper = member.upper
        if upper is None:
            features = select(split.features[0], network.pooling)
            for start in range(0, len(split), 1024):
                part = np.asarray(features[start : start + 1024], np.float32)
                rows.append(np.asarray(member.head(part, training=False)))
        else:
            head = member.head
            ask = tf.function(
                lambda x, upper=upper, head=head: head(
                    pool(upper(x, training=False), network.pooling), training=False
                ),
                input_signature=[tf.TensorSpec([None, *split.maps[0].shape[1:]], tf.float32)],
                autograph=False,
            )
            for start in range(0, len(split), batch):
                part = np.asarray(split.maps[0][start : start + batch], np.float32)
                rows.append(ask(part).numpy())
                step(f"validate member {i + 1}", min(start + batch, len(split)), len(split))
        logits.append(np.concatenate(rows).astype(np.float32))
    stacked = np.stack(logits, axis=1)
    return MemberAnswers.of(stacked)


def write_predictions(
    file: Path,
    records: Records,
    answers: MemberAnswers,
    fixed: Calibrated,
    of: Task,
    boxes: Mapping[str, Any] | None = None,
) -> None:
    """Writes predictions as components.evaluation.table stores them; `boxes` are a detector's."""
    given = {
        "score": fixed.score,
        "probabilities": fixed.probabilities,
        "raw": fixed.raw,
        "members": answers.members.reshape(len(records), -1),
        **(boxes or {}),
    }
    table.write(file, iter([columns(records, of, given)]))


def summary_text(network: Network) -> str:
    """Layers of the frozen part, of what learned, and of the head, as Keras prints them."""
    lines: list[str] = []
    first = network.members[0]
    for model in (network.lower, first.upper, first.head):
        if model is not None:
            model.summary(print_fn=lambda line, *_, **__: lines.append(line), expand_nested=True)
    lines.append(f"members of the ensemble: {len(network.members)}")
    return "\n".join(lines) + "\n"
