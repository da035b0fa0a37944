"""Which way a metric of a model is better, by its name: the one table that the policy and the review use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final, Literal

Direction = Literal["higher", "lower"]

_HIGHER: Final = """
    acc, accuracy, auc, aucpr, auprc, auroc, average precision, balanced accuracy, bleu, c index,
    coefficient of determination, cohen kappa, concordance index, correlation, dice, exact match, explained
    variance, f1, f2, f beta, faithfulness, fbeta, gini, groundedness, hit rate, hits, homogeneity, iou,
    jaccard, kappa, ks, lift, log likelihood, map, map50, matthews corrcoef, mcc, meteor, miou, mrr, ndcg,
    npv, pearson, pr auc, prauc, precision, precision recall auc, profit, psnr, r squared, r2, recall,
    relevance, revenue, roc auc, rocauc, rouge, rouge1, rouge2, rougel, rougelsum, sensitivity, silhouette,
    spearman, specificity, ssim, tnr, tpr, true negative rate, true positive rate, uplift, v measure
"""
_LOWER: Final = """
    aic, bic, brier, calibration error, cer, cross entropy, crps, davies bouldin, demographic parity
    difference, deviance, divergence, drift, ece, edit distance, eer, equalized odds difference, err, error,
    fallout, false discovery rate, false negative rate, false positive rate, fdr, fid, fnr, fpr,
    hallucination, hamming, hinge, huber, latency, logloss, loss, mae, mape, mase, medae, miss rate,
    misclassification rate, mse, msle, negative log likelihood, nll, perplexity, ppl, psi, rmse, rmsle,
    smape, ter, toxicity, wape, wer
"""
_NEITHER: Final = """
    change, ci, confidence, count, decrease, delta, diff, difference, disparity, drop, gap, improvement,
    increase, interval, iqr, iteration, number, ratio, reduction, scale, sd, skew, spread, std, stddev,
    stdev, support, threshold, train, training, var, variance, weight
"""
"""Words with which a name is not the metric any more but something made of it, its spread, a difference; or
tells how well a model fits the data that it has seen, of which more may be worse."""
_PARTS: Final = (
    *("avg", "best", "cv", "eval", "final", "holdout", "mean", "oos", "test"),
    *("val", "valid", "validation"),
)
"""What a plain ``score`` may stand beside."""
_OTHER: Final[Mapping[Direction, Direction]] = {"higher": "lower", "lower": "higher"}
_WORD: Final = re.compile(r"[a-z]+[0-9]*(?![a-z])|[a-z]+|[0-9]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])")


def direction(metric: str, own: Mapping[str, str] | None = None) -> Direction | None:
    """Return which way a metric is better, or None for a name that doesn't tell.

    ``own`` are those of which the environment says it.

    A name may have more in it than the metric: the part of the data (``val_loss``), a slice
    (``auc_over_60``), an average (``f1_macro``), a depth (``precision@10``). A name tells nothing where it
    has metrics of both ways, something that is made of a metric (``auc_std``), or a figure on the data that
    the model was trained with. ``neg_…``, as
    scikit-learn calls its scorers of losses, turns the way round.
    """
    said = (own or {}).get(metric)
    if said == "higher" or said == "lower":
        return said
    words = _WORD.findall(_HUMP.sub("_", metric).lower())
    if [word for word in words if word not in _PARTS] == ["score"]:
        return "higher"
    if "neg" not in words:
        return _named(words)
    way = _named([word for word in words if word != "neg"])
    return _OTHER[way] if way else None


def _named(words: Sequence[str]) -> Direction | None:
    """The way of all metrics that are named; of two names the longer one counts: ``explained variance``."""
    table = _table()
    longest = max(map(len, table))
    ways: set[Direction | None] = set()
    at = 0
    while at < len(words):
        names = (tuple(words[at : at + length]) for length in range(longest, 0, -1))
        name = next((name for name in names if name in table), None)
        if name:
            ways.add(table[name])
        at += len(name or ".")
    return ways.pop() if len(ways) == 1 else None


@cache
def _table() -> Mapping[tuple[str, ...], Direction | None]:
    lists: tuple[tuple[str, Direction | None], ...] = (
        (_NEITHER, None),
        (_HIGHER, "higher"),
        (_LOWER, "lower"),
    )
    return {tuple(name.split()): way for text, way in lists for name in text.split(",")}
