"""Limits, deadline and metrics of the endpoint, with a model in place of TensorFlow."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

from serving.server.endpoint import Endpoint
from serving.server.errors import ServeError
from serving.server.inputs_log import InputsLog
from serving.server.metrics import ServerMetrics
from serving.server.options import ServerOptions
from tests.serving.server.fakes import FakeModel, make_version, manager, run, settle


async def start(folder: Path, log: InputsLog | None = None, **settings: Any) -> Endpoint:
    make_version(folder, 1)
    models, _ = manager(folder)
    await settle(models)
    return Endpoint(ServerOptions(folder, **settings), models, ServerMetrics(models), log)


def model_of(endpoint: Endpoint) -> FakeModel:
    model = endpoint.models.versions[1].model
    assert isinstance(model, FakeModel)
    return model


async def predict(endpoint: Endpoint, rows: int = 1, seconds: float = 0) -> Any:
    with endpoint.observe("rest", "predict"):
        async with endpoint.admit(endpoint.models.name, None) as used:
            return await endpoint.predict(used, "serving_default", [b"x"] * rows, seconds)


def count(endpoint: Endpoint, name: str, **labels: str) -> float:
    return endpoint.metrics.registry.get_sample_value(name, labels) or 0.0


def test_requests_are_counted_by_status_code(tmp_path: Path) -> None:
    async def main() -> None:
        endpoint = await start(tmp_path, max_images=3)
        assert len((await predict(endpoint, rows=3))["score"]) == 3
        for rows in (0, 4):
            with pytest.raises(ServeError, match="1 to 3 rows") as caught:
                await predict(endpoint, rows)
            assert caught.value.code is StatusCode.INVALID_ARGUMENT
        for code, expected in (("OK", 1), ("INVALID_ARGUMENT", 2)):
            labels = {"protocol": "rest", "method": "predict", "code": code}
            assert count(endpoint, "pneumo_requests_total", **labels) == expected
        images = {"decision": "POSITIVE", "status": "OK"}
        assert count(endpoint, "pneumo_images_total", **images) == 3
        assert count(endpoint, "pneumo_batch_images_sum") == 3
        assert count(endpoint, "pneumo_model_version") == 1

    run(main())


@pytest.mark.parametrize("server, client", [(0.05, 0), (30.0, 0.05), (0.05, 30.0)])
def test_shorter_deadline_applies(tmp_path: Path, server: float, client: float) -> None:
    async def main() -> None:
        endpoint = await start(tmp_path, deadline=server)
        model_of(endpoint).gate.clear()
        with pytest.raises(ServeError, match=r"within 0.05 seconds") as caught:
            await predict(endpoint, seconds=client)
        assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
        assert endpoint.models.versions[1].requests == 0
        assert model_of(endpoint).calls == 1  # never repeated

    run(main())


def test_max_requests(tmp_path: Path) -> None:
    async def main() -> None:
        endpoint = await start(tmp_path, max_requests=2)
        gate = model_of(endpoint).gate
        gate.clear()
        active = [asyncio.create_task(predict(endpoint)) for _ in range(2)]
        await asyncio.sleep(0.01)
        assert count(endpoint, "pneumo_under_way") == 2
        with pytest.raises(ServeError) as caught:
            await predict(endpoint)
        assert caught.value.code is StatusCode.UNAVAILABLE
        gate.set()
        await asyncio.gather(*active)
        assert count(endpoint, "pneumo_under_way") == 0
        assert await predict(endpoint)

    run(main())


def test_inputs_are_logged(tmp_path: Path) -> None:
    async def main() -> None:
        log = InputsLog(ServerOptions(tmp_path, log_inputs=tmp_path / "log.jsonl"), lambda: None)
        endpoint = await start(tmp_path / "models", log)
        await predict(endpoint, rows=2)
        log.close()

    run(main())
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    logged = [(line["version"], line["score"], line["decision"], line["status"]) for line in lines]
    assert logged == [("1", 1.0, "POSITIVE", "OK")] * 2
