"""The page ``/docs``: what the model takes, and a form to try it. It fetches nothing from elsewhere.

All its addresses are relative, so it works behind whatever prefix a gateway has put before the server.
"""

import html
import json

from serving import forms
from serving.model import Model

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
"""For the header content-security-policy: the page asks its own server and nobody else."""
_MOST_COLUMNS = 500
_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem }
pre, textarea { background: #8882; padding: .7rem; font: 14px/1.4 ui-monospace, monospace; overflow: auto }
textarea { width: 100%; box-sizing: border-box; min-height: 9rem; border: 1px solid #8886 }
table { border-collapse: collapse } td, th { padding: .1rem 1.5rem .1rem 0; text-align: left }
button { font: inherit; padding: .3rem 1rem; margin: .5rem 0 }
"""
_SCRIPT = """
const answer = document.getElementById("answer");
document.getElementById("send").addEventListener("click", async () => {
  answer.textContent = "…";
  try {
    const body = document.getElementById("body").value;
    const options = {method: "POST", body, headers: {"content-type": "application/json"}};
    const response = await fetch("predict", options);
    const version = response.headers.get("x-model-version");
    answer.textContent = `${response.status}, version ${version}\\n${await response.text()}`;
  } catch (error) {
    answer.textContent = String(error);
  }
});
"""


def docs(name: str, version: str, model: Model | None) -> str:
    """Return the page of a model, or one that says that it is still loading."""
    title = f"{html.escape(name)} version {html.escape(version)}"
    head = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1>"
    )
    if model is None:
        return f"{head}<p>The model is still loading; come back soon.</p></body></html>\n"
    signature = model.runtime.signature
    example = json.dumps(forms.example(signature) or {"features": []}, indent=1, ensure_ascii=False)
    rows = "".join(
        f"<tr><td>{html.escape(column.name)}</td><td>{column.type}</td>"
        f"<td>{'may be missing' if column.optional else ''}</td></tr>"
        for column in signature.columns[:_MOST_COLUMNS]
    )
    table = f"<table><tr><th>column</th><th>type</th><th></th></tr>{rows}</table>" if rows else ""
    here = f"v2/models/{html.escape(name)}"
    return (
        f"{head}<p>It takes {html.escape(signature.expected())}.</p>"
        '<label for="body">A request, with neutral values:</label>'
        f'<textarea id="body" spellcheck="false">{html.escape(example)}</textarea>'
        '<button id="send">POST it to predict</button>'
        '<pre id="answer" aria-live="polite">The answer comes here.</pre>'
        f"{table}"
        f'<p>See also <a href="{here}">its metadata</a>, <a href="v2/health/ready">whether it is ready</a>, '
        f'<a href="metrics">its metrics</a>, and <a href="openapi.json">the API</a> for tools.</p>'
        f"<script>{_SCRIPT}</script></body></html>\n"
    )
