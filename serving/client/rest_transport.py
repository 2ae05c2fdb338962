"""TF Serving's REST interface."""

import base64
import json
from array import array
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from serving.client.errors import HTTP_CODES, ClientError

# An answer is numbers: a larger body is no answer of a model server.
_MAX_ANSWER = 256 << 20


class RestTransport:
    """Speaks REST with one server; safe in many threads.

    Args:
      endpoint: http:// or https:// address, perhaps with a path before /v1.
      name: of the model.
      timeout: seconds for one answer.
      connections: kept open at most.
      headers: sent with each request.
      ca_file: certificates to trust for https, PEM; None means the system's.
    """

    def __init__(
        self,
        endpoint: str,
        name: str,
        timeout: float,
        connections: int,
        headers: dict[str, str],
        ca_file: str | None,
    ) -> None:
        import urllib3

        self.endpoint = endpoint
        self._model = f"{endpoint.rstrip('/')}/v1/models/{quote(name, safe='')}"
        trust: dict[str, Any] = {"ca_certs": ca_file} if ca_file else {}
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            timeout=urllib3.Timeout(connect=min(timeout, 10.0), read=timeout),
            retries=False,
            headers=headers,
            **trust,
        )

    def predict(self, signature: str, images: Sequence[bytes]) -> list[dict[str, Any]]:
        """One row of outputs for each image."""
        instances = [{"b64": base64.b64encode(image).decode("ascii")} for image in images]
        body = json.dumps({"signature_name": signature, "instances": instances}).encode("ascii")
        answer = self._ask("POST", f"{self._model}:predict", body)
        rows = answer.get("predictions")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._bad("no rows named predictions")
        return [{name: _single(value) for name, value in row.items()} for row in rows]

    def status(self) -> dict[int, str]:
        """Version -> state."""
        answer = self._ask("GET", self._model)
        try:
            return {int(v["version"]): v["state"] for v in answer["model_version_status"]}
        except (KeyError, TypeError, ValueError) as error:
            raise self._bad("no model_version_status") from error

    def signatures(self) -> dict[str, list[str]]:
        """Signature -> names of its outputs."""
        answer = self._ask("GET", f"{self._model}/metadata")
        try:
            found = answer["metadata"]["signature_def"]["signature_def"]
            return {name: sorted(facts["outputs"]) for name, facts in found.items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise self._bad("no signature_def") from error

    def close(self) -> None:
        """Closes the connections."""
        self._pool.clear()

    def _ask(self, method: str, url: str, body: bytes | None = None) -> dict[str, Any]:
        import urllib3

        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers={**self._pool.headers, "content-type": "application/json"},
                redirect=False,
                preload_content=False,
            )
            content = response.read(_MAX_ANSWER + 1)
            response.release_conn()
        except urllib3.exceptions.SSLError as error:
            raise ClientError(self.endpoint, "TLS", str(error)) from error
        except urllib3.exceptions.ReadTimeoutError as error:
            raise ClientError(self.endpoint, "DEADLINE_EXCEEDED", "no answer in time") from error
        except urllib3.exceptions.LocationParseError as error:
            raise ClientError(self.endpoint, "BAD_ADDRESS", str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            # Refused, reset, unknown host, cut off while answering.
            raise ClientError(self.endpoint, "UNAVAILABLE", _plain(error)) from error
        if len(content) > _MAX_ANSWER:
            raise self._bad("the answer has no end")
        return self._parse(response, content)

    def _parse(self, response: Any, content: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if response.status == 200:
            if not isinstance(answer, dict):
                raise self._bad("the answer is not JSON")
            return answer
        told = answer.get("error") if isinstance(answer, dict) else None
        code = HTTP_CODES.get(response.status, "INTERNAL" if response.status >= 500 else "UNKNOWN")
        wait = response.headers.get("retry-after", "")
        raise ClientError(
            self.endpoint,
            code,
            f"HTTP {response.status}: {told or response.reason or 'no reason given'}",
            retry_after=min(float(wait), 60.0) if wait.isdecimal() else 0.0,
        )

    def _bad(self, what: str) -> ClientError:
        return ClientError(self.endpoint, "BAD_ANSWER", f"{what}; is this a model server?")


def _single(value: Any) -> Any:
    """Rounds to float32, which the decimals of JSON stand for: then REST equals gRPC bit by bit."""
    if isinstance(value, float):
        return array("f", [value])[0]
    if isinstance(value, list):
        return [_single(part) for part in value]
    return value


def _plain(error: Exception) -> str:
    # urllib3 puts the representation of its objects before the reason.
    return str(error).rpartition(">: ")[2] or type(error).__name__
