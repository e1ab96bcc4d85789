"""What a failure of storage means: whether it passes, and if not, what is to be done.

The libraries below (botocore, aiohttp, fsspec) each have families of errors of their own, and hand
on each other's as causes. They are told by their names and by the answers of the server that they
carry, so that none of them is imported for a run that stays on a disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from seisflow.errors import AccessError, ArchiveError, ConflictError, MissingFileError, UnreachableError

__all__ = ["Failure", "Meaning", "failure_of"]

_TRANSIENT_ERRORS = frozenset(
    {
        "ClientConnectionError",  # aiohttp: resets, refused connections, stalls
        "ClientPayloadError",  # aiohttp: a body that ends too early
        "ConnectionError",
        "EOFError",
        "FlexibleChecksumError",  # botocore: a body that changed on the way
        "HTTPClientError",  # botocore: connect and read timeouts, closed connections
        "IncompleteRead",
        "IncompleteReadError",
        "ResponseParserError",  # botocore: a body that is cut, or no XML
        "ServerDisconnectedError",
        "TimeoutError",
    }
)
_TRANSIENT_CODES = frozenset(
    {
        "BadDigest",  # the same, found by the server
        "ConditionalRequestConflict",  # two conditional writes at once: AWS asks to try again
        "IncompleteBody",
        "OperationAborted",
        "ReduceYourRequestRate",
        "RequestTimeout",
        "SlowDown",
        "XAmzContentSHA256Mismatch",
    }
)
_NO_CREDENTIALS = frozenset(
    {"CredentialRetrievalError", "NoAuthTokenError", "NoCredentialsError", "PartialCredentialsError"}
    | {"ProfileNotFound", "SSOError", "TokenRetrievalError", "UnauthorizedSSOTokenError"}
)
_GIVE = (
    "give credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or key and secret in "
    "storage_options)"
)
_PUBLIC = "for a public bucket set storage_options: {anon: true}"
_REGION = "set client_kwargs: {region_name: ...} in storage_options to the region of the bucket"
_ADVICE = {
    "AccessDenied": f"{_PUBLIC}; else {_GIVE} that may do this",
    "AuthorizationHeaderMalformed": _REGION,
    "ExpiredToken": f"the credentials have expired: {_GIVE} anew",
    "IllegalLocationConstraintException": _REGION,
    "InvalidAccessKeyId": f"nobody has this access key: {_GIVE}, or {_PUBLIC}",
    "InvalidObjectState": "the object lies in a cold storage class: restore it first",
    "InvalidToken": f"the session token is wrong: {_GIVE} anew",
    "NoSuchBucket": "check the name of the bucket",
    "PermanentRedirect": _REGION,
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it",
    "SignatureDoesNotMatch": f"the secret key is wrong: {_GIVE}",
}
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _PRECONDITION, _TOO_MANY, _SERVER = 401, 403, 404, 412, 429, 500


class Meaning(Enum):
    """What a failure says about the next attempt."""

    TRANSIENT = "it may pass"
    MISSING = "there is nothing of that name"
    CONFLICT = "a condition of the request does not hold"
    REFUSED = "somebody has to act"
    OTHER = "nobody knows"


class Failure(NamedTuple):
    """A failure of storage, understood.

    Attributes
    ----------
    meaning : Meaning
    reason : str
        What the server or library said.
    advice : str
        What to do, or ''.
    """

    meaning: Meaning
    reason: str
    advice: str = ""

    @property
    def error_type(self) -> type[ArchiveError]:
        """The error that tells a caller so."""
        families = {
            Meaning.MISSING: MissingFileError,
            Meaning.CONFLICT: ConflictError,
            Meaning.REFUSED: AccessError,
            Meaning.TRANSIENT: UnreachableError,
        }
        return families.get(self.meaning, ArchiveError)


def failure_of(error: BaseException) -> Failure:
    """Return what an error of a file system means; its causes are looked at, too."""
    chain = list(_chain(error))
    for link in chain:
        code, status, message = _answer(link)
        if code or status:
            reason = f"{code or 'the server answers'} (HTTP {status}): {message}"
            return Failure(_meaning(code, status), reason, _ADVICE.get(code) or _advice(status))
    names = [{base.__name__ for base in type(link).__mro__} for link in chain]
    if any(name & _NO_CREDENTIALS for name in names):
        return Failure(Meaning.REFUSED, _reason(error), f"{_GIVE}; {_PUBLIC}")
    if any(name & _TRANSIENT_ERRORS for name in names):
        return Failure(Meaning.TRANSIENT, _reason(error))
    if isinstance(error, FileNotFoundError):
        return Failure(Meaning.MISSING, _reason(error))
    if isinstance(error, PermissionError):
        return Failure(Meaning.REFUSED, _reason(error))
    return Failure(Meaning.OTHER, _reason(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _answer(error: BaseException) -> tuple[str, int, str]:
    """Return the code, HTTP status and message a server answered; '', 0 and '' where it did not."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore.exceptions.ClientError
        said = response.get("Error", {})
        code = str(said.get("Code", ""))
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
        if code.isdigit():  # the answer to a HEAD request has no code
            code, status = "", status or int(code)
        return code, status, str(said.get("Message", "")).strip()
    answered = getattr(error, "status", None)  # aiohttp.ClientResponseError
    return ("", answered, str(error)) if isinstance(answered, int) else ("", 0, "")


def _meaning(code: str, status: int) -> Meaning:
    if code in _TRANSIENT_CODES or code.startswith("Throttl") or status in (408, _TOO_MANY):
        return Meaning.TRANSIENT
    if status >= _SERVER:
        return Meaning.TRANSIENT
    if status == _PRECONDITION or code == "PreconditionFailed":
        return Meaning.CONFLICT
    if code in _ADVICE or status in (301, 307, _UNAUTHORIZED, _FORBIDDEN):
        return Meaning.MISSING if code == "NoSuchBucket" else Meaning.REFUSED
    if status == _NOT_FOUND:
        return Meaning.MISSING
    return Meaning.OTHER


def _advice(status: int) -> str:
    """Return what to do about an answer without a code, as a HEAD request gets it."""
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        return f"credentials are missing, wrong or not enough: {_GIVE}; {_PUBLIC}"
    return _REGION if status in (301, 307) else ""


def _reason(error: BaseException) -> str:
    """Return the type and the first line of what an error says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
