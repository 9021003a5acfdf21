"""Wrong arguments of `fit` get one sentence."""

from __future__ import annotations

from typing import Any, cast

import jax
import numpy as np
import optax
import pytest

from hullx.data import Split, load
from hullx.errors import HullxError
from hullx.models import MLP
from hullx.training import Ensemble, FitConfig, fit

pytestmark = pytest.mark.unoptimised

MODEL, OPTIMIZER = MLP(10, width=16), optax.adam(3e-3)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def few() -> Split:
    return load("digits").train.take(np.arange(200))


def test_what_is_no_optimizer_is_refused(few: Split) -> None:
    for wrong in ("adam", optax.cosine_decay_schedule(0.1, 10)):
        with pytest.raises(HullxError, match=r"optimizer: got .*, expected an optax optimizer: give one such as"):
            fit(KEY, MODEL, cast(Any, wrong), few, FitConfig(epochs=1, title=None))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs: got 0, expected an integer of at least 1: raise it"),
        ({"key": jax.random.PRNGKey(0)}, r"key must be jax.random.key\(seed\)"),
        ({"ensemble": Ensemble(rate=np.ones(3))}, r"rate has shape \(3,\): give one number"),
        (
            {"key": jax.random.split(KEY, 2), "ensemble": Ensemble(scale=np.ones(3))},
            r"scale has shape \(3,\): give one number or 2",
        ),
        ({"labels": np.zeros(7, int)}, r"train.labels has shape \(7,\): for 200 images it must be \(200,\)"),
        ({"labels": np.full(200, 10)}, "train.labels go from 10 to 10 as int64, but the model's 10 outputs need integers"),
        ({"labels": np.zeros(200)}, "train.labels go from 0.0 to 0.0 as float64"),
        ({"until": 1.5}, "until: got 1.5, expected a share of the training images"),
        ({"epochs": 2.5}, "epochs: got 2.5, expected an integer of at least 1"),
        ({"batch": 0}, "batch: got 0, expected an integer of at least 1"),
        ({"until": np.nan}, "until: got nan, expected a share of the training images"),
        ({"ensemble": Ensemble(rate=np.nan)}, "rate is nan: give finite numbers"),
        ({"images": np.nan}, "train.images hold NaN or infinity: drop or repair those images"),
        ({"test": np.nan}, "test.images hold NaN or infinity"),
        ({"mesh": "model"}, "mesh has axes 'model', expected only 'data' and 'members'"),
    ],
)
def test_wrong_arguments(few: Split, arguments: dict, message: str) -> None:
    labels = arguments.pop("labels", few.labels)
    if "mesh" in arguments:
        arguments["mesh"] = jax.make_mesh((1,), (arguments["mesh"],))
    key, train = arguments.pop("key", KEY), few._replace(labels=labels)
    if "images" in arguments:
        train = train._replace(images=few.images + arguments.pop("images"))
    test = few._replace(images=few.images + arguments.pop("test", 0))
    with pytest.raises((ValueError, TypeError), match=message) as raised:
        fit(key, MODEL, OPTIMIZER, train, FitConfig(**{"epochs": 1, "title": None, **arguments}), test=test)
    assert isinstance(raised.value, HullxError)


def test_what_is_no_split_is_refused(few: Split) -> None:
    for wrong in ([few.images, few.labels], (few.images,)):
        with pytest.raises(HullxError, match=r"train: got (list|tuple), expected a Split or a pair of arrays"):
            fit(KEY, MODEL, OPTIMIZER, cast(Any, wrong), FitConfig(epochs=1, title=None))
