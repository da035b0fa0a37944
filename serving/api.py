"""The routes around inference: health, metadata, metrics and the documentation, on FastAPI.

Inference itself never gets here when it names the model that is served: see ``serving.app``.
"""

from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from serving import page, protocol
from serving.service import Service, State


class Predict(BaseModel):
    """A plain request."""

    features: list[Any] = Field(
        description="Rows in the order of the signature, or as objects with column names."
    )


class Tensor(BaseModel):
    """A tensor of the Open Inference Protocol."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Infer(BaseModel):
    """A request of the Open Inference Protocol v2."""

    id: str | None = None
    inputs: list[Tensor]
    outputs: list[dict[str, Any]] | None = None


def build(service: Service) -> FastAPI:
    """Return the FastAPI application around ``service``."""
    settings = service.settings
    # No redirects to a path without its last slash: they would lead past the gateway's prefix.
    api = FastAPI(
        title=f"{settings.model} version {settings.version}",
        version=settings.version,
        redirect_slashes=False,
        # FastAPI's own page loads its scripts from elsewhere, and knows of no prefix.
        docs_url=None,
        redoc_url=None,
    )
    api.add_exception_handler(StarletteHTTPException, _http_error)
    api.add_exception_handler(RequestValidationError, _http_error)

    def require(name: str, version: str | None = None) -> None:
        """Raise 404 unless the name and the version are what is served here."""
        if name != settings.model:
            raise HTTPException(404, f"no model {name!r} here; this server has {settings.model!r}")
        if version is not None and version != settings.version:
            raise HTTPException(
                404, f"no version {version!r} of {name!r} here; this server has {settings.version!r}"
            )

    @api.get("/v2/health/live", tags=["health"])
    async def live() -> Response:
        stuck = service.stuck()
        return JSONResponse({"live": not stuck, **why(stuck)}, 503 if stuck else 200)

    def readiness() -> JSONResponse:
        stuck = service.stuck()
        ready = service.state is State.READY and not stuck
        content = {"ready": ready, "state": "stuck" if stuck else service.state.value, **why(stuck)}
        return JSONResponse(content, 200 if ready else 503)

    def why(stuck: bool) -> dict[str, str]:
        limit = settings.stuck
        return {"error": f"requests wait and none was answered for {limit:g} s"} if stuck else {}

    @api.get("/v2/health/ready", tags=["health"])
    @api.get("/ping", tags=["health"], description="The same, where SageMaker asks.")
    async def ready() -> Response:
        return readiness()

    @api.get("/v2", tags=["metadata"])
    async def server() -> dict[str, Any]:
        return {"name": "model-delivery", "version": settings.version, "extensions": []}

    @api.get("/v2/models/{name}", tags=["metadata"])
    @api.get("/v2/models/{name}/versions/{version}", tags=["metadata"])
    async def model(name: str, version: str | None = None) -> dict[str, Any]:
        require(name, version)
        if service.model is None:
            raise HTTPException(503, f"{name} is still loading; try again soon")
        return protocol.metadata(service.model)

    @api.get("/v2/models/{name}/ready", tags=["health"])
    @api.get("/v2/models/{name}/versions/{version}/ready", tags=["health"])
    async def model_ready(name: str, version: str | None = None) -> Response:
        require(name, version)
        return readiness()

    @api.get("/", include_in_schema=False)
    async def root() -> Response:
        # Relative: behind a gateway the page is under the model's prefix.
        return Response(status_code=307, headers={"location": "docs"})

    @api.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        text = page.docs(settings.model, settings.version, service.model)
        return HTMLResponse(text, headers={"content-security-policy": page.POLICY})

    @api.get("/metrics", tags=["metrics"])
    async def metrics() -> Response:
        return Response(service.render_metrics(), media_type=CONTENT_TYPE_LATEST)

    # Declared for the documentation, and reached only by requests for another model.
    @api.post("/v2/models/{name}/infer", tags=["inference"], openapi_extra=_body(Infer))
    @api.post("/v2/models/{name}/versions/{version}/infer", tags=["inference"], openapi_extra=_body(Infer))
    async def infer(name: str, version: str | None = None) -> None:
        service.count(404, "not_found")
        require(name, version)

    @api.post("/predict", tags=["inference"], openapi_extra=_body(Predict))
    @api.post(
        "/invocations",
        tags=["inference"],
        openapi_extra=_body(Predict),
        description="The same, where SageMaker sends requests.",
    )
    async def predict() -> None:
        raise AssertionError("served in front of this application")

    _ = (docs, root, live, ready, server, model, model_ready, metrics, infer, predict)
    return api


def _body(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, StarletteHTTPException):
        return JSONResponse({"error": str(error)}, 400)
    message = str(error.detail)
    if error.status_code == 404 and message == "Not Found":
        message = f"no such path: {request.url.path}; the page docs shows what there is"
    elif error.status_code == 405:
        message = f"{request.method} is not accepted at {request.url.path}"
    return JSONResponse({"error": message}, error.status_code, headers=error.headers)
