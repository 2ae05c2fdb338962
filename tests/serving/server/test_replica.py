"""The batches of a replica, without Ray: the model is a stand-in for the SavedModel alone."""

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest

from serving.server.replica import Answer, Item, Replica, join, split, take


def item(rows: int, signature: str = "serving_default") -> Item:
    async def made() -> Item:
        return Item(signature, {"x": [b"%d" % i for i in range(rows)]}, rows, 0.0)

    return asyncio.run(made())


@pytest.mark.parametrize(
    "sizes, most, first",
    [
        ([1], 4, [0]),
        ([1, 1, 1], 4, [0, 1, 2]),
        ([2, 3, 1], 4, [0, 2]),
        ([9, 1], 4, [0]),
        ([1, 9, 1], 4, [0, 2]),
        ([4, 1], 4, [0]),
    ],
)
def test_take(sizes: list[int], most: int, first: list[int]) -> None:
    waiting = [item(n) for n in sizes]
    every = list(waiting)
    batch = take(waiting, most)
    assert [every.index(i) for i in batch] == first
    assert waiting == [i for i in every if i not in batch]


def test_signatures_are_not_mixed() -> None:
    waiting = [item(1), item(1, "embed"), item(1)]
    assert [i.signature for i in take(waiting, 8)] == ["serving_default"] * 2
    assert [i.signature for i in waiting] == ["embed"]


def test_join_and_split_are_inverse() -> None:
    batch = [item(2), item(1), item(3)]
    joined = join(batch)
    outputs = {"y": list(joined["x"]), "n": np.arange(6)}
    parts = list(split(outputs, batch))
    assert [part["y"] for part in parts] == [list(i.inputs["x"]) for i in batch]
    assert [part["n"].tolist() for part in parts] == [[0, 1], [2], [3, 4, 5]]
    with pytest.raises(ValueError, match="rows"):
        list(split({"y": [1]}, batch))


class Slow:
    """Answers with what it is asked, refuses "bad", keeps each batch's size."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.sizes: list[int] = []
        self.threads: set[int] = set()

    def ask(self, _: str, inputs: Any) -> dict[str, Any]:
        self.threads.add(threading.get_ident())
        self.sizes.append(len(inputs["x"]))
        time.sleep(self.seconds)
        if b"bad" in inputs["x"]:
            raise ValueError("a bad one")
        return {"y": list(inputs["x"])}


def replica(model: Slow, most: int = 8) -> Replica:
    from concurrent.futures import ThreadPoolExecutor

    made = Replica.__new__(Replica)
    made.model = model  # type: ignore[assignment]
    made.max_batch = most
    made.waiting = []
    made.more = asyncio.Event()
    made.thread = ThreadPoolExecutor(1)
    made.worker = None
    return made


def asked(of: Replica, contents: list[bytes], deadline: float = 30.0) -> Any:
    return of.predict("serving_default", {"x": contents}, len(contents), time.time() + deadline)


def test_requests_that_come_meanwhile_are_computed_together() -> None:
    model = Slow(0.05)

    async def main() -> list[Answer]:
        made = replica(model)
        return await asyncio.gather(*(asked(made, [b"%d" % i]) for i in range(9)))

    answers = asyncio.run(main())
    assert [a.outputs for a in answers] == [{"y": [b"%d" % i]} for i in range(9)]
    assert sum(model.sizes) == 9
    assert max(model.sizes) == 8
    assert len(model.threads) == 1
    assert sum(a.batch for a in answers) == 9


@pytest.mark.parametrize("most", [1, 3, 8])
def test_nobody_is_forgotten(most: int) -> None:
    """Requests of all sizes at all times: each gets its own answer."""

    async def main() -> None:
        made = replica(Slow(0.001), most)

        async def client(number: int) -> None:
            for i in range(20):
                rows = [b"%d.%d.%d" % (number, i, k) for k in range(1 + (number + i) % 5)]
                answer = await asked(made, rows)
                assert answer.outputs == {"y": rows}
                await asyncio.sleep(0.001 * (i % 3))

        async with asyncio.timeout(30):
            await asyncio.gather(*(client(n) for n in range(12)))

    asyncio.run(main())


def test_a_request_that_the_model_refuses_is_refused_alone() -> None:
    async def main() -> list[Answer]:
        made = replica(Slow(0.01))
        return await asyncio.gather(*(asked(made, [c]) for c in (b"a", b"b", b"bad", b"c")))

    first, second, bad, last = asyncio.run(main())
    assert [a.outputs for a in (first, second, last)] == [
        {"y": [b"a"]},
        {"y": [b"b"]},
        {"y": [b"c"]},
    ]
    assert bad.outputs is None
    assert bad.error == "a bad one"


def test_a_request_that_is_too_late_is_not_computed() -> None:
    model = Slow(0.1)

    async def main() -> list[Answer]:
        made = replica(model)
        first = asyncio.create_task(asked(made, [b"a"]))
        await asyncio.sleep(0.01)
        return [await asked(made, [b"b"], deadline=0.02), await first]

    late, first = asyncio.run(main())
    assert late.outputs is None
    assert "deadline" in late.error
    assert first.outputs == {"y": [b"a"]}
    assert model.sizes == [1]
