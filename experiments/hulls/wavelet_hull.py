"""Are test images outside the hull of the training images in wavelet space too, even with few coefficients?

Claim (R. Yousefzadeh, arXiv 2101.09849): they are. The transform is orthonormal: Haar's and Daubechies' wavelets, with as many
levels as the images can be halved. With all coefficients every distance equals the distance in pixels; this is the
experiment's exact reference. Fewer coefficients are the first that QR with column pivoting on the training images selects.
Fewer dimensions make it easier to be inside a hull, so the question is how few.

    python -m experiments.wavelet_hull                      digits, seconds, no download
    python -m experiments.wavelet_hull cpu                  MNIST, 60,000 × 1,000, and CIFAR-10, 10,000 × 300: ten minutes
    python -m experiments.wavelet_hull paper                both in full

"All" is `hullx.runs.claims.ALL`. Distances are equal if their relative difference is at most 1e-6. "Share of energy" is the
share of the test images' squared norms in the coefficients.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import hullx
from hullx import runs, spaces
from hullx.data import Dataset, Sample
from hullx.geometry import extent
from hullx.runs import pictures, plotting

SOURCE = "arXiv 2101.09849"
PIXELS = "pixels"
DIFFERENCE = "largest relative difference from the pixels' distance"
EQUAL = 1e-6
SHOWN = 5  # test images in the figure


@dataclass(frozen=True)
class Config(runs.Config):
    """Settings of the experiment.

    Attributes:
        data: data sets, as in hullx.data.Sample.
        wavelets: orthogonal wavelets, by their names in PyWavelets.
        kept: numbers of coefficients to keep, each below the total number.
    """

    data: tuple[Sample, ...] = (Sample("digits"),)
    wavelets: tuple[str, ...] = ("haar", "db2")
    kept: tuple[int, ...] = (8, 32)


FEW = (10, 20, 50, 100, 200, 300, 500)
PRESETS = {
    "smoke": Config(),
    "cpu": Config(data=(Sample("mnist:60000:1000"), Sample("cifar10:10000:300")), kept=FEW),
    "paper": Config(data=(Sample("mnist"), Sample("cifar10")), kept=FEW),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure distances in pixels, with all coefficients, and with some."""
    for sample in config.data:
        data = sample.load(seed=config.seed, data_dir=config.data_dir)
        _, height, width, channels = data.test.images.shape
        shape = height, width, channels
        in_pixels = sweep_space(config, run, data, PIXELS, spaces.Pixels(shape))
        shown = {"image": data.test.images[:SHOWN], "label": np.array(data.classes)[data.test.labels[:SHOWN]]}
        for wavelet in config.wavelets:
            space = spaces.Wavelets(shape, wavelet)
            every = np.prod(shape)
            found = sweep_space(config, run, data, f"{wavelet}, all {every:,}", space)
            difference = np.abs(found.distance / in_pixels.distance - 1).max()
            run.record(DIFFERENCE, difference, data=data.title, group=f"{wavelet}, all {every:,}")
            order = run.cached(f"{data.title} {wavelet} pivots", spaces.pivots, space, data.train.images)
            for k in config.kept:
                some = spaces.selected(space, order, k)
                sweep_space(config, run, data, f"{wavelet}, {k}", some)
                shown[f"{wavelet} {k}"] = np.asarray(some.inverse(some(data.test.images[:SHOWN])))
        run.arrays(f"{data.title} kept", **shown)


def sweep_space(config: Config, run: runs.Run[Config], data: Dataset, group: str, space: spaces.Space) -> hullx.Projection:
    """Compute and record the test images' distances in a space."""
    name = f"{data.title}, {group}"
    train, test = (spaces.rows(space, split.images) for split in (data.train, data.test))
    found = hullx.sweep(test, train, rtol=config.rtol, resume=run.resume_dir(name), progress=name)
    run.distances(found, data=data.title, group=group)
    size = run.cached(f"{name} extent", extent, runs.generator(config.seed, name), train)
    run.record("÷ mean pairwise distance", found.distance / size.pairwise_mean, data=data.title, group=group)
    run.record("images mixed", found.support_size, data=data.title, group=group)
    energy = (test.astype(np.float64) ** 2).sum() / (data.test.rows.astype(np.float64) ** 2).sum()
    run.record("share of energy", energy, data=data.title, group=group, unit="share")
    return found


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Distances agree with pixels; images are outside with all coefficients, and with few."""
    for data in results.names("data"):
        for group in results.names("group", data=data, quantity=DIFFERENCE):
            wavelet = group.partition(",")[0]
            difference = results.estimate(DIFFERENCE, data=data, group=group)
            equal = runs.HOLDS if difference.value <= EQUAL else runs.FAILS
            about = {"data": data, "group": group}
            yield runs.Claim.of(difference, "distances equal those in pixels", "orthonormality", f"≤ {EQUAL:g}", equal, **about)
            yield outside_claim(results, data, group, "test images are outside the hull with all coefficients")
            few = [f"{wavelet}, {k}" for k in results.config["kept"]]
            shares = {name: results.estimate("share outside", data=data, group=name).value for name in few}
            note = "; ".join(f"{name.partition(', ')[2]} {share:.4g}" for name, share in shares.items())
            yield outside_claim(
                results,
                data,
                few[-1],
                "test images are outside with the most coefficients kept",
                note=f"share outside by k: {note}",
            )
            yield outside_claim(results, data, few[0], "test images are outside with the fewest coefficients kept")


def outside_claim(results: runs.Results, data: str, group: str, name: str, note: str = "") -> runs.Claim:
    """Whether all test images are outside."""
    share, about = results.estimate("share outside", data=data, group=group), {"data": data, "group": group}
    undecided, _ = results.total("undecided", **about)
    return runs.Claim.of(share, name, SOURCE, "all", runs.all_of(share, undecided=undecided), **about, unit="%", note=note)


def figures(results: runs.Results) -> plotting.Figures:
    """Share outside, distance and energy by number of coefficients; images reconstructed from few coefficients."""
    kept, wavelets = results.config["kept"], results.config["wavelets"]
    rows = [
        (data, wavelet, k, group)
        for data in results.names("data")
        for wavelet in wavelets
        for k, group in [*((k, f"{wavelet}, {k}") for k in kept), all_coefficients(results, data, wavelet)]
    ]
    table = {
        name: np.array(values)
        for name, values in zip(("data", "wavelet", "coefficients"), zip(*rows, strict=True), strict=False)
    }
    quantities = {
        name: name.replace("÷", "distance ÷") for name in ("share outside", "÷ mean pairwise distance", "share of energy")
    }
    for name in quantities:
        table[name] = np.array([results.estimate(name, data=data, group=group).value for data, *_, group in rows])
    title = "Test images in wavelet space, by number of coefficients kept (last: all)"
    yield "coefficients", plotting.curves(title, table, "coefficients", quantities, columns="data", by="wavelet", xscale="log")
    for data in results.names("data"):
        shown = results.arrays(f"{data} kept")
        columns = {"all": shown["image"]} | {f"{k}": shown[f"{wavelets[0]} {k}"] for k in reversed(kept)}
        title = f"{data}: test images, and their reconstructions from the first {wavelets[0]} coefficients by pivoted QR"
        drawn, axes = plotting.figure(SHOWN, len(columns), size=(1.2 * len(columns) + 0.5, 1.25 * SHOWN + 0.6), title=title)
        for column, (name, images) in zip(axes.T, columns.items(), strict=True):
            pictures.pictures(column, images, [name] + [""] * (SHOWN - 1))
        yield f"{data} kept", drawn


def all_coefficients(results: runs.Results, data: str, wavelet: str) -> tuple[int, str]:
    """The number of coefficients of a wavelet, and the group that keeps all of them."""
    names = results.names("group", data=data, quantity=DIFFERENCE)
    (group,) = [name for name in names if name.startswith(f"{wavelet}, ")]
    return int(group.rpartition(" ")[2].replace(",", "")), group


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
