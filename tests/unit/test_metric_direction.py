"""Which way a metric is better, by the one table for the policy and the review."""

from __future__ import annotations

import pytest

from components.metric_direction import direction

HIGHER = (
    "accuracy auc val_accuracy eval/f1-score F1_macro f1Weighted test.recall r2 R2 "
    "precision@10 NDCG@5 mrr hit_rate mAP50 rougeL explained_variance explained_variance_score score "
    "mean_test_score true_positive_rate neg_mean_squared_error neg_log_loss average_precision lift_at_10 "
    "auc_over_60 log_likelihood"
)
LOWER = (
    "loss val_loss valLoss val_loss_epoch log_loss logloss rmse RMSE rmsle mae error error_rate "
    "max_error brier_score brier_score_loss false_positive_rate fnr latency_ms latency_p99 "
    "latency_seconds perplexity wer toxicity_score negative_log_likelihood median_absolute_error "
    "mean_gamma_deviance demographic_parity_difference ece"
)
UNKNOWN = (
    "training_roc_auc train_loss "
    "rows epoch churned p99 initial_score anomaly_score auc_std accuracy_drop accuracy_loss "
    "recall_disparity loss_improvement loss_scale precision_threshold best_iteration bias neg auc_ci "
    "auclike"
)


@pytest.mark.parametrize("metric", HIGHER.split())
def test_more_is_better(metric: str) -> None:
    assert direction(metric) == "higher"


@pytest.mark.parametrize("metric", LOWER.split())
def test_less_is_better(metric: str) -> None:
    assert direction(metric) == "lower"


def test_the_environment_says_it_of_names_that_do_not_tell() -> None:
    assert direction("initial_score", {"initial_score": "lower"}) == "lower"
    assert direction("initial_score", {"other": "lower"}) is None


@pytest.mark.parametrize("metric", ["", *UNKNOWN.split()])
def test_a_name_that_does_not_tell_is_not_compared(metric: str) -> None:
    assert direction(metric) is None
