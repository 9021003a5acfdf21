"""The domain of a table of training rows: its scaling, and the features that put a row outside."""

from hullx.domain.features import FeatureSet, feature_shares, features_outside
from hullx.domain.scaling import SCALES, Scaling, blocks, column_ranges, scaling, spans_differ

__all__ = [
    "SCALES",
    "FeatureSet",
    "Scaling",
    "blocks",
    "column_ranges",
    "feature_shares",
    "features_outside",
    "scaling",
    "spans_differ",
]
