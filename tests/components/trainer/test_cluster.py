import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.trainer.cluster import Share, cluster_of
from schema.errors import PneumoError

TWO = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}


def config(cluster: Any, kind: str = "worker", index: Any = 0) -> str:
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("text", "rank", "size"),
    [
        ("", 0, 1),
        ("{}", 0, 1),
        (config({}), 0, 1),
        (config({"worker": ["a:1"]}), 0, 1),
        (config({"worker": ["a:1", "b:1"]}, index=1), 1, 2),
        (config(TWO, "chief"), 0, 3),
        (config(TWO, "worker", 0), 1, 3),
        (config(TWO, "worker", "1"), 2, 3),  # Vertex AI has been seen to write a text
        (config({**TWO, "evaluator": ["e:1"]}, "worker", 1), 2, 3),
    ],
)
def test_ranks_are_those_of_tensorflow(text: str, rank: int, size: int) -> None:
    found = cluster_of(text)
    assert (found.rank, found.size) == (rank, size)
    assert found.chief == (rank == 0)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "is not a JSON object"),
        ("[]", "is not a JSON object"),
        ('{"cluster": {"worker": ["a:1"]}}', "has no task of its cluster"),
        (config(TWO, "worker", 2), "has no worker 2; its cluster has 2"),
        (config(TWO, "worker", -1), "has no worker -1"),
        (config(TWO, "master"), "has no task of its cluster: type is 'master'"),
        (config({**TWO, "ps": ["p:1"]}, "ps"), "which has no part in multi_worker"),
        (config({"workers": ["a:1"]}), "names a job 'workers'"),
        (config({"worker": ["a:1", "a:1"]}), "the same address"),
    ],
)
def test_what_is_wrong_is_one_line(text: str, line: str) -> None:
    with pytest.raises(PneumoError, match=r"^TF_CONFIG ") as raised:
        cluster_of(text)
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


@given(n=st.integers(0, 1000), size=st.integers(1, 70))
def test_shares_are_all_of_it_and_nothing_twice(n: int, size: int) -> None:
    parts = [list(range(n))[Share(rank, size).part(n)] for rank in range(size)]
    assert [i for part in parts for i in part] == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
