"""What the gateway itself answers beside the models: which models there are, and how each is asked. Pure.

Programs get JSON, browsers a page; nothing in it is fetched from elsewhere.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from typing import Any

from provider.resource import Properties

LONGEST = 1024 * 1024
"""Bytes that a page may have; Envoy's own limit is 4096."""
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


def summary(model: str, backends: Sequence[Properties]) -> list[Properties]:
    """Return the routes of ``/MODEL``: which releases answer, and how they are asked."""
    path = f"/{model}"
    links = {"docs": f"{path}/docs", "metadata": f"{path}/v2/models/{model}", "predict": f"{path}/predict"}
    releases = [{"version": b["version"], "weight": b["weight"], "shadow": b["shadow"]} for b in backends]
    content = {"model": model, "releases": releases, "links": links}
    body = (
        f"<p>{html.escape(_traffic(backends))}</p>"
        f'<p><a href="{links["docs"]}">Try it</a>, with the columns that it takes and an example. '
        f'<a href="{links["metadata"]}">What it takes and gives</a>, as JSON.</p>'
        f"<pre>curl -X POST $GATEWAY{links['predict']} -d '{{&quot;features&quot;: [[…]]}}'</pre>"
    )
    match = {"safe_regex": {"regex": f"{re.escape(path)}/?"}}
    wrong = {"error": f"requests go to {links['predict']} or {links['metadata']}/infer; GET {path} says more"}
    return [*_page(match, content, model, body), _direct(match, 405, wrong)]


def nothing(routes: Sequence[Properties]) -> Properties:
    """Return the route of every other path."""
    names = ", ".join(str(route["model"]) for route in routes)
    there = f"the models are {names}" if names else "there is no model yet"
    return _direct({"prefix": "/"}, 404, {"error": f"no model has this path; {there}. GET / lists them"})


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
    get = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
    browser = {"name": "accept", "string_match": {"contains": "text/html"}}
    return [
        _answer({**match, "headers": [get, browser]}, 200, page, "text/html; charset=utf-8"),
        _direct({**match, "headers": [get]}, 200, content),
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
