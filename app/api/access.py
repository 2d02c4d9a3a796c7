"""Who may ask for what: each route's scope, and the keys that open it. A path without a scope is not served."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Literal

import structlog
from starlette.types import Scope

from app.api.trace import Trace
from app.errors import Forbidden, KeysError, RequestError, RouteNotFound, SettingsError, Unauthorized
from app.keys.allowance import Allowances
from app.keys.key import Scope as KeyScope
from app.keys.ring import KeyRing
from app.keys.shared import Sheet
from app.settings import Settings

log = structlog.get_logger("sluice")

OPEN: Literal["open"] = "open"
"""Asked by probes and browsers, without a key."""

RouteScope = KeyScope | Literal["open"]

SCOPES: dict[str, RouteScope] = {
    "/v1/sentiment": "predict",
    "/v1/topic": "predict",
    "/v1/classify": "predict",
    "/v1/sentiment/bulk": "predict",
    "/v1/topic/bulk": "predict",
    "/v1/classify/bulk": "predict",
    "/v1/summarize": "predict",
    "/v1/models": "predict",
    "/v1/models/{name}": "predict",
    "/v2": OPEN,
    "/v2/": OPEN,
    "/v2/health/live": OPEN,
    "/v2/health/ready": OPEN,
    "/v2/models/stats": "predict",
    "/v2/models/{name}": "predict",
    "/v2/models/{name}/ready": "predict",
    "/v2/models/{name}/stats": "predict",
    "/v2/models/{name}/infer": "predict",
    "/v2/models/{name}/generate": "predict",
    "/v2/models/{name}/generate_stream": "predict",
    "/v2/models/{name}/versions/{version}": "predict",
    "/v2/models/{name}/versions/{version}/ready": "predict",
    "/v2/models/{name}/versions/{version}/stats": "predict",
    "/v2/models/{name}/versions/{version}/infer": "predict",
    "/v2/models/{name}/versions/{version}/generate": "predict",
    "/v2/models/{name}/versions/{version}/generate_stream": "predict",
    "/v2/repository/index": "predict",
    "/v2/repository/models/{name}/load": "admin",
    "/v2/repository/models/{name}/unload": "admin",
    "/admin/reload": "admin",
    "/admin/models/{name}/versions/{version}/load": "admin",
    "/admin/models/{name}/versions/{version}/unload": "admin",
    "/admin/models/{name}/aliases": "admin",
    "/admin/models/{name}/shadow": "admin",
    "/metrics": "metrics",
    "/health/live": OPEN,
    "/health/ready": OPEN,
    "/docs": OPEN,
    "/redoc": OPEN,
    "/openapi.json": OPEN,
}
"""Every path that is served. Admin routes never answer without a key, whatever the settings."""

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="sluice"'}
_CHALLENGE_SCOPE = {"WWW-Authenticate": 'Bearer realm="sluice", error="insufficient_scope"'}
_PARAMETER = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
"""What may stand in the place of a template's name: nothing that is a path of its own."""


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("".join(_PARAMETER if part[:1] == "{" else re.escape(part) for part in _PARTS.split(template)))


_PARTS = re.compile(r"(\{\w+\})")
_TEMPLATES = [(_pattern(path), scope) for path, scope in SCOPES.items() if "{" in path]


class Access:
    """Decides over each request by its path and its key, before anything of it is read."""

    def __init__(self, keys: KeyRing | None, *, anonymous: bool, limits: Sheet | None = None) -> None:
        """``anonymous`` says whether predictions and metrics are open to callers without a key.

        ``limits``: where several processes keep what is left of a key's.
        """
        self.keys = keys
        self._allowances = Allowances(limits)
        self._anonymous = anonymous

    def admit(self, scope: Scope, headers: Mapping[bytes, bytes], trace: Trace) -> None:
        """Return where the request may go on; raise ``RouteNotFound``, ``Unauthorized`` or ``Forbidden``."""
        path = scope["path"]
        needed = SCOPES.get(path) or _of_template(path)
        if needed is None:
            raise RouteNotFound(f"{scope['method']} {path} is not served here; expected a route of GET /docs")
        if needed == OPEN:
            return
        secret = _secret(headers) if self.keys is not None else None
        if secret is None or self.keys is None:
            if self._anonymous and needed != "admin":
                return
            raise Unauthorized
        key = self.keys.find(secret)
        if key is None:
            raise Unauthorized
        trace.key = key.name
        trace.allowance = self._allowances.of(key)
        if needed not in key.scopes:
            raise Forbidden(f"this key does not open this route; expected a key of the scope {needed!r}")

    def is_open(self, path: str) -> bool:
        """Tell whether ``admit`` lets everybody ask for a path, whatever they bring, as long as the process runs."""
        needed = SCOPES.get(path)
        return needed == OPEN or (needed is not None and needed != "admin" and self.keys is None and self._anonymous)

    def hurry(self) -> None:
        """Look at the file of keys at the next request."""
        if self.keys is not None:
            self.keys.hurry()


def challenge(error: RequestError) -> dict[str, str]:
    """Return the header that tells a caller how to say who it is, nothing for other errors."""
    if isinstance(error, Unauthorized):
        return _CHALLENGE
    return _CHALLENGE_SCOPE if isinstance(error, Forbidden) else {}


def access_of(settings: Settings, limits: Sheet | None = None) -> Access:
    """Return who may ask, by the settings; ``SettingsError`` where nobody decided it and others than this machine can.

    Without a file of keys everybody on the same machine may ask for predictions and metrics, and nobody for the rest.
    """
    if settings.api_keys_file is not None:
        try:
            ring = KeyRing(settings.api_keys_file)
        except KeysError as broken:
            raise SettingsError(f"SLUICE_API_KEYS_FILE is {str(settings.api_keys_file)!r}; {broken}") from broken
        if settings.allow_anonymous:
            log.warning("anonymous_allowed", keys="needed for admin routes alone")
        return Access(ring, anonymous=settings.allow_anonymous, limits=limits)
    if not _is_loopback(settings.host):
        if not settings.allow_anonymous:
            raise SettingsError(
                f"SLUICE_HOST is {settings.host!r} and SLUICE_API_KEYS_FILE is not set; expected a file of API keys "
                "(`sluice keys new` makes a line of it), or SLUICE_ALLOW_ANONYMOUS=1 where all who can connect may ask"
            )
        log.warning("anonymous_allowed", host=settings.host)
    return Access(None, anonymous=True)


def require_scopes(paths: Iterable[str]) -> None:
    """Raise where a route has no scope: it would never be reached."""
    missing = sorted(set(paths) - SCOPES.keys())
    if missing:
        raise RuntimeError(f"This is a bug: no scope in app.api.access.SCOPES for {missing}")


def _of_template(path: str) -> RouteScope | None:
    return next((scope for pattern, scope in _TEMPLATES if pattern.fullmatch(path)), None)


def _secret(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return what the caller gives as its key, nothing where it gives none."""
    given = headers.get(b"x-api-key")
    if given is not None:
        return given
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
