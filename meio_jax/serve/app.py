"""The routes of the server. Needs the extra `serve`, so this module is imported when a server starts."""

import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from meio_jax.errors import InputError, Note, Problem
from meio_jax.serve.models import (
    ErrorAnswer,
    HealthAnswer,
    PricesAnswer,
    ReplanAnswer,
    ReplanRequest,
    error_body,
)
from meio_jax.serve.service import RunChanged, RunService
from meio_jax.serve.worker import Busy, Ending, Worker

_LOG = logging.getLogger("meio_jax.serve")
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": text}
    for status, text in {
        401: "no token, or another one",
        409: "the run folder has changed since the server was started",
        413: "a body that is too large",
        422: "something is wrong with the request",
        503: "too many requests wait, or the server is ending",
    }.items()
}


def _refusal(status: int, error: InputError | Problem | str, **headers: str) -> JSONResponse:
    return JSONResponse(error_body(status, error), status, {name.replace("_", "-"): v for name, v in headers.items()})


def _as_problems(errors: list[Any]) -> InputError:
    """Problems of a request from those that its declaration found."""
    problems = []
    for one in errors:
        place, *path = (str(part) for part in one["loc"])
        said = one["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        value = one.get("input")
        shown = value if isinstance(value, str | int | float | bool | None) else Note(f"a {type(value).__name__}")
        remedy = "correct the request; /openapi.json says what it may hold"
        problems.append(Problem("request", place, ".".join(path), shown, said, remedy))
    return InputError(problems)


def build_app(service: RunService, worker: Worker) -> FastAPI:
    """The application of a run.

    Args:
        service: What answers.
        worker: The thread that re-plans and explains.
    """
    app = FastAPI(
        title="meio serve",
        description="Prices, explanations and re-plans of the items of a run.",
        version=version("meio-jax"),
        # Their pages load scripts from other hosts.
        docs_url=None,
        redoc_url=None,
    )
    _add_handlers(app, service)

    async def worked(work: Callable[[], bytes]) -> Response:
        service.check()
        return Response(await worker.do(work), media_type="application/json")

    @app.get("/health", response_model=HealthAnswer, responses={401: _ERRORS[401]})
    async def health() -> Any:
        """How the server is; 503 where it cannot answer other requests."""
        found = service.health(worker.waiting, ending=worker.ending)
        return JSONResponse(found.model_dump(), 200 if found.status in ("ok", "starting") else 503)

    @app.get("/prices", response_model=PricesAnswer, responses=_ERRORS)
    async def prices(
        resource_id: Annotated[str | None, Query(description="of this capacity")] = None,
        bucket: Annotated[int | None, Query(ge=0, description="in this bucket")] = None,
    ) -> Any:
        """What each capacity is worth."""
        service.check()
        return Response(service.prices(resource_id, bucket), media_type="application/json")

    @app.get("/explain", responses=_ERRORS)
    async def explain(
        item: Annotated[str, Query(description="which item")],
        node: Annotated[str | None, Query(description="which node; default the one that holds most")] = None,
        scenarios: Annotated[int | None, Query(ge=1, le=4096, description="holdout scenarios")] = None,
    ) -> Any:
        """Why an item has the stock it has at a node, and what would change the answer."""
        return await worked(lambda: service.explain(item, node, scenarios))

    @app.post("/replan", response_model=ReplanAnswer, responses=_ERRORS)
    async def replan(request: ReplanRequest) -> Any:
        """Plan items again at the prices of the run. Nothing is written."""
        return await worked(lambda: service.replan(request))

    return app


def _add_handlers(app: FastAPI, service: RunService) -> None:
    """Every error as JSON of one form."""

    @app.exception_handler(InputError)
    async def wrong_input(request: Request, error: InputError) -> Response:
        return _refusal(422, error)

    @app.exception_handler(RequestValidationError)
    async def wrong_request(request: Request, error: RequestValidationError) -> Response:
        return _refusal(422, _as_problems(list(error.errors())))

    @app.exception_handler(RunChanged)
    async def changed(request: Request, error: RunChanged) -> Response:
        found, expected = Note("another run than the server read"), "the run that the server was started with"
        return _refusal(409, Problem(str(service.run), "", "", found, expected, "start the server again"))

    @app.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> Response:
        found, remedy = Note("as many requests as may wait"), "ask again a little later"
        return _refusal(503, Problem("server", "", "", found, "a place in the line", remedy), Retry_After="5")

    @app.exception_handler(Ending)
    async def ending(request: Request, error: Ending) -> Response:
        found = Note("a server that was told to end")
        problem = Problem("server", "", "", found, "a running server", "ask again when it is started anew")
        return _refusal(503, problem, Retry_After="10", Connection="close")

    @app.exception_handler(HTTPException)
    async def by_status(request: Request, error: HTTPException) -> Response:
        known = ", ".join(("/health", "/prices", "/explain", "/replan", "/openapi.json"))
        place = f"{request.method} {request.url.path}"
        problem = Problem("request", "", "", Note(f"{place}: {error.detail}"), f"one of {known}", "see /openapi.json")
        return _refusal(error.status_code, problem)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _refusal(500, "An error of the program itself; the server's log has the traceback: please report it.")
