import pytest

from components.endpoint_validator.choice import choose, docker_has_image


@pytest.mark.parametrize(
    ("wanted", "docker", "cluster", "serve", "chosen"),
    [
        ("auto", True, True, True, "docker"),
        ("auto", False, True, True, "kubernetes"),
        ("auto", False, False, True, "endpoint"),
        ("auto", False, False, False, "savedmodel"),
        ("none", True, True, True, "none"),
        ("endpoint", True, False, False, "endpoint"),
    ],
)
def test_the_nearest_to_production_is_chosen(
    wanted: str, docker: bool, cluster: bool, serve: bool, chosen: str
) -> None:
    assert choose(wanted, lambda: docker, lambda: cluster, lambda: serve) == chosen


def test_an_engine_that_does_not_answer_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    assert docker_has_image() is False
