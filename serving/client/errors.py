"""Errors of the client."""

from schema.errors import PneumoError

# HTTP status -> gRPC status code.
HTTP_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "TOO_LARGE",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# Transient errors. A deadline is not one of them: the server may still be computing.
RETRIED = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED"})
# Errors that a single image of the request may have caused.
CONTENT_ERRORS = frozenset({"INVALID_ARGUMENT", "TOO_LARGE"})

_ADVICE = {
    "UNAVAILABLE": "check the address and that the server is running",
    "RESOURCE_EXHAUSTED": "the server is overloaded; lower the concurrency or retry later",
    "NOT_FOUND": "check the model name",
    "DEADLINE_EXCEEDED": "raise the timeout or send fewer images at once",
    "UNIMPLEMENTED": "this server does not implement TensorFlow Serving's API",
}


class ClientError(PneumoError):
    """A request failed; the message names endpoint, code, reason and remedy in one line.

    Attributes:
      endpoint: address of the server.
      code: name of a gRPC status code (for REST, derived from the HTTP status), or TOO_LARGE (the
        request exceeds a limit of the server), TLS, BAD_ADDRESS, BAD_ANSWER (invalid response).
      reason: message of the server.
      retry_after: seconds to wait before the next attempt, as requested by the server.
    """

    def __init__(self, endpoint: str, code: str, reason: str, retry_after: float = 0.0) -> None:
        self.endpoint = endpoint
        self.code = code
        self.reason = " ".join(reason.split())[:300]
        self.retry_after = retry_after
        advice = f"; {_ADVICE[code]}" if code in _ADVICE else ""
        super().__init__(f"{endpoint}: {code}: {self.reason}{advice}")
