"""A review as JSON, for scripts. Pure.

The keys are a contract: `stack`, `title`, `outcome` (`passed`, `failed`, `refused`), `counts`, `traffic`,
`models`, `violations`, `changes`, `outputs`, `cost`, `errors`, `warnings`, `packs`.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from delivery.review.review import Review


def render(review: Review) -> str:
    """The review as one JSON object, with every secret hidden as it is in the comment."""
    delta = review.cost
    content = {
        "stack": review.stack,
        "title": review.title,
        "outcome": review.outcome.name.lower(),
        "counts": review.counts,
        "traffic": [{**asdict(t), "kind": t.kind, "words": t.words} for t in review.traffic],
        "models": [
            {**asdict(c), "metrics": [{**asdict(m), "verdict": m.verdict} for m in c.metrics]}
            for c in review.comparisons
        ],
        "violations": [asdict(v) for v in review.violations],
        "changes": [asdict(c) for c in review.changes],
        "outputs": [{"path": p, "before": a, "after": b} for p, a, b in review.outputs],
        "cost": {
            "before": round(delta.before.total, 2),
            "after": round(delta.after.total, 2),
            "change": round(delta.change, 2),
            "currency": delta.prices.currency,
            "pricesOf": delta.prices.date,
            "region": ", ".join(delta.regions),
            "elsewhere": delta.elsewhere,
            "notPriced": delta.unpriced,
            "unchangedWithoutPrice": dict(delta.missing),
        },
        "errors": [asdict(e) for e in review.errors],
        "warnings": [asdict(w) for w in review.warnings],
        "packs": review.packs,
        "note": review.note,
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
