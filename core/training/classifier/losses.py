"""Losses over partial labels: a record may be known to belong to one of several classes."""

from typing import TYPE_CHECKING, Any

from core.training.loop.curves import Objective, PerImage
from core.training.options import TrainingOptions

if TYPE_CHECKING:
    import tensorflow as tf


def partial_cross_entropy(
    targets: "tf.Tensor",
    logits: "tf.Tensor",
    *,
    label_smoothing: float = 0.0,
    focal_gamma: float | None = None,
) -> "tf.Tensor":
    """Returns -log of the total probability of the possible classes.

    For one possible class this is the usual cross entropy; for several, the likelihood of a
    coarsened label (Heitjan & Rubin, 1991): pneumonia of unknown pathogen only teaches "bacteria
    or virus". For a two-stage head it equals the sum of the losses of the stages that the label
    determines.

    Args:
      targets: float32 [n, classes] of 0 and 1, at least one 1 in each row. For images that are
        mixed from several: [n, images, classes], the rows of each times its part of the loss (see
        `core.training.data.mixing`). The losses of the images are averaged with these parts, which
        for one possible class is the cross entropy with the averaged target.
      logits: float32 [n, classes].
      label_smoothing: part of the target spread over all classes (Szegedy et al., 2016).
      focal_gamma: exponent of the focal factor (1 - p)^gamma (Lin et al., 2017); None: no factor.

    Returns:
      float32 [n].
    """
    import tensorflow as tf

    if len(targets.shape) == 3:
        options: dict[str, Any] = {"label_smoothing": label_smoothing, "focal_gamma": focal_gamma}
        return tf.add_n(
            [
                tf.reduce_max(rows, axis=-1) * partial_cross_entropy(rows, logits, **options)
                for rows in tf.unstack(targets, axis=1)
            ]
        )
    log_p = tf.nn.log_softmax(tf.cast(logits, tf.float32))
    # A large negative number, not -inf: the gradient of logsumexp over -inf is NaN.
    masked = tf.where(targets > 0, log_p, tf.constant(-1e9, tf.float32))
    log_set = tf.reduce_logsumexp(masked, axis=-1)
    # Rounding can make this positive. Not tf.minimum, which turns NaN into 0 and hides it.
    log_set = tf.where(log_set > 0, 0.0, log_set)
    loss = -log_set
    if focal_gamma is not None:
        # Kept above 0: the gradient of 0^gamma is NaN for gamma below 1.
        loss *= tf.pow(tf.maximum(1.0 - tf.exp(log_set), 1e-7), focal_gamma)
    if label_smoothing:
        loss = (1 - label_smoothing) * loss - label_smoothing * tf.reduce_mean(log_p, axis=-1)
    return loss


def distillation_loss(teacher: "tf.Tensor", logits: "tf.Tensor", temperature: float) -> "tf.Tensor":
    """Returns the cross entropy with the probabilities of a teacher (Hinton et al., 2015).

    Times the squared temperature, so that its gradients do not shrink with it.

    Args:
      teacher: probabilities after division of the teacher's logits by the temperature, float32
        [n, classes]; for mixed images [n, images, classes], each times its part of the loss.
      logits: float32 [n, classes].
      temperature: divides the logits.

    Returns:
      float32 [n].
    """
    import tensorflow as tf

    if len(teacher.shape) == 3:
        teacher = tf.reduce_sum(teacher, axis=1)
    log_p = tf.nn.log_softmax(tf.cast(logits, tf.float32) / temperature)
    return -(temperature**2) * tf.reduce_sum(teacher * log_p, axis=-1)


def class_objective(options: TrainingOptions) -> Objective:
    """Returns the configured loss; validation always uses the unmodified cross entropy.

    With distillation, targets are [n, 2 * classes]: labels and probabilities of the teacher.
    """
    distill = options.distill

    def loss(targets: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
        return partial_cross_entropy(
            targets,
            logits,
            label_smoothing=options.label_smoothing,
            focal_gamma=options.focal_gamma if options.loss == "focal" else None,
        )

    if distill is None:
        return Objective(loss, partial_cross_entropy, {"accuracy": _correct})

    def of_labels(function: PerImage) -> PerImage:
        return lambda targets, logits: function(targets[..., : logits.shape[-1]], logits)

    def distilled(targets: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
        teacher = targets[..., logits.shape[-1] :]
        soft = distillation_loss(teacher, logits, distill.temperature)
        return (1.0 - distill.weight) * of_labels(loss)(targets, logits) + distill.weight * soft

    return Objective(distilled, of_labels(partial_cross_entropy), {"accuracy": of_labels(_correct)})


def _correct(targets: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
    """Returns 1 where the most probable class is a possible one, float32 [n].

    Of a mixed image, the parts of the images for which it is one.
    """
    import tensorflow as tf

    if len(targets.shape) == 3:
        targets = tf.reduce_sum(targets, axis=1)
    return tf.gather(targets, tf.argmax(logits, axis=-1), axis=1, batch_dims=1)
