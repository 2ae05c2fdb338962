"""Errors of the server: gRPC status code, message and TensorFlow Serving's HTTP status."""

from grpc import StatusCode

_HTTP = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class ServeError(Exception):
    """A request that failed.

    Attributes:
      code: gRPC status code.
      message: sent to the client; contains no local path.
      http: HTTP status.
    """

    def __init__(self, code: StatusCode, message: str, http: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message = code, message[:500]
        self.http = http or _HTTP.get(code.name, 500)


def invalid(message: str, http: int | None = None) -> ServeError:
    """Returns an INVALID_ARGUMENT error."""
    return ServeError(StatusCode.INVALID_ARGUMENT, message, http)
