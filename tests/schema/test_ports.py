import os

import pytest
import requests.utils

from schema.ports import bypass_proxy_for_loopback

GRPC = "no_grpc_proxy"
ALL = "localhost,127.0.0.1,::1"


@pytest.mark.parametrize(
    ("variables", "expected", "grpc"),
    [
        ({}, ALL, ALL),
        ({"no_proxy": ""}, ALL, ALL),
        (
            {"no_proxy": "pacs.example, .ward.example"},
            f"pacs.example,.ward.example,{ALL}",
            f"pacs.example,.ward.example,{ALL}",
        ),
        ({"NO_PROXY": "pacs.example"}, f"pacs.example,{ALL}", f"pacs.example,{ALL}"),
        ({"no_proxy": "127.0.0.1"}, ALL, ALL),
        ({"no_proxy": "*"}, "*", ALL),
        ({GRPC: "far.example"}, ALL, f"far.example,{ALL}"),
    ],
)
def test_loopback_is_added_to_the_exceptions(
    variables: dict[str, str], expected: str, grpc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", GRPC):
        monkeypatch.setenv(name, "")  # so that monkeypatch restores it
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):  # the second call changes nothing
        bypass_proxy_for_loopback()
        assert os.environ["no_proxy"] == expected
        assert os.environ["NO_PROXY"] == (expected if expected != "*" else "")
        assert os.environ[GRPC] == grpc
    assert not requests.utils.get_environ_proxies("http://127.0.0.1:8501/v1")
    assert not requests.utils.get_environ_proxies("http://localhost:8501/v1")
    if expected != "*":
        assert requests.utils.get_environ_proxies("http://elsewhere.example/")
