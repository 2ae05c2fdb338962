import pytest

from core.training.loop.compute_dtype import (
    bfloat16_is_native,
    cpuinfo_has_bfloat16,
    resolve_compute_dtype,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("processor\t: 0\nmodel name\t: of no flags\n", False),
        ("flags\t\t: fpu sse2 avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu amx_bf16\nflags\t\t: fpu amx_bf16\n", True),
        ("flags\t\t: fpu amx_bf16\nflags\t\t: fpu\n", False),  # one of the two processors lacks it
        ("Features\t: fp asimd bf16\n", True),  # Arm
        ("flags\t\t: avx512_bf16x\n", False),  # whole words only
        ("bugs\t\t: avx512_bf16\n", False),
    ],
)
def test_bfloat16_flags_of_cpuinfo(text: str, expected: bool) -> None:
    assert cpuinfo_has_bfloat16(text) is expected


def test_resolve_compute_dtype() -> None:
    assert resolve_compute_dtype("auto") == ("bfloat16" if bfloat16_is_native() else "float32")
    assert [resolve_compute_dtype(name) for name in ("float32", "bfloat16")] == [
        "float32",
        "bfloat16",
    ]
