"""One batch: what a step of training and one of validation compute, on one replica or several."""

from typing import TYPE_CHECKING, Any

from components.trainer.distribution import Team
from components.trainer.objective import Objective

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from components.trainer.learner import Group
    from components.trainer.loop import Source


def steps_of(
    model: "keras.Model",
    judge: "keras.Model",
    groups: "list[Group]",
    optimizers: "list[keras.optimizers.Optimizer]",
    source: "Source",
    aim: Objective,
    team: Team,
    clip_norm: float | None,
) -> tuple[Any, Any]:
    """Traced functions of batches: sums of loss and of each measure, and images.

    The first learns from batches of one size, stacked, one after the other: (x [k, n, ...], targets
    [k, n, ...], weights [k, n], window int32 [k, 2], learning rates [k, groups]) -> float32 [k, 2 +
    measures], of all processes. The second asks `judge` about one batch of validation: -> float32
    [2 + measures], of this process.
    """
    import tensorflow as tf

    from components.trainer.dropout import window

    strategy = team.strategy

    def batch_of(x: "tf.TensorSpec", *before: int | None) -> "list[tf.TensorSpec]":
        return [
            tf.TensorSpec([*before, None, *x.shape], x.dtype),
            tf.TensorSpec([*before, None, *aim.shape], tf.float32),
            tf.TensorSpec([*before, None], tf.float32),
        ]

    def sums(outputs: "tf.Tensor", targets: "tf.Tensor", loss: "tf.Tensor") -> "tf.Tensor":
        measured = [of(targets, outputs) for of in aim.measures.values()]
        count = tf.cast(tf.shape(targets)[0], tf.float32)
        return tf.stack([*(tf.reduce_sum(of) for of in (loss, *measured)), count])

    def learn(
        x: "tf.Tensor", targets: "tf.Tensor", weights: "tf.Tensor", at: "tf.Tensor"
    ) -> "tf.Tensor":
        first, images = at[0], at[1]
        if strategy is not None:
            part = _part(tf.shape(x)[0], len(strategy.extended.worker_devices))
            x, targets, weights, first = x[part], targets[part], weights[part], first + part.start
        variables = [v.value for group in groups for v in group.variables]
        n = tf.shape(x)[0]
        if strategy is not None:
            # Convolutions fail on no image at all; this one's outputs are cut off again.
            x = tf.cond(n > 0, lambda: x, lambda: tf.zeros([1, *source.x.shape], x.dtype))
        with tf.GradientTape() as tape, window(first, images):
            outputs = model(tf.cast(x, tf.float32), training=True)[:n]
            loss = weights * aim.learned(targets, outputs)
            # Divided by the images of all replicas: the optimiser sums their gradients.
            total = tf.reduce_sum(loss) / tf.cast(images, tf.float32)
            if model.losses:
                total += tf.add_n(model.losses) / _replicas(strategy)
        gradients = tape.gradient(total, variables)
        if clip_norm is not None:
            gradients = clipped(gradients, clip_norm, strategy)
        done = 0
        for group, optimizer in zip(groups, optimizers, strict=True):
            optimizer.apply(gradients[done : done + len(group.variables)], group.variables)
            done += len(group.variables)
        own = sums(outputs, targets, loss)
        if strategy is None:
            return own
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, own)

    k = 1 if source.stacked == 1 else None
    stacked = [
        *batch_of(source.x, k),
        tf.TensorSpec([k, 2], tf.int32),
        tf.TensorSpec([k, len(groups)], tf.float32),
    ]

    @tf.function(input_signature=stacked, autograph=False)
    def train_steps(
        x: "tf.Tensor", targets: "tf.Tensor", weights: "tf.Tensor", at: "tf.Tensor",
        rates: "tf.Tensor",
    ) -> "tf.Tensor":  # fmt: skip
        def one(i: "tf.Tensor | int") -> "tf.Tensor":
            for number, optimizer in enumerate(optimizers):
                optimizer.learning_rate.assign(rates[i, number])
            batch = x[i], targets[i], weights[i], at[i]
            if strategy is None:
                return learn(*batch)
            parts = strategy.run(learn, batch)
            return strategy.experimental_local_results(parts)[0]  # the same in all of them

        if k == 1:
            return one(0)[tf.newaxis]
        n = tf.shape(x)[0]
        _, told = tf.while_loop(
            lambda i, _: i < n,
            lambda i, told: (i + 1, told.write(i, one(i))),
            (0, tf.TensorArray(tf.float32, n)),
            parallel_iterations=1,
        )
        return told.stack()

    judged = batch_of(source.judged or source.x)

    @tf.function(input_signature=judged, autograph=False)
    def val_step(x: "tf.Tensor", targets: "tf.Tensor", weights: "tf.Tensor") -> "tf.Tensor":
        del weights  # validation counts every image the same
        outputs = judge(tf.cast(x, tf.float32), training=False)
        return sums(outputs, targets, aim.judged(targets, outputs))

    return train_steps, val_step


def _part(n: "tf.Tensor", replicas: int) -> slice:
    """What this replica learns from, of the n images that came to its process."""
    import tensorflow as tf

    number = tf.distribute.get_replica_context().replica_id_in_sync_group % replicas
    return slice(n * number // replicas, n * (number + 1) // replicas)


def _replicas(strategy: "tf.distribute.Strategy | None") -> float:
    return float(strategy.num_replicas_in_sync) if strategy is not None else 1.0


def clipped(
    gradients: "list[tf.Tensor]", norm: float, strategy: "tf.distribute.Strategy | None"
) -> "list[tf.Tensor]":
    """Shortened by one factor, which makes the norm of their sum over all replicas `norm` at most.

    Keras's own clipping would measure each replica's part by itself.
    """
    import tensorflow as tf

    whole = gradients
    if strategy is not None:
        context = tf.distribute.get_replica_context()
        whole = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    factor = tf.minimum(1.0, norm / tf.maximum(tf.linalg.global_norm(whole), 1e-12))
    return [gradient * factor for gradient in gradients]
