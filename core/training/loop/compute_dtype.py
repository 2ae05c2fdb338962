"""What training computes in, where the options leave it to the machine."""

from pathlib import Path
from typing import Final

INSTRUCTIONS: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # x86 twice, Arm


def resolved(compute: str) -> str:
    """float32 or bfloat16, of the chief's machine for all who train together.

    By name and not by the clock, unlike the Embedder's "auto": a clock may say another thing when
    a run that was killed goes on, and the same seed would no longer give the same numbers.

    Args:
      compute: float32, bfloat16, or auto (bfloat16 where there are instructions for it).
    """
    if compute != "auto":
        return compute
    return "bfloat16" if bfloat16_is_native() else "float32"


def bfloat16_is_native() -> bool:
    """Whether the accelerators, or without them the processor, have instructions for bfloat16."""
    import tensorflow as tf

    if tf.config.list_physical_devices("TPU"):
        return True
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        # NVIDIA's since Ampere, 8.0; earlier ones compute it by way of float32.
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(of.get("compute_capability", (0, 0)) >= (8, 0) for of in details)
    file = Path("/proc/cpuinfo")
    return file.is_file() and cpuinfo_has_bfloat16(file.read_text())


def cpuinfo_has_bfloat16(text: str) -> bool:
    """Whether Linux names instructions for bfloat16 for every processor it lists."""
    lists = [
        set(value.split())
        for name, _, value in (line.partition(":") for line in text.splitlines())
        if name.strip() in ("flags", "Features")
    ]
    return bool(lists) and all(flags & INSTRUCTIONS for flags in lists)
