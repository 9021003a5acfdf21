"""Kept results and the tables made from them."""

from __future__ import annotations

import json
from pathlib import Path

from commands import Done, hullx_runs, started
from toy import experiment

from hullx.runs import gallery


def toy(out: Path, *arguments: object) -> Done:
    return started(experiment.main, *arguments, "--out", out)


def test_runs_of_before_units_are_shown_and_judged(tmp_path: Path) -> None:
    folder = toy(tmp_path / "runs").folder
    text = (folder / "results.csv").read_text()
    assert "undecided,0.0,,,20,count\n" in text
    (folder / "results.csv").write_text("\n".join(line.rpartition(",")[0] for line in text.splitlines()))
    assert hullx_runs("judge", folder).status == 0
    assert "0.9" in hullx_runs("show", folder).out
    assert "| toy | number |" in gallery.table(gallery.keep(folder, tmp_path / "results") / "results.csv", "number")


def test_the_gallery_is_made_from_kept_files(tmp_path: Path) -> None:
    folder = toy(tmp_path / "runs").folder
    kept = gallery.keep(folder, tmp_path / "results")
    assert kept == tmp_path / "results" / "toy-smoke"
    files = {path.name for path in kept.iterdir()}
    assert files == {"results.csv", "claims.json", "provenance.json", *(path.name for path in folder.glob("figures/*.png"))}
    assert str(tmp_path) not in (kept / "provenance.json").read_text()
    assert hullx_runs("stale", tmp_path).out == "0 kept results come from other code\n"
    known = json.loads((kept / "provenance.json").read_text())
    (kept / "provenance.json").write_text(json.dumps(known | {"code": "another"}))
    assert hullx_runs("stale", tmp_path).out == f"{kept}\n1 kept results come from other code\n"
    (kept / "provenance.json").unlink()  # as runs of earlier versions
    assert hullx_runs("stale", tmp_path).out == f"{kept}\n1 kept results come from other code\n"
    (kept / "provenance.json").write_text(json.dumps(known))
    (kept / "plain.csv").write_text("x,y\n1,2\n")
    page = tmp_path / "README.md"
    places = [
        f"<!-- table: {what} from results/toy-smoke/{name} -->\nstale\n<!-- end -->"
        for what, name in (
            ("number; undecided", "results.csv"),
            ("claims", "claims.json"),
            ("all", "plain.csv"),
            ("verdicts", ""),
        )
    ]
    page.write_text("\n".join(["before", *places, "after"]))
    assert hullx_runs("gallery", page).out == f"4 tables of {page}\n"
    text = page.read_text()
    assert "stale" not in text
    assert "| toy | number | undecided |" in text
    assert "| 0 of 20 |" in text
    assert "| a is positive | all |" in text
    assert "| 1 | 2 |" in text
    assert "| toy-smoke | " in text
    assert hullx_runs("gallery", tmp_path).out == f"4 tables of {page}\n"  # of all pages in a folder
    assert page.read_text() == text  # nothing grows
    page.write_text(text.replace("number; undecided", "nonsense"))
    assert "has no quantity 'nonsense': name one of number, share positive, undecided" in hullx_runs("gallery", page).errors
