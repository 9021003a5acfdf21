"""Are test images outside the hull of the training images in wavelet space too, even with few coefficients?

Claim (R. Yousefzadeh, arXiv 2101.09849): they are. The transform is orthonormal: Haar's and Daubechies' wavelets, with as many
levels as the images can be halved. Fewer coefficients are the first that QR with column pivoting on the training images
selects. Fewer dimensions make it easier to be inside a hull, so the question is how few.

Two theorems check the method. With all coefficients every distance equals the distance in pixels. And no distance falls when
coefficients are added, because dropping coordinates shortens distances.

    python -m experiments.wavelet_hull                      digits, seconds, no download
    python -m experiments.wavelet_hull cpu                  MNIST, 60,000 × 1,000, and CIFAR-10, 10,000 × 300: ten minutes
    python -m experiments.wavelet_hull paper                both in full

"All" is `hullx.runs.claims.ALL`. Distances are equal if their relative difference is at most 1e-6, and fall by at most 1e-6 of
the distance in pixels. All distances are divided by the mean distance of two training images in pixels. "Share of energy" is
the share of the test images' squared norms in the coefficients.
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
FALL = "largest fall of a distance when coefficients are added ÷ distance in pixels"
RELATIVE = "÷ mean pairwise distance"
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
    "smoke": Config(wavelets=("haar",)),
    "cpu": Config(data=(Sample("mnist:60000:1000"), Sample("cifar10:10000:300")), kept=FEW),
    "paper": Config(data=(Sample("mnist"), Sample("cifar10")), kept=FEW),
}


def measure(config: Config, run: runs.Run[Config]) -> None:
    """Measure distances in pixels, with all coefficients, and with some."""
    for sample in config.data:
        data = sample.load(seed=config.seed, data_dir=config.data_dir)
        shape = data.test.images.shape[1:]
        rng = runs.generator(config.seed, sample, "extent")
        pairwise = run.cached(f"{data.title} extent", extent, rng, data.train.rows).pairwise_mean
        in_pixels = sweep_space(config, run, data, PIXELS, spaces.Pixels(shape), pairwise)
        shown = {"image": data.test.images[:SHOWN], "label": np.array(data.classes)[data.test.labels[:SHOWN]]}
        for wavelet in config.wavelets:
            space, group = spaces.Wavelets(shape, wavelet), f"{wavelet}, all {np.prod(shape):,}"
            order = run.cached(f"{data.title} {wavelet} pivots", spaces.pivots, space, data.train.images)
            distances = list[np.ndarray]()
            for k in config.kept:
                some = spaces.selected(space, order, k)
                distances.append(sweep_space(config, run, data, f"{wavelet}, {k}", some, pairwise).distance)
                shown[f"{wavelet} {k}"] = np.asarray(some.inverse(some(data.test.images[:SHOWN])))
            distances.append(sweep_space(config, run, data, group, space, pairwise).distance)
            difference = np.abs(distances[-1] / in_pixels.distance - 1).max()
            run.record(DIFFERENCE, difference, data=data.title, group=group)
            fall = (-np.diff(distances, axis=0) / in_pixels.distance).max()
            run.record(FALL, max(fall, 0.0), data=data.title, group=group)
        run.arrays(f"{data.title} kept", **shown)


def sweep_space(
    config: Config, run: runs.Run[Config], data: Dataset, group: str, space: spaces.Space, pairwise: float
) -> hullx.Projection:
    """Compute and record the test images' distances in a space."""
    name = f"{data.title}, {group}"
    train, test = (spaces.rows(space, split.images) for split in (data.train, data.test))
    found = hullx.sweep(test, train, rtol=config.rtol, resume=run.resume_dir(name), progress=name)
    # Distances inside are rounding errors.
    found = found._replace(distance=np.where(found.outside, found.distance, 0.0))
    run.distances(found, data=data.title, group=group)
    run.record(RELATIVE, found.distance / pairwise, data=data.title, group=group)
    run.record("images mixed", found.support_size, data=data.title, group=group)
    energy = (test.astype(np.float64) ** 2).sum() / (data.test.rows.astype(np.float64) ** 2).sum()
    run.record("share of energy", energy, data=data.title, group=group, unit="share")
    return found


def claims(results: runs.Results) -> Iterator[runs.Claim]:
    """Two checks by theorems; images are outside with all coefficients, and with few."""
    for data in results.names("data"):
        for group in results.names("group", data=data, quantity=DIFFERENCE):
            wavelet, about = group.partition(",")[0], {"data": data, "group": group}
            images = results.estimate("share outside", **about).n
            for quantity, words, source in (
                (DIFFERENCE, "distances equal those in pixels", "orthonormality"),
                (FALL, "no distance falls when coefficients are added", "theorem"),
            ):
                found = results.estimate(quantity, **about)
                verdict = runs.HOLDS if found.value <= EQUAL else runs.FAILS
                name, expected = f"check, {wavelet}: {words}", f"≤ {EQUAL:g}"
                yield runs.Claim.of(found, name, source, expected, verdict, **about, images=images)
            few, *_, many = results.config["kept"]
            yield outside_claim(results, data, group, f"{wavelet}, all coefficients")
            yield outside_claim(results, data, f"{wavelet}, {many}", f"{wavelet}, {many} coefficients")
            yield outside_claim(results, data, f"{wavelet}, {few}", f"{wavelet}, {few} coefficients")


def outside_claim(results: runs.Results, data: str, group: str, words: str) -> runs.Claim:
    """Whether all test images are outside."""
    share, about = results.estimate("share outside", data=data, group=group), {"data": data, "group": group}
    undecided, _ = results.total("undecided", **about)
    name, verdict = f"{words}: test images are outside", runs.all_of(share, undecided=undecided)
    return runs.Claim.of(share, name, SOURCE, "all", verdict, **about, unit="%", images=share.n)


def figures(results: runs.Results) -> plotting.Figures:
    """Share outside and distance by number of coefficients; images reconstructed from few coefficients."""
    kept, wavelets, sets = results.config["kept"], results.config["wavelets"], results.names("data")
    title = "Test images in wavelet space, by number of coefficients (last: all); 95% intervals"
    drawn, axes = plotting.figure(2, len(sets), size=(2 + 3.8 * len(sets), 5.6), title=title)
    for column, data in zip(axes.T, sets, strict=True):
        for i, (wavelet, colour) in enumerate(plotting.colours(wavelets).items()):
            names = results.names("group", data=data, quantity=DIFFERENCE)
            (every,) = [name for name in names if name.startswith(f"{wavelet}, ")]
            count = int(every.rpartition(" ")[2].replace(",", ""))
            for place, quantity in zip(column, ("share outside", RELATIVE), strict=True):
                groups = [*(f"{wavelet}, {k}" for k in kept), every]
                value, low, high = np.array([results.estimate(quantity, data=data, group=group)[:3] for group in groups]).T
                # The wavelets' curves nearly coincide: filled markers below hollow ones.
                x, bars = np.array([*kept, count]) * (1 + 0.06 * i), [value - low, high - value]
                look = {"color": colour, "linestyle": ("-", "--")[i % 2], "markersize": 6 - 2 * i, "marker": "os"[i % 2]}
                place.errorbar(x, value, np.maximum(bars, 0), label=wavelet, capsize=2, linewidth=1.2, **look)
                place.set(xscale="log", ylim=(0, None), ylabel=quantity.replace("÷", "distance ÷"))
                plotting.plain_ticks(place)
        column[0].set_title(plotting.data_name(data))
        column[1].set_xlabel("coefficients")
        column[1].legend()
    yield "coefficients", drawn
    for data in sets:
        shown = results.arrays(f"{data} kept")
        columns = {"all": shown["image"]} | {f"{k}": shown[f"{wavelets[0]} {k}"] for k in reversed(kept)}
        words = f"test images, and their reconstructions from {wavelets[0]} coefficients in the order of pivoted QR"
        title, size = f"{plotting.data_name(data)}: {words}", (1.2 * len(columns) + 0.5, 1.25 * SHOWN + 0.6)
        drawn, axes = plotting.figure(SHOWN, len(columns), size=size, title=title)
        for column, (name, images) in zip(axes.T, columns.items(), strict=True):
            pictures.pictures(column, images, [name] + [""] * (SHOWN - 1))
        yield f"{plotting.data_name(data)} kept", drawn


experiment = runs.Experiment(Config, PRESETS, measure, claims, figures)
if __name__ == "__main__":
    experiment.main()
