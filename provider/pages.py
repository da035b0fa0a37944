"""What the gateway itself answers beside the models: which models there are, and how each is asked. Pure.

Programs get JSON, browsers a page; nothing in it is fetched from elsewhere.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

from provider.resource import Properties

LONGEST = 1024 * 1024
"""Bytes that a page may have; Envoy's own limit is 4096."""
# Few entries, whatever the number of models: Envoy reads all of them with every change of a weight.
_MODEL = "/([a-z][a-z0-9-]*)"
_NAMED: Properties = {"pattern": {"regex": f"^{_MODEL}/?$"}}
_GET: Properties = {"name": ":method", "string_match": {"exact": "GET"}}
_BROWSER: Properties = {"name": "accept", "string_match": {"contains": "text/html"}}
_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
pre { background: #8882; padding: .7rem; overflow: auto }
table { border-collapse: collapse } td, th { padding: .2rem 1rem .2rem 0; text-align: left }
"""


def index(routes: Sequence[Properties]) -> list[Properties]:
    """Return the routes of ``/``: the models, with their addresses."""
    models = {str(route["model"]): _traffic(route["backends"]) for route in routes}
    listed = [{"name": name, "url": f"/{name}", "traffic": words} for name, words in models.items()]
    rows = "".join(
        f'<tr><td><a href="/{name}">{name}</a></td><td>{html.escape(words)}</td></tr>'
        for name, words in models.items()
    )
    table = f"<table><tr><th>model</th><th>traffic</th></tr>{rows}</table>"
    body = table if rows else "<p>There is no model yet.</p>"
    return _page({"path": "/"}, {"models": listed}, "Models", body)


def entrances() -> list[Properties]:
    """Return the routes of ``/MODEL``: a browser is led to the model's page, others to its metadata."""
    path = {"safe_regex": {"regex": f"{_MODEL}/?"}}
    return [
        {"match": {**path, "headers": headers}, "redirect": {"regex_rewrite": {**_NAMED, "substitution": to}}}
        for headers, to in (([_GET, _BROWSER], r"/\1/docs"), ([_GET], r"/\1/v2/models/\1"))
    ]


def nothing(routes: Sequence[Properties]) -> Properties:
    """Return the route of every other path."""
    names = ", ".join(str(route["model"]) for route in routes)
    there = f"the models are {names}" if names else "there is no model yet"
    how = "requests go to /MODEL/predict or /MODEL/v2/models/MODEL/infer, and GET / lists the models"
    return _direct({"prefix": "/"}, 404, {"error": f"nothing is at this path; {there}: {how}"})


def _traffic(backends: Sequence[Properties]) -> str:
    return ", ".join(
        f"v{b['version']} {'shadow' if b['shadow'] else str(b['weight']) + ' %'}" for b in backends
    )


def _page(match: dict[str, Any], content: object, title: str, body: str) -> list[Properties]:
    """Return a page for browsers, and the same as JSON for everybody else who gets it."""
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{title}</h1>{body}</html>"
    )
    return [
        _answer({**match, "headers": [_GET, _BROWSER]}, 200, page, "text/html; charset=utf-8"),
        _direct({**match, "headers": [_GET]}, 200, content),
    ]


def _direct(match: dict[str, Any], status: int, content: object) -> Properties:
    return _answer(match, status, json.dumps(content) + "\n", "application/json")


def _answer(match: dict[str, Any], status: int, body: str, kind: str) -> Properties:
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": body}},
        "response_headers_to_add": [
            {
                "header": {"key": "content-type", "value": kind},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    }
