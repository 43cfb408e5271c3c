# SPDX-License-Identifier: MIT
"""The estimators in scikit-learn: its own checks, grid search, pipelines, sequences of unequal length, pickle.

    test_sklearn.py ROOT LIBRARY
"""
import os
import pathlib
import pickle
import sys
import warnings

try:
    import numpy as np
    from sklearn.base import clone
    from sklearn.exceptions import SkipTestWarning
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler
    from sklearn.utils.estimator_checks import check_estimator
    from sklearn.utils.validation import validate_data  # noqa: F401
except ImportError as missing:
    print(f"skipped: this Python has no scikit-learn 1.6 or later ({missing})")
    sys.exit(77)

ROOT = pathlib.Path(sys.argv[1]).resolve()
os.environ["CLRNN_LIBRARY"] = sys.argv[2]
sys.path.insert(0, str(ROOT / "python"))

from clrnn.sklearn import RNNClassifier, RNNRegressor  # noqa: E402

DEVICE = os.environ.get("CLRNN_DEVICE") or "ref"
RANDOM = np.random.default_rng(0)
SEQUENCES = [RANDOM.normal(size=(int(n), 3)).astype(np.float32) for n in RANDOM.integers(2, 9, 150)]
SUMS = np.array([s[:, 0].sum() for s in SEQUENCES])
WORDS = np.where(SUMS > 0, "up", "down")
SMALL = {"hidden_size": 16, "epochs": 30, "device": DEVICE, "random_state": 0}


def passes_the_checks(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        check_estimator(estimator)


def unequal_lengths():
    model = RNNClassifier(**SMALL).fit(SEQUENCES, WORDS)
    assert list(model.classes_) == ["down", "up"] and model.score(SEQUENCES, WORDS) > 0.9
    probs = model.predict_proba(SEQUENCES)
    assert probs.shape == (150, 2) and np.allclose(probs.sum(1), 1)
    assert np.allclose(model.predict_proba(SEQUENCES[:5]), probs[:5], atol=1e-6)
    objects = np.empty(150, object)
    objects[:] = SEQUENCES
    assert (model.predict_proba(objects) == probs).all()
    copy = pickle.loads(pickle.dumps(model))
    assert (copy.predict_proba(SEQUENCES) == probs).all() and copy.get_params() == model.get_params()
    assert (clone(model).fit(SEQUENCES, WORDS).predict_proba(SEQUENCES) == probs).all()
    numbers = RNNRegressor(**SMALL).fit(SEQUENCES, SUMS * 100 + 5)
    assert numbers.score(SEQUENCES, SUMS * 100 + 5) > 0.8
    for wrong in ([s[:, :2] for s in SEQUENCES], [SEQUENCES[0], SEQUENCES[1][:, :2]], np.zeros((2, 3, 4, 3))):
        try:
            model.predict(wrong)
        except ValueError as e:
            assert "features" in str(e) or "dimensions" in str(e), e
        else:
            raise AssertionError("wrong X was taken")


def searches():
    grid = GridSearchCV(RNNClassifier(**SMALL), {"cell": ["gru", "rnn"], "lr": [1e-9, 0.01]}, cv=2, error_score="raise")
    grid.fit(SEQUENCES, WORDS)
    assert grid.best_params_["lr"] == 0.01 and grid.best_score_ > 0.7
    cube = RANDOM.normal(size=(120, 6, 4))
    target = np.stack([cube.sum((1, 2)), cube[:, :, 0].sum(1)], 1)
    steps = make_pipeline(FunctionTransformer(lambda x: x * 10), RNNRegressor(**SMALL, cell="gru", num_layers=2,
                                                                              bidirectional=True, dropout=0.1))
    assert cross_val_score(steps, cube, target, cv=2).mean() > 0.3
    assert steps.fit(cube, target).predict(cube).shape == (120, 2)
    flat = make_pipeline(StandardScaler(), RNNClassifier(**SMALL))
    assert flat.fit(cube[:, 0], cube[:, 0, 0] > 0).score(cube[:, 0], cube[:, 0, 0] > 0) > 0.9


def stops_early():
    model = RNNClassifier(**{**SMALL, "epochs": 200}, validation_fraction=0.3, patience=3).fit(SEQUENCES, WORDS)
    assert model.n_iter_ < 200 and len(model.loss_curve_) == model.n_iter_
    assert "valid_loss" in model.metrics_[0]


def main():
    unequal_lengths()
    searches()
    stops_early()
    for estimator in (RNNClassifier(**SMALL), RNNRegressor(**SMALL)):
        passes_the_checks(estimator)
        print(f"ok {type(estimator).__name__}", flush=True)


main()
