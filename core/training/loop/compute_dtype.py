"""Compute type of training: resolves `auto` to float32 or bfloat16."""

from pathlib import Path
from typing import Final

BFLOAT16_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # x86, x86, Arm


def resolve_compute_dtype(compute: str) -> str:
    """Resolves `auto` to float32 or bfloat16.

    Decided by processor features, not by timing as in the Embedder: a timing could change when a
    killed run resumes, and the same seed would give different results.

    Args:
      compute: float32, bfloat16, or auto (bfloat16 if the hardware has instructions for it).
    """
    if compute != "auto":
        return compute
    return "bfloat16" if bfloat16_is_native() else "float32"


def bfloat16_is_native() -> bool:
    """Returns whether the accelerators, or else the processor, have bfloat16 instructions."""
    import tensorflow as tf

    if tf.config.list_physical_devices("TPU"):
        return True
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        # NVIDIA GPUs since Ampere (8.0); earlier ones emulate it in float32.
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(gpu.get("compute_capability", (0, 0)) >= (8, 0) for gpu in details)
    file = Path("/proc/cpuinfo")
    return file.is_file() and cpuinfo_has_bfloat16(file.read_text())


def cpuinfo_has_bfloat16(text: str) -> bool:
    """Returns whether every processor in the text of /proc/cpuinfo has bfloat16 instructions."""
    processors = [
        set(value.split())
        for name, _, value in (line.partition(":") for line in text.splitlines())
        if name.strip() in ("flags", "Features")
    ]
    return bool(processors) and all(flags & BFLOAT16_FLAGS for flags in processors)
