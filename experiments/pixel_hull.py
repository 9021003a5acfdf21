"""Are the test images of a data set outside the convex hull of its training images, and how far?

Claim (R. Yousefzadeh, arXiv 2101.09849 and 2203.10366): all of them are, and considerably, so that classifying them is
extrapolation. Every distance here comes with a certified bracket: "outside" is proved by a separating hyperplane, not by
a solver's word.

    python -m experiments.pixel_hull                        digits, seconds, no download
    python -m experiments.pixel_hull cpu                    MNIST, 60,000 × 2,000
    python -m experiments.pixel_hull paper                  MNIST and CIFAR-10 in full
    python -m experiments.pixel_hull paper --dataset svhn_cropped

Controls: held-out training images against the other training images (is a test image any different?), and Gaussian samples with
the data's mean and covariance against as many others (is it only dimension?).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import hullx
from experiments.command import main
from hullx.data import Dataset, gaussian_like, load
from hullx.geometry.extent import Extent, extent, nearest_distances
from hullx.runs import folder as record
from hullx.runs import plotting

# "Considerably" is nowhere defined; here it means that half of the test images are farther from the hull than this
# share of the mean distance between two training images.
CONSIDERABLE = 0.1
# The groups of queries: the question, and its two controls.
GROUPS = TEST, HELD_OUT, GAUSSIAN = "test images", "held-out training", "Gaussian samples"
SUPPORTS_SHOWN = 8


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        dataset: names for hullx.data.load: digits, TFDS names, npz:PATH.
        train_size: training images that span the hull, drawn at random; all if not given.
        test_size: test images to project, drawn at random; all if not given.
        control_size: queries of each control.
        classifier_size: test images for the nearest-class-hull classifier.
        rtol: relative width of the certified bracket.
        seed: of every random choice.
        data_dir: where TFDS data sets lie; TFDS's default if not given.
    """

    dataset: tuple[str, ...] = ("digits",)
    train_size: int | None = None
    test_size: int | None = None
    control_size: int = 150
    classifier_size: int = 360
    rtol: float = 1e-6
    seed: int = 0
    data_dir: str | None = None


PRESETS = {
    "smoke": Config(),
    "cpu": Config(dataset=("mnist",), test_size=2000, control_size=500, classifier_size=500),
    "paper": Config(dataset=("mnist", "cifar10"), control_size=1000, classifier_size=1000),
}


def run(config: Config, folder: record.Run) -> None:
    """Measures each data set, writes the run folder and prints the closing table."""
    summary, claims = {}, {}
    for name in config.dataset:
        train_size, test_size = config.train_size, config.test_size
        data = load(name, train_size=train_size, test_size=test_size, seed=config.seed, data_dir=config.data_dir)
        measured = measure(config, data, folder)
        summary[data.title] = measured
        claims |= {f"{data.title}: {claim}": entry for claim, entry in judge(measured).items()}
        folder.finish({"results": summary, "claims": claims})
        figures(folder.folder)
        Console().print(closing_table(data, measured), closing_words(measured), highlight=False)


def measure(config: Config, data: Dataset, folder: record.Run) -> dict:
    """Distances of the test images and of the controls, as tables; their headline numbers, as a dict."""
    rng = np.random.default_rng(config.seed)
    train, test = data.train.rows, data.test.rows
    size = extent(rng, train)

    test_hull = hullx.sweep(test, train, rtol=config.rtol, progress=f"{data.title}, {TEST}")
    nearest = nearest_distances(test, train)
    support_labels = data.train.labels[test_hull.support]
    own_class = (test_hull.weights * (support_labels == data.test.labels[:, None])).sum(1)
    folder.table(
        f"{data.title} {TEST}",
        {
            "label": data.test.labels,
            "distance": test_hull.distance,
            "lower": test_hull.lower,
            "nearest_image": nearest,
            "support_size": test_hull.support_size,
            "own_class_weight": own_class,
            "iterations": test_hull.iterations,
            "status": [hullx.Status(code).name for code in test_hull.status],
        },
    )
    save_examples(folder, data, test_hull)

    # Control 1: some training images, each against all others but themselves and their fellows in this control.
    chosen = rng.permutation(len(train))[: config.control_size]
    rest = np.delete(train, chosen, axis=0)
    held_out = hullx.sweep(train[chosen], rest, rtol=config.rtol, progress=f"{data.title}, {HELD_OUT}")
    # Control 2: as many Gaussian points of the same mean and covariance, against fresh ones.
    gaussian = gaussian_like(rng, train, len(train) + len(chosen))
    gaussian_hull = hullx.sweep(
        gaussian[: len(chosen)], gaussian[len(chosen) :], rtol=config.rtol, progress=f"{data.title}, {GAUSSIAN}"
    )
    controls = {HELD_OUT: held_out, GAUSSIAN: gaussian_hull}
    for label, control in controls.items():
        folder.table(f"{data.title} {label}", {"distance": control.distance, "lower": control.lower, "status": control.status})

    return {
        "train_size": len(train),
        "dimension": train.shape[1],
        "extent": size._asdict(),
        TEST: headline(test_hull, size),
        **{label: headline(control, size) for label, control in controls.items()},
        "distance_over_nearest_image": float(np.mean(test_hull.distance / np.maximum(nearest, 1e-30))),
        "support_size": {"mean": float(test_hull.support_size.mean()), "max": int(test_hull.support_size.max())},
        "own_class_weight": float(np.nanmean(own_class)),
        "distance_by_class": {
            label: float(test_hull.distance[data.test.labels == k].mean())
            for k, label in enumerate(data.classes)
            if (data.test.labels == k).any()
        },
        "nearest_class_hull": classify(config, data, rng),
    }


def headline(result: hullx.Projection, size: Extent) -> dict:
    """What a group of queries comes to."""
    width = (result.distance - result.lower) / np.maximum(result.distance, 1e-300)
    return {
        "queries": len(result.distance),
        "outside": int(result.outside.sum()),
        "statuses": record.statuses(result.status),
        "mean_distance": float(result.distance.mean()),
        "std_distance": float(result.distance.std()),
        "median_distance": float(np.median(result.distance)),
        "min_distance": float(result.distance.min()),
        "max_relative_width": float(width[result.outside].max(initial=0)),
        "mean_over_pairwise": float(result.distance.mean() / size.pairwise_mean),
        "median_over_pairwise": float(np.median(result.distance) / size.pairwise_mean),
        "mean_over_diameter": float(result.distance.mean() / size.diameter),
    }


def classify(config: Config, data: Dataset, rng: np.random.Generator) -> dict:
    """Accuracy of calling each test image by the class whose hull is nearest."""
    chosen = rng.permutation(len(data.test.labels))[: config.classifier_size]
    images, labels = data.test.rows[chosen], data.test.labels[chosen]
    present = np.unique(data.train.labels)
    distances = np.stack(
        [
            hullx.sweep(
                images, data.train.rows[data.train.labels == k], rtol=1e-4, progress=f"{data.title}, hull of class {k}"
            ).distance
            for k in present
        ]
    )
    correct = present[distances.argmin(0)] == labels
    return {
        "queries": len(chosen),
        "accuracy": float(correct.mean()),
        "standard_error": float(correct.std() / len(chosen) ** 0.5),
    }


def judge(measured: dict) -> dict:
    """The claims and the verdicts that the numbers support."""
    test, held_out, gaussian = (measured[group] for group in GROUPS)

    def share(group: dict) -> float:
        return group["outside"] / group["queries"]

    def verdict(share_outside: float) -> str:
        return record.HOLDS if share_outside == 1 else record.IN_PART if share_outside > 0.5 else record.FAILS

    far = test["median_over_pairwise"]
    return {
        "test images are outside the hull": record.claim("100%", f"{share(test):.2%}", verdict(share(test))),
        "and considerably": record.claim(
            f"median distance over {CONSIDERABLE:.0%} of the mean distance between two training images",
            f"{far:.1%}",
            record.HOLDS if far > CONSIDERABLE else record.FAILS,
        ),
        "training images are outside the hull of the others": record.claim(
            "100%", f"{share(held_out):.2%}", verdict(share(held_out))
        ),
        "dimension and covariance alone put a sample outside": record.claim(
            "100% of Gaussian samples", f"{share(gaussian):.2%}", verdict(share(gaussian))
        ),
    }


def closing_table(data: Dataset, measured: dict) -> Table:
    """One row a group of queries."""
    table = Table(title=f"{data.title}: distance to the hull of {measured['train_size']:,} training images")
    for heading in ("queries", "outside", "distance", "÷ pairwise\ndistance", "undecided"):
        table.add_column(heading, justify="left" if heading == "queries" else "right")
    for label in GROUPS:
        group = measured[label]
        undecided = sum(count for status, count in group["statuses"].items() if status not in ("CONVERGED", "INSIDE"))
        table.add_row(
            label,
            f"{group['outside']:,} of {group['queries']:,}",
            f"{group['mean_distance']:.4g} ± {group['std_distance']:.2g}",
            f"{group['mean_over_pairwise']:.1%}",
            str(undecided),
        )
    return table


def closing_words(measured: dict) -> str:
    """The rest of the answer in sentences."""
    test, classifier, size = measured[TEST], measured["nearest_class_hull"], measured["extent"]
    return (
        f"Distances are certified to a relative {test['max_relative_width']:.1e}; ± is their spread over images; the "
        "percentage compares the mean with the mean distance between two training images. "
        f"The farthest two training images found are {size['diameter']:.4g} apart: "
        f"the mean test image is {test['mean_over_diameter']:.1%} of that outside the hull.\n"
        f"A test image is {measured['distance_over_nearest_image']:.0%} as far from the hull as from the nearest training "
        "image. "
        f"Its nearest point in the hull mixes {measured['support_size']['mean']:.0f} training images, "
        f"{measured['own_class_weight']:.0%} by weight of its own class.\n"
        f"Calling it by the class whose hull is nearest is right for {classifier['accuracy']:.1%} "
        f"± {classifier['standard_error']:.1%} of {classifier['queries']:,} images."
    )


def save_examples(folder: record.Run, data: Dataset, result: hullx.Projection) -> None:
    """Pixels for the figures: six test images from the nearest to the farthest, and the support of three of them."""
    order = np.argsort(result.distance)
    chosen = order[np.linspace(0, len(order) - 1, 6).astype(int)]
    shape = data.test.images.shape[1:]
    shown = result.support[chosen, :SUPPORTS_SHOWN]
    folder.arrays(
        f"{data.title} examples",
        image=data.test.images[chosen],
        projection=result.point[chosen].reshape(-1, *shape),
        distance=result.distance[chosen],
        label=np.array(data.classes)[data.test.labels[chosen]],
        support_image=data.train.images[shown],
        support_label=np.array(data.classes)[data.train.labels[shown]],
        weights=result.weights[chosen, :SUPPORTS_SHOWN],
    )


def figures(folder: Path) -> None:
    """Histograms of distances; image, projection and difference; support images with their weights."""
    for title, measured in record.read_json(folder, "summary.json")["results"].items():
        draw_distances(folder, title, measured)
        draw_examples(folder, title, record.read_arrays(folder, f"{title} examples"))


def draw_distances(folder: Path, title: str, measured: dict) -> None:
    """Distances of the three groups, and of the test images by class."""
    pairwise = measured["extent"]["pairwise_mean"]
    test = record.read_table(folder, f"{title} test images")
    unit = "distance / mean distance of two training images"
    with plotting.figure(folder, f"{title} distances", 1, 2, size=(9.5, 4)) as axes:
        groups = {group: record.read_table(folder, f"{title} {group}")["distance"] / pairwise for group in GROUPS}
        plotting.histograms(axes[0, 0], groups, unit, "share of queries")
        axes[0, 0].set_xlim(0, None)
        by_class = [test["distance"][test["label"] == k] / pairwise for k in np.unique(test["label"])]
        names = list(measured["distance_by_class"])
        axes[0, 1].boxplot(by_class, tick_labels=names, showfliers=False, medianprops={"color": plotting.COLOURS[0]})
        axes[0, 1].tick_params(axis="x", rotation=45 if max(map(len, names)) > 3 else 0)
        axes[0, 1].set(xlabel="class of the test image", ylabel=unit, ylim=(0, None))
        axes[0, 1].set_title(
            f"{title}: hull of {measured['train_size']:,} training images\nbox: quartiles, whiskers: 1.5 × their range",
            fontsize=9,
        )


def draw_examples(folder: Path, title: str, examples: dict[str, np.ndarray]) -> None:
    """Six test images with their projections; three of them with the training images that their projections mix."""
    image, projection, label = examples["image"], examples["projection"], examples["label"]
    with plotting.figure(folder, f"{title} projections", 3, len(image), size=(9.5, 5)) as axes:
        for k, column in enumerate(axes.T):
            plotting.image(column[0], image[k], f"“{label[k]}”, distance {examples['distance'][k]:.3g}")
            plotting.image(column[1], projection[k])
            plotting.image(column[2], image[k] - projection[k], symmetric=True)
        words = ("test image", "nearest point\nof the hull", "difference\nred: test brighter")
        for row, word in zip(axes[:, 0], words, strict=True):
            row.set_ylabel(word)
        column_of_extremes = {0: "nearest to the hull", len(image) - 1: "farthest from it"}
        for k, word in column_of_extremes.items():
            axes[2, k].set_xlabel(word)
    with plotting.figure(folder, f"{title} supports", 3, 2 + SUPPORTS_SHOWN, size=(11, 4)) as axes:
        for row, k in zip(axes, (0, len(image) // 2, -1), strict=True):
            weights = examples["weights"][k]
            shown = weights > 0
            rest = "" if weights.sum() > 0.995 else f"\n({1 - weights.sum():.0%} not shown)"
            plotting.images(
                row,
                [image[k], projection[k], *examples["support_image"][k][shown]],
                [
                    f"test “{label[k]}”\n",
                    f"nearest point mixes{rest or chr(10)}",
                    *(
                        f"{w:.0%} of\n“{name}”"
                        for w, name in zip(weights[shown], examples["support_label"][k][shown], strict=True)
                    ),
                ],
            )


if __name__ == "__main__":
    main("experiments.pixel_hull", __doc__, PRESETS, run)
