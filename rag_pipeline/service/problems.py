"""What goes wrong, as problem JSON (RFC 9457): each says what to do, none says what is inside.

Words of an error that names servers, users or files go to the log; who asks is told what they can do.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from rag_pipeline.errors import RagError, TransientError

MEDIA_TYPE = "application/problem+json"
UNAVAILABLE = "the index does not answer now; ask again in a moment"
NOT_READY = "the index cannot be asked as it is; whoever runs it sees why in the log of the service"
BUSY = "as many answers as may be made at a time are being made; ask again in a moment, or search meanwhile"
_INTERNAL = "something went wrong here; whoever runs the service finds it in the log"
_NO_OBJECT = "send an object of JSON, with the header Content-Type: application/json"
_ADVICE = {
    404: "there is nothing at this address; /openapi.json says what there is",
    405: "this address takes another method; /openapi.json says which",
    415: "send the question as JSON, with the header Content-Type: application/json",
}
_LOG = logging.getLogger("rag_pipeline.service")


class Unauthenticated(Exception):
    """A request that nobody can be held to have made; the text says what it lacks."""


class Unusable(Exception):
    """A question that cannot be meant; the text says why."""


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, errors: Sequence[Mapping[str, str]] = ()
) -> JSONResponse:
    """Return a problem as a response; `errors` name the parts of the body that are wrong."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return JSONResponse(body | ({"errors": list(errors)} if errors else {}), status, headers, MEDIA_TYPE)


def install(app: FastAPI, challenge: str | None) -> None:
    """Answer every error of an app with a problem; `challenge` is how a client may identify itself."""

    @app.exception_handler(Unauthenticated)
    def unauthenticated(request: Request, error: Unauthenticated) -> JSONResponse:
        return problem(401, str(error), {"WWW-Authenticate": challenge} if challenge else None)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [_part(detail) for detail in error.errors()]
        status = 400 if error.errors()[0]["type"] == "json_invalid" else 422
        return problem(status, f"{errors[0]['pointer'] or 'the body'}: {errors[0]['detail']}", errors=errors)

    @app.exception_handler(Unusable)
    def unusable(request: Request, error: Unusable) -> JSONResponse:
        return problem(422, str(error))

    @app.exception_handler(RagError)
    def unready(request: Request, error: RagError) -> JSONResponse:
        _LOG.error("%s %s: %s", request.method, request.url.path, error)
        transient = isinstance(error, TransientError)
        return problem(503, UNAVAILABLE if transient else NOT_READY, {"Retry-After": "5"} if transient else None)

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, _ADVICE.get(error.status_code, error.detail), error.headers)

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> JSONResponse:
        # The server logs it with its traceback.
        return problem(500, _INTERNAL)


def _part(detail: Mapping[str, Any]) -> dict[str, str]:
    """Say which part of a body is wrong, and why; what was sent there is not repeated."""
    place = [str(part) for part in detail["loc"] if part != "body"]
    reasons = {
        "extra_forbidden": "unknown; remove it or correct its spelling",
        "missing": "missing; add it",
        "json_invalid": "this is no JSON",
        "model_attributes_type": _NO_OBJECT,
        "dict_type": "an object of JSON is needed here",
    }
    if detail["type"] == "json_invalid":
        place = []
    reason = reasons.get(str(detail["type"]), str(detail["msg"]).removeprefix("Value error, "))
    return {"pointer": "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in place), "detail": reason}
