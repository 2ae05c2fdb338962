"""Which tf.distribute strategy training runs under, and the processes that train together."""

import contextlib
import functools
import io
import logging
import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from components.trainer.cluster import ALONE, Cluster, Share, cluster_of
from schema.errors import PneumoError
from schema.ports import listens

if TYPE_CHECKING:
    import tensorflow as tf

HEARTBEAT: Final = "PNEUMO_HEARTBEAT_SECONDS"  # silence after which a process counts as lost
JOINING: Final = "PNEUMO_JOIN_SECONDS"  # how long the first waits for the last
_LOST: Final = ("Unavailable", "Aborted", "Cancelled", "DeadlineExceeded", "FailedPrecondition")
_WORDS: Final = 8 * 2**20  # int64 in one broadcast: 64 MiB

log = logging.getLogger("pneumo.trainer")


@functools.cache  # one for the process: a second one mixes up the keys of collective operations
def strategy_of(distribution: str) -> "tf.distribute.Strategy | None":
    """None for "none"; for "mirrored" a copy of the network on each accelerator of this machine.

    For "multi_worker" a copy on each accelerator of each process of TF_CONFIG; it must be asked for
    before TensorFlow has computed anything. Without accelerators "mirrored" runs on the logical
    processors, which is slower than "none" and good for tests alone.

    Raises:
      PneumoError: TF_CONFIG is wrong, TensorFlow has started already, or a process is missing.
    """
    import tensorflow as tf

    if distribution == "none":
        return None
    if distribution == "multi_worker":
        return _connected(cluster_of())
    if tf.config.list_logical_devices("GPU"):
        return tf.distribute.MirroredStrategy()
    processors = [device.name for device in tf.config.list_logical_devices("CPU")]
    return tf.distribute.MirroredStrategy(
        processors, cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


def _connected(cluster: Cluster) -> "tf.distribute.Strategy":
    """Joins the other processes.

    TensorFlow's own coordination service looks after them: a process that dies or is cut off stops
    its heartbeat, and every collective operation of the others ends with an error. Collective
    operations have no time limit of their own, so that one process may work while the rest wait.
    """
    import tensorflow as tf
    from tensorflow.python.distribute import collective_all_reduce_strategy as internals
    from tensorflow.python.eager import context

    if cluster.size > 1 and cluster.chief:
        _wait_for(cluster.addresses[1:], _milliseconds(JOINING, 600) / 1000)
    if cluster.size > 1 and context.context().coordination_service is None:
        protocol = internals.coordination_config_pb2
        context.context().configure_coordination_service(
            service_type="standalone",
            service_leader=f"/job:{cluster.jobs[0][0]}/replica:0/task:0",
            cluster_register_timeout_in_ms=_milliseconds(JOINING, 600),
            heartbeat_timeout_in_ms=_milliseconds(HEARTBEAT, 30),
            shutdown_barrier_timeout_in_ms=10_000,
            coordinated_jobs=[
                protocol.CoordinatedJob(name=job, num_tasks=count) for job, count in cluster.jobs
            ],
        )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        if "program startup" not in str(error):
            raise
        raise PneumoError("training.distribution: multi_worker needs a process in which TensorFlow "
                          "has not computed yet; start one for each rank") from None  # fmt: skip
    except tf.errors.OpError as error:
        raise PneumoError(
            f"rank {cluster.rank} of {cluster.size} cannot join the others at "
            f"{', '.join(cluster.addresses)} ({_line(error)}); start them all, and look at "
            "addresses and firewalls"
        ) from None
    if cluster.size == 1:
        log.info("TF_CONFIG names no other process: multi_worker trains on this one alone")
    return strategy


def _wait_for(addresses: Sequence[str], seconds: float) -> None:
    """Waits until each address takes connections.

    TensorFlow's chief waits without end for those that it has not heard of, and cannot be stopped.

    Raises:
      PneumoError: one does not in time.
    """
    missing, until = list(addresses), time.monotonic() + seconds
    while missing:
        missing = [address for address in missing if not listens(address)]
        if missing and time.monotonic() > until:
            raise PneumoError(
                f"the chief waited {seconds:g} s for {', '.join(missing)}; start a process of the "
                "training there, and look at addresses and firewalls"
            )
        time.sleep(0.2 if missing else 0)


def _milliseconds(variable: str, seconds: int) -> int:
    text = os.environ.get(variable, "") or str(seconds)
    if not text.isdigit() or int(text) < 1:
        raise PneumoError(f"{variable} must be a whole number of seconds from 1 on, not {text!r}")
    return int(text) * 1000


def _line(error: BaseException) -> str:
    """The line of TensorFlow's many that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for mark in ("aborted by: ", "unhealthy", ""):
        for line in lines:
            if mark in line:
                return line.rpartition("aborted by: ")[2][:200]
    return type(error).__name__


class Team:
    """The processes that train together, and what they tell each other. Alone it costs nothing.

    Attributes:
      share: of this process.
      strategy: of tf.distribute; none where training is not distributed.
    """

    def __init__(self, distribution: str = "none") -> None:
        self.share: Share = cluster_of() if distribution == "multi_worker" else ALONE
        self.strategy = strategy_of(distribution)
        self._added: dict[Any, Any] = {}  # type -> traced function

    @property
    def chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.share.chief

    @contextlib.contextmanager
    def lost_is_told(self) -> Iterator[None]:
        """Makes one line of what TensorFlow raises when another process is gone.

        Raises:
          PneumoError: another process is gone.
        """
        if self.share.size == 1:
            yield
            return
        import tensorflow as tf

        try:
            yield
        except tuple(getattr(tf.errors, f"{name}Error") for name in _LOST) as error:
            log.debug("rank %d: %s", self.share.rank, error)
            raise PneumoError(
                f"rank {self.share.rank} of {self.share.size} lost another process of the training "
                f"({_line(error)}); start all of them again: they go on from the last checkpoint"
            ) from None

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum over all processes of an array of the same shape and type; the same everywhere.

        Args:
          values: float32, float64 or int64.
        """
        if self.share.size == 1 or self.strategy is None:
            return values
        import tensorflow as tf

        strategy = self.strategy
        if values.dtype not in self._added:

            def added(value: "tf.Tensor") -> "tf.Tensor":
                context = tf.distribute.get_replica_context()
                local = len(strategy.extended.worker_devices)
                first = tf.equal(context.replica_id_in_sync_group % local, 0)
                one = tf.where(first, value, tf.zeros_like(value))
                return context.all_reduce(tf.distribute.ReduceOp.SUM, one)

            self._added[values.dtype] = tf.function(
                lambda value: strategy.run(added, (value,)),
                input_signature=[tf.TensorSpec([None], values.dtype)],
                autograph=False,
            )
        added_up = self._added[values.dtype](tf.constant(values.ravel()))
        parts = strategy.experimental_local_results(added_up)
        return np.asarray(parts[0]).reshape(values.shape)

    def tell(self, arrays: list[np.ndarray] | None, sender: int = 0) -> list[np.ndarray]:
        """What one process knows, to the last bit, to all of them.

        Args:
          arrays: of the sender; the others' are not looked at.
          sender: its rank.
        """
        if self.share.size == 1:
            assert arrays is not None
            return arrays
        mine, packed = self.share.rank == sender, np.empty(0, np.int64)
        if mine:
            assert arrays is not None
            file = io.BytesIO()
            named: dict[str, Any] = {f"a{i}": array for i, array in enumerate(arrays)}
            np.savez(file, **named)
            size = len(file.getvalue())
            packed = np.frombuffer(file.getvalue().ljust(-(-size // 8) * 8, b"\0"), np.int64)
        length = int(self.total(np.array([len(packed)], np.int64))[0])
        parts = []
        for start in range(0, length, _WORDS):
            words = min(_WORDS, length - start)
            part = packed[start : start + words] if mine else np.zeros(words, np.int64)
            parts.append(self.total(part))
        # zipfile finds the end of the archive behind the padding.
        with np.load(io.BytesIO(np.concatenate(parts).tobytes())) as stored:
            return [stored[f"a{i}"] for i in range(len(stored.files))]

    def meet(self) -> None:
        """Waits for all processes."""
        self.total(np.zeros(1, np.int64))
