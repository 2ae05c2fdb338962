"""The batching queue, with a function in place of the model."""

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest

from serving.server import batching
from serving.server.batching import Batcher, Outputs
from serving.server.errors import ServeError
from tests.serving.server.fakes import run


class Echo:
    """Returns its rows; raises on b"bad"; records the batches."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[tuple[str, list[bytes]]] = []
        self.threads: set[int] = set()

    def __call__(self, signature: str, rows: list[bytes]) -> Outputs:
        self.threads.add(threading.get_ident())
        self.batches.append((signature, rows))
        time.sleep(self.seconds)
        if b"bad" in rows:
            raise ValueError("invalid row")
        return {"y": np.array(rows, object), "n": np.arange(len(rows))}


async def predict(batcher: Batcher, *rows: bytes, signature: str = "serving_default") -> list:
    outputs, _ = await batcher.predict(signature, list(rows))
    return list(outputs["y"])


@pytest.mark.parametrize(
    "sizes, max_batch, batches",
    [
        ([1], 4, [1]),
        ([1, 1, 1], 4, [1, 2]),  # the first is computed immediately, the others wait meanwhile
        ([1, 2, 3, 1], 4, [1, 3, 3]),
        ([1, 9, 1], 4, [1, 9, 1]),
        ([1, 4, 1], 4, [1, 4, 1]),
    ],
)
def test_batches_have_at_most_max_batch_rows(
    sizes: list[int], max_batch: int, batches: list[int]
) -> None:
    model = Echo(0.02)

    async def main() -> None:
        batcher = Batcher(model, max_batch)
        first = asyncio.create_task(predict(batcher, *[b"0"] * sizes[0]))
        await asyncio.sleep(0.01)
        await asyncio.gather(first, *(predict(batcher, *[b"x"] * n) for n in sizes[1:]))

    run(main())
    assert [len(rows) for _, rows in model.batches] == batches


def test_signatures_are_not_mixed() -> None:
    model = Echo(0.02)

    async def main() -> None:
        batcher = Batcher(model, 8)
        names = ["a", "a", "b", "a"]
        await asyncio.gather(*(predict(batcher, n.encode(), signature=n) for n in names))

    run(main())
    assert all({name.encode()} == set(rows) for name, rows in model.batches)
    assert sum(len(rows) for _, rows in model.batches) == 4


@pytest.mark.parametrize("max_batch", [1, 3, 8])
def test_each_request_gets_its_own_rows(max_batch: int) -> None:
    model = Echo(0.001)

    async def client(batcher: Batcher, number: int) -> None:
        for i in range(20):
            rows = [b"%d.%d.%d" % (number, i, k) for k in range(1 + (number + i) % 5)]
            assert await predict(batcher, *rows) == rows
            await asyncio.sleep(0.001 * (i % 3))

    async def main() -> None:
        batcher = Batcher(model, max_batch)
        await asyncio.gather(*(client(batcher, n) for n in range(12)))

    run(main())
    assert len(model.threads) == 1
    assert max(len(rows) for _, rows in model.batches) <= max(max_batch, 5)


def test_a_failing_request_does_not_affect_others() -> None:
    async def main() -> list[Any]:
        batcher = Batcher(Echo(0.01), 8)
        calls = (predict(batcher, content) for content in (b"a", b"b", b"bad", b"c"))
        return await asyncio.gather(*calls, return_exceptions=True)

    a, b, bad, c = run(main())
    assert (a, b, c) == ([b"a"], [b"b"], [b"c"])
    assert isinstance(bad, ServeError)
    assert (bad.http, bad.message) == (400, "invalid row")


def test_wrong_number_of_output_rows() -> None:
    async def main() -> Any:
        return await Batcher(lambda _, rows: {"y": np.zeros(len(rows) + 1)}, 8).predict("s", [b"a"])

    with pytest.raises(ServeError, match="2 rows for 1 inputs"):
        run(main())


def test_a_cancelled_request_is_not_computed() -> None:
    model = Echo(0.05)

    async def main() -> None:
        batcher = Batcher(model, 8)
        first = asyncio.create_task(predict(batcher, b"a"))
        await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await predict(batcher, b"late")
        assert await first == [b"a"]
        assert await predict(batcher, b"b") == [b"b"]

    run(main())
    assert [rows for _, rows in model.batches] == [[b"a"], [b"b"]]


def test_a_single_client_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_WAIT_SHARE", 1e6)
    monkeypatch.setattr(batching, "_MAX_WAIT", 5.0)

    async def main() -> float:
        batcher = Batcher(Echo(0.001), 8)
        started = time.monotonic()
        for _ in range(3):
            await predict(batcher, b"a")
        return time.monotonic() - started

    assert run(main()) < 5.0
