"""Every error that serving raises, drawn once.

    SluiceError
    ├── StartupError            the process must not start; the text says what to change
    │   ├── SettingsError
    │   └── ProviderError
    ├── KeysError               a file of API keys is wrong; no process starts on it, a running one keeps its keys
    ├── PackageError            one model package is refused; the others are served
    ├── ItemError               one text of a request has no answer; the others have
    │   ├── EmptyText, NoUsableText, TextTooLong
    │   ├── UnsupportedLanguage, AmbiguousModel
    │   └── SummaryError        of summaries alone: OptionOutOfBounds
    ├── LineError               one line of a bulk stream holds no text: MalformedLine, InvalidLine, LineTooLong
    └── RequestError            a whole request is refused: HTTP status and stable code
        ├── Unauthorized, Forbidden
        ├── MalformedHttp, MalformedEncoding, MalformedJson
        ├── InvalidRequest, InvalidInference, NotFinite, UnsupportedMediaType
        ├── RouteNotFound, MethodNotAllowed, ModelNotFound
        ├── ChangeRefused
        ├── HeadTooSlow, HeadersTooLarge, BodyTooSlow, BodyTooLarge, TooManyItems, ItemsFailed, StreamIdle
        ├── QueueFull, WaitTooLong, RateLimited, TooManyConnections, NotReady, Draining, ModelUnavailable
        └── DeadlineExceeded, InferenceFailed, InferenceHung, InternalError

Foreign exceptions are translated into one of these where they enter, with ``raise ... from``.
"""

from collections.abc import Sequence
from typing import ClassVar


class SluiceError(Exception):
    """The root: whatever serving raises on purpose."""


class StartupError(SluiceError):
    """The process must not start."""


class SettingsError(StartupError):
    """A setting is wrong; the text names its key, its value and the form expected."""


class ProviderError(StartupError):
    """The execution provider that was asked for is not installed."""


class KeysError(SluiceError):
    """A file of API keys is wrong; the text names the file, the key and the field, and never what may be a key."""


class PackageError(SluiceError):
    """A model package is refused.

    The text names the file (relative to the package), the value found and what was expected.
    """

    def __init__(self, file: str, found: str, expected: str) -> None:
        self.file = file
        self.found = found
        self.expected = expected
        super().__init__(f"{file}: {found}; expected {expected}")


class ItemError(SluiceError):
    """One text of a request cannot be answered; its neighbours can."""

    code: ClassVar[str]


class EmptyText(ItemError):
    """Nothing, or white space alone."""

    code = "empty_text"


class NoUsableText(ItemError):
    """Text of which the model knows no token at all."""

    code = "no_usable_text"


class TextTooLong(ItemError):
    """More characters than the service accepts in one text."""

    code = "text_too_long"


class UnsupportedLanguage(ItemError):
    """A language that no loaded package of the task serves."""

    code = "unsupported_language"


class AmbiguousModel(ItemError):
    """Several packages would answer, none of them is the default, and the caller named none."""

    code = "ambiguous_model"


class SummaryError(ItemError):
    """What only a text that is to be summarized can meet."""


class OptionOutOfBounds(SummaryError):
    """An option that the package which would answer does not allow; the text names option, value and bounds."""

    code = "option_out_of_bounds"


class LineError(SluiceError):
    """One line of a bulk stream holds no text; the lines around it do."""

    code: ClassVar[str]


class MalformedLine(LineError):
    """A line that is not JSON."""

    code = "malformed_line"


class InvalidLine(LineError):
    """JSON, and neither a text nor an object with one."""

    code = "invalid_line"


class LineTooLong(LineError):
    """More bytes than the service accepts in one line."""

    code = "line_too_long"


class RequestError(SluiceError):
    """A whole request is refused, with an HTTP status and a code that never changes."""

    status: ClassVar[int]
    code: str
    retry_after_s: int | None = None
    closes: ClassVar[bool] = False
    """Whether the connection ends with the answer, since what else comes on it can or shall not be read."""


class MalformedJson(RequestError):
    """The body is not JSON."""

    status, code = 400, "malformed_json"


class Unauthorized(RequestError):
    """No key, or none that holds; the text is the same whichever it is."""

    status, code = 401, "unauthorized"

    def __init__(self) -> None:
        super().__init__("this route needs an API key that holds; expected Authorization: Bearer, or X-API-Key")


class Forbidden(RequestError):
    """The key holds and does not open this route."""

    status, code = 403, "forbidden"


class MalformedHttp(RequestError):
    """What came is no HTTP request."""

    status, code = 400, "malformed_http"
    closes = True


class MalformedEncoding(RequestError):
    """The body is not packed as its Content-Encoding says."""

    status, code = 400, "malformed_encoding"


class InvalidInference(RequestError):
    """An inference request whose form, names, datatypes, shapes or values its model does not take."""

    status, code = 400, "invalid_inference"


class RouteNotFound(RequestError):
    """No such path."""

    status, code = 404, "route_not_found"


class MethodNotAllowed(RequestError):
    """The path exists, the method does not."""

    status, code = 405, "method_not_allowed"


class ModelNotFound(RequestError):
    """No package of that name, version or task."""

    status, code = 404, "model_not_found"


class BodyTooSlow(RequestError):
    """The body did not come in the time that a body may take."""

    status, code = 408, "body_too_slow"
    closes = True


class HeadTooSlow(RequestError):
    """The request's line and headers did not come in the time that they may take."""

    status, code = 408, "head_too_slow"
    closes = True


class StreamIdle(RequestError):
    """The client neither sent nor read for longer than a bulk stream may rest."""

    status, code = 408, "stream_idle"


class ChangeRefused(RequestError):
    """A change of what is served that cannot be made; nothing was changed, in any process."""

    status, code = 409, "change_refused"


class BodyTooLarge(RequestError):
    """The body has more bytes than the service accepts."""

    status, code = 413, "body_too_large"
    closes = True


class TooManyItems(RequestError):
    """More texts in one request than the service accepts."""

    status, code = 413, "too_many_items"


class UnsupportedMediaType(RequestError):
    """The body's content type or encoding is not one the service reads."""

    status, code = 415, "unsupported_media_type"


class InvalidRequest(RequestError):
    """JSON of the wrong form; the text names the field."""

    status, code = 422, "invalid_request"


class ItemsFailed(InvalidRequest):
    """Texts have no answer, and the answer that was asked for has no place to say so; the code is the first one's."""

    def __init__(self, failures: Sequence[tuple[int, ItemError]]) -> None:
        """``failures``: each text's place and error, at least one."""
        index, error = failures[0]
        self.code = error.code
        others = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        super().__init__(f"text.{index}: {error}{others}")


class NotFinite(RequestError):
    """An output has infinite numbers, or such as are none, for which JSON has no form."""

    status, code = 422, "not_finite"


class QueueFull(RequestError):
    """So much work is waiting that more would only time out."""

    status, code = 429, "queue_full"
    retry_after_s = 1


class HeadersTooLarge(RequestError):
    """More or longer headers than the service reads."""

    status, code = 431, "headers_too_large"
    closes = True


class RateLimited(RequestError):
    """The key has asked for as much as it may for now; without ``retry_after_s`` where it never may."""

    status, code = 429, "rate_limited"


class WaitTooLong(RequestError):
    """What waits would keep this request longer than it may wait; the text says how long."""

    status, code = 429, "wait_too_long"
    retry_after_s = 1


class InferenceFailed(RequestError):
    """The model's graph raised while it ran."""

    status, code = 500, "inference_failed"


class InferenceHung(RequestError):
    """The model's graph did not come to an end; its thread and its session are replaced."""

    status, code = 500, "inference_hung"


class InternalError(RequestError):
    """A fault of the service; the log has the trace under the request's id."""

    status, code = 500, "internal_error"


class NotReady(RequestError):
    """Packages are still being opened and warmed up."""

    status, code = 503, "not_ready"
    retry_after_s = 1


class TooManyConnections(RequestError):
    """As many connections as the process takes are busy."""

    status, code = 503, "too_many_connections"
    closes = True
    retry_after_s = 1


class Draining(RequestError):
    """The process is about to stop and takes no new work."""

    status, code = 503, "draining"
    retry_after_s = 1


class ModelUnavailable(RequestError):
    """The package is there but is not open: it was refused, or unloaded; the listing says why."""

    status, code = 503, "model_unavailable"


class DeadlineExceeded(RequestError):
    """The answer was not ready in the time that a request may take."""

    status, code = 504, "deadline_exceeded"
