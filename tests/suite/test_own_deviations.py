"""A user's deviations files: an entry that cannot cover its evidence, or that names what nobody knows, is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refgrad.cli import main
from refgrad.errors import DeviationsFileError
from refgrad.graph import Graph
from refgrad.suite.own_deviations import remarks
from refgrad.testing import Case
from tests.testing.deviations.test_file import ENTRY

FAMILIES = ("ops", "graphs")


def said(folder: Path, entry: str) -> list[str]:
    """The remarks on a file with this entry, whose evidence is of a family of the user's own."""
    x = np.ones(2)
    case = Case("mine", Graph.record(lambda x: np.maximum(x, 1.0), x), {"x": x}, {"x": x}, x, "float64")
    (folder / "case.json").write_text(case.to_json())
    path = folder / "known.toml"
    path.write_text(entry)
    return list(remarks([str(path)], FAMILIES, "torch", ["cpu", "cuda:1"]))


def test_an_entry_of_known_names_needs_no_remark(tmp_path: Path) -> None:
    assert not said(tmp_path, ENTRY)
    assert not said(tmp_path, ENTRY + 'families = ["mine", "ops"]\nbackends = ["torch", "jax"]')
    assert not said(tmp_path, ENTRY.replace('["cpu"]', '["cpu", "cuda"]'))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (ENTRY + 'families = ["ops"]', "families are ['ops'], and its evidence"),
        (ENTRY + 'families = ["mine", "graph"]', "no family is named 'graph'; did you mean graphs?"),
        (ENTRY.replace('["cpu"]', '["cqu"]'), "devices are ['cqu'], and its evidence"),
        (ENTRY.replace('["float64"]', '["float32"]'), "dtypes are ['float32'], and its evidence"),
    ],
)
def test_an_entry_that_does_not_cover_its_evidence_is_refused(
    entry: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DeviationsFileError) as found:
        said(tmp_path, entry)
    assert str(found.value).startswith(f"{tmp_path / 'known.toml'}: entry one: {message}")


def test_an_unknown_backend_or_device_is_named(tmp_path: Path) -> None:
    [remark] = said(tmp_path, ENTRY + 'backend = "troch"')
    assert remark.endswith(
        "entry one names the backend troch, which this run does not know: nothing is excused there"
    )
    [remark] = said(tmp_path, ENTRY.replace('["cpu"]', '["cpu", "cdua"]'))
    assert "names the device cdua" in remark


def test_a_run_looks_at_them_before_it_judges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DeviationsFileError):
        said(tmp_path, ENTRY + 'families = ["mine", "graph"]')
    known = ["--deviations", str(tmp_path / "known.toml"), "--out", str(tmp_path / "out")]
    assert main(["conformance", *known]) == 2
    assert "no family is named 'graph'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
