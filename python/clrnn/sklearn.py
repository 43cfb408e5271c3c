# SPDX-License-Identifier: MIT
"""Estimators for scikit-learn 1.6 or later."""
from __future__ import annotations

from typing import Any, List, Optional, Tuple

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d, validate_data

from ._data import pad
from ._train import train

__all__ = ["RNNClassifier", "RNNRegressor"]

_DTYPES = (np.float32, np.float64)


def _sequences(X: Any) -> Optional[List[np.ndarray]]:
    """X as a list of arrays (T_i, C), where it is such a list or an array of objects, else None."""
    if isinstance(X, (list, tuple)) or getattr(X, "dtype", None) == object:
        if len(X) and all(np.ndim(s) == 2 for s in X):
            return [check_array(s, dtype=_DTYPES, input_name="X") for s in X]
    return None


def _ndim(X: Any) -> int:
    """Dimensions of X without making it an array; 2 where it does not tell."""
    return np.ndim(X) if isinstance(X, (list, tuple)) else len(getattr(X, "shape", (0, 0)))


class _RNN(BaseEstimator):
    """What both estimators share."""

    def __init__(self, cell: str = "lstm", hidden_size: int = 64, num_layers: int = 1, bidirectional: bool = False,
                 dropout: float = 0.0, pool: str = "last", normalize: bool = True, epochs: int = 50,
                 batch_size: int = 32, lr: float = 0.01, weight_decay: float = 0.0,
                 clip_grad_norm: Optional[float] = None, validation_fraction: Optional[float] = None,
                 patience: Optional[int] = None, device: Optional[str] = None, random_state: Any = None) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.pool = pool
        self.normalize = normalize
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.clip_grad_norm = clip_grad_norm
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _inputs(self, X: Any, y: Any = None, fitting: bool = False) -> Tuple[np.ndarray, Optional[np.ndarray], Any]:
        """X as (n, T, C) or (n, C), its lengths, and y; raises ValueError as scikit-learn's own estimators do."""
        rows = _sequences(X)
        if rows is None and _ndim(X) < 3:
            if fitting:
                X, y = validate_data(self, X, y, dtype=_DTYPES, order="C", multi_output=True, y_numeric=False)
            else:
                X = validate_data(self, X, dtype=_DTYPES, order="C", reset=False)
            return X, None, y
        lengths = None
        if rows is not None:
            if len({r.shape[1] for r in rows}) > 1:
                raise ValueError("the sequences of X have different numbers of features")
            X, lengths = pad(rows, rows[0].dtype)
        else:
            X = check_array(X, dtype=_DTYPES, order="C", allow_nd=True, input_name="X")
            if X.ndim != 3:
                raise ValueError(f"X has {X.ndim} dimensions, expected (n, T, C) or (n, C)")
        if fitting:
            if y is None:
                raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
            check_consistent_length(X, y)
            self.n_features_in_ = X.shape[2]
        elif X.shape[2] != self.n_features_in_:
            raise ValueError(f"X has {X.shape[2]} features, but {type(self).__name__} is expecting "
                             f"{self.n_features_in_} features as input.")
        return X, lengths, y

    def _config(self, outputs: int) -> dict:
        """The config that is trained; `dropout` stands between recurrent layers and before the last one."""
        recurrent = {"hidden_size": self.hidden_size, "num_layers": self.num_layers,
                     "bidirectional": bool(self.bidirectional)}
        if self.num_layers > 1:
            recurrent["dropout"] = self.dropout
        layers: List[dict] = [{self.cell: recurrent}, {"pool": {"over": self.pool}}]
        if self.dropout:
            layers.append({"dropout": {"p": self.dropout}})
        layers.append({"linear": {"out_features": outputs}})
        adam = {"lr": self.lr, "weight_decay": self.weight_decay}
        data: dict = {"normalize": "standard" if self.normalize else "none"}
        training: dict = {"optimizer": {"adam": adam}, "epochs": self.epochs, "batch_size": self.batch_size,
                          "shuffle": True, "seed": int(check_random_state(self.random_state).randint(2**31 - 1))}
        if self.clip_grad_norm is not None:
            training["clip_grad_norm"] = self.clip_grad_norm
        if self.validation_fraction:
            data["valid_fraction"] = self.validation_fraction
        if self.patience is not None:
            training["early_stopping"] = {"patience": self.patience, "monitor": "valid_loss"
                                          if self.validation_fraction else "train_loss"}
        return {"model": {"layers": layers}, "train": training, "data": data}

    def _train(self, config: dict, X: np.ndarray, y: np.ndarray, lengths: Any) -> None:
        run = train(config, X, y, lengths=lengths, device=self.device)
        self.model_ = run.best if self.patience is not None else run.model
        self.metrics_ = [dict(row) for row in run.metrics]
        self.loss_curve_ = [row["train_loss"] for row in self.metrics_]
        self.n_iter_ = len(self.metrics_)


class RNNClassifier(ClassifierMixin, _RNN):
    """A recurrent network that classifies sequences, trained on an OpenCL device with cross entropy and Adam.

    cell: "lstm", "gru" or "rnn". pool: what is taken of the time steps: "last", "final", "mean", "max". normalize:
    features to mean 0 and deviation 1, measured in fit. patience: end where validation_fraction's loss (without it the
    training loss) has not fallen for so many epochs, and keep the best weights. device: as in clrnn.load.
    Attributes: classes_, n_features_in_, model_ (a clrnn.Model), metrics_ (a dict an epoch), loss_curve_, n_iter_.
    """

    def fit(self, X: Any, y: Any) -> "RNNClassifier":
        """X: (n, T, C), (n, C) taken as one step, or n sequences (T_i, C). y: (n) labels of any kind."""
        X, lengths, y = self._inputs(X, y, fitting=True)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._train(self._config(len(self.classes_)), X, codes.astype(np.int64), lengths)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n, classes), in the order of classes_."""
        check_is_fitted(self)
        X, lengths, _ = self._inputs(X)
        return self.model_.predict(X, lengths, kind="probs").astype(np.float64)

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest label of each sequence, (n)."""
        probs = self.predict_proba(X)
        return self.classes_[probs.argmax(1)]


class RNNRegressor(RegressorMixin, _RNN):
    """A recurrent network that predicts numbers from sequences, trained on an OpenCL device with the squared error.

    Parameters and attributes as RNNClassifier, without classes_. Targets are learnt with mean 0 and deviation 1;
    predictions come in their units.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> "RNNRegressor":
        """X: as RNNClassifier.fit. y: (n) or (n, outputs)."""
        X, lengths, y = self._inputs(X, y, fitting=True)
        y = check_array(y, dtype=_DTYPES, ensure_2d=False, order="C", input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        config = self._config(1 if y.ndim == 1 else y.shape[1])
        config["train"]["loss"] = "mse"
        config["data"]["normalize_targets"] = "standard"
        self._one = y.ndim == 1
        self._train(config, X, y, lengths)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predictions (n) or (n, outputs), as y was in fit."""
        check_is_fitted(self)
        X, lengths, _ = self._inputs(X)
        out = self.model_.predict(X, lengths).astype(np.float64)
        return out[:, 0] if self._one else out
