"""The error of the server: a gRPC status code, a message, and TF Serving's HTTP status for it."""

from grpc import StatusCode

_HTTP = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class ServeError(Exception):
    """A request that is not answered.

    Attributes:
      code: gRPC status code.
      message: for the client; contains no path of this machine.
      http: HTTP status.
    """

    def __init__(self, code: StatusCode, message: str, http: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message = code, message[:500]
        self.http = http or _HTTP.get(code.name, 500)


def invalid(message: str, http: int | None = None) -> ServeError:
    """An INVALID_ARGUMENT error."""
    return ServeError(StatusCode.INVALID_ARGUMENT, message, http)
