"""Client transport for TensorFlow Serving's REST API."""

import base64
import json
from array import array
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from serving.client.errors import HTTP_CODES, ClientError

# A larger body does not come from a model server.
_MAX_RESPONSE = 256 << 20


class RestTransport:
    """REST connections to one server; thread-safe.

    Args:
      endpoint: http:// or https:// address, optionally with a path before /v1.
      name: model name.
      timeout: seconds per request.
      connections: maximum number of open connections.
      headers: sent with each request.
      ca_file: PEM file of trusted certificates; None for those of the system.
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
        """Returns the outputs of each image by name."""
        instances = [{"b64": base64.b64encode(image).decode("ascii")} for image in images]
        body = json.dumps({"signature_name": signature, "instances": instances}).encode("ascii")
        response = self._request("POST", f"{self._model}:predict", body)
        rows = response.get("predictions")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._invalid("no rows named predictions")
        return [{name: _to_float32(value) for name, value in row.items()} for row in rows]

    def status(self) -> dict[int, str]:
        """Returns version -> state."""
        response = self._request("GET", self._model)
        try:
            return {int(v["version"]): v["state"] for v in response["model_version_status"]}
        except (KeyError, TypeError, ValueError) as error:
            raise self._invalid("no model_version_status") from error

    def signatures(self) -> dict[str, list[str]]:
        """Returns signature -> names of its outputs."""
        response = self._request("GET", f"{self._model}/metadata")
        try:
            definitions = response["metadata"]["signature_def"]["signature_def"]
            return {name: sorted(item["outputs"]) for name, item in definitions.items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise self._invalid("no signature_def") from error

    def close(self) -> None:
        """Closes the connections."""
        self._pool.clear()

    def _request(self, method: str, url: str, body: bytes | None = None) -> dict[str, Any]:
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
            content = response.read(_MAX_RESPONSE + 1)
            response.release_conn()
        except urllib3.exceptions.SSLError as error:
            raise ClientError(self.endpoint, "TLS", str(error)) from error
        except urllib3.exceptions.ReadTimeoutError as error:
            raise ClientError(self.endpoint, "DEADLINE_EXCEEDED", "no response in time") from error
        except urllib3.exceptions.LocationParseError as error:
            raise ClientError(self.endpoint, "BAD_ADDRESS", str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            # Connection refused or reset, unknown host, truncated response.
            raise ClientError(self.endpoint, "UNAVAILABLE", _reason(error)) from error
        if len(content) > _MAX_RESPONSE:
            raise self._invalid("the response is too large")
        return self._parse(response, content)

    def _parse(self, response: Any, content: bytes) -> dict[str, Any]:
        try:
            parsed = json.loads(content)
        except ValueError:
            parsed = None
        if response.status == 200:
            if not isinstance(parsed, dict):
                raise self._invalid("the response is not a JSON object")
            return parsed
        message = parsed.get("error") if isinstance(parsed, dict) else None
        code = HTTP_CODES.get(response.status, "INTERNAL" if response.status >= 500 else "UNKNOWN")
        wait = response.headers.get("retry-after", "")
        raise ClientError(
            self.endpoint,
            code,
            f"HTTP {response.status}: {message or response.reason or 'no reason given'}",
            retry_after=min(float(wait), 60.0) if wait.isdecimal() else 0.0,
        )

    def _invalid(self, reason: str) -> ClientError:
        return ClientError(
            self.endpoint, "BAD_ANSWER", f"{reason}; check that this is a model server"
        )


def _to_float32(value: Any) -> Any:
    """Rounds floats to float32, so that REST and gRPC give equal numbers."""
    if isinstance(value, float):
        return array("f", [value])[0]
    if isinstance(value, list):
        return [_to_float32(part) for part in value]
    return value


def _reason(error: Exception) -> str:
    # urllib3 writes the representation of its objects before the reason.
    return str(error).rpartition(">: ")[2] or type(error).__name__
