"""The one error of the client."""

from schema.errors import PneumoError

# HTTP status -> the code that gRPC has for it.
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
# What a later try may heal. A deadline is not among them: the server may still be at work.
RETRIED = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED"})
# What is the fault of one image in the request, perhaps, and not of the request itself.
OF_CONTENT = frozenset({"INVALID_ARGUMENT", "TOO_LARGE"})

_ADVICE = {
    "UNAVAILABLE": "check that the server runs and the address is right",
    "RESOURCE_EXHAUSTED": "the server is overloaded; ask with less concurrency, or later",
    "NOT_FOUND": "check the model's name",
    "DEADLINE_EXCEEDED": "give it more time, or send fewer images at once",
    "UNIMPLEMENTED": "this is not a server of TF Serving's contract",
}


class ClientError(PneumoError):
    """Why an endpoint gave no answer, as one line: where, what, and what to do.

    Attributes:
      endpoint: address that was asked.
      code: a name of gRPC's status codes (for REST the one that the HTTP status stands for), or
        TOO_LARGE (a request above the server's limit), TLS, BAD_ADDRESS, BAD_ANSWER.
      reason: the server's own words.
      retry_after: seconds that the server asks to wait before the next try.
    """

    def __init__(self, endpoint: str, code: str, reason: str, retry_after: float = 0.0) -> None:
        self.endpoint = endpoint
        self.code = code
        self.reason = " ".join(reason.split())[:300]
        self.retry_after = retry_after
        advice = f"; {_ADVICE[code]}" if code in _ADVICE else ""
        super().__init__(f"{endpoint}: {code}: {self.reason}{advice}")
