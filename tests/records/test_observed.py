import json
from math import inf, nan

import pytest

from refgrad.errors import CaseFileError
from refgrad.records import Numbers, Observed, strict


def some() -> Observed:
    return Observed(
        {
            0: (Numbers("value", (2,), (), (0.5, -inf), ()),),
            12: (
                Numbers("gradient", (3, 40), (7, 41), (1.0, 2.0), (1.5, 2.0), wrong=True),
                Numbers("sent", (), (), (), (nan,), wrong=True, to=3),
            ),
        },
        (12, 0),
    )


def test_what_is_written_is_read_again():
    text = json.dumps(strict(some().to_dict()), allow_nan=False)
    again = Observed.read(json.loads(text))
    assert str(again) == str(some())  # NaN is not equal to itself
    assert again.nodes[0] == some().nodes[0]


def test_elements_are_found_by_their_indices():
    gradient = some().nodes[12][0]
    assert gradient.count == 2
    assert [gradient.place(i) for i in range(2)] == [(0, 7), (1, 1)]
    assert gradient.furthest() == 0
    assert Numbers("value", (2,), (), (0.5, nan), (0.5, nan), wrong=True).furthest() == 0
    assert Numbers("value", (2,), (), (0.5, nan), (0.5, 1.0), wrong=True).furthest() == 1


@pytest.mark.parametrize(
    ("array", "what"),
    [
        ({"part": "value", "shape": [], "got": [1.0, 2.0]}, "a list of 1 numbers"),
        ({"part": "value", "shape": [0], "at": [0]}, '"at"'), ({"part": "value", "shape": [1] * 70}, '"at"'),
        ({"shape": [2]}, '"part"'), ({"part": "rumour", "shape": []}, "value, gradient"), ({"part": "value", "shape": [-1]}, '"shape"'),
        ({"part": "value", "shape": [True]}, '"shape"'), ({"part": "value", "shape": [2], "got": [1.0]}, "a list of 2 numbers"),
        ({"part": "value", "shape": [9], "at": [3], "got": [1.0, 2.0]}, "a list of 1 numbers"),
        ({"part": "value", "shape": [1], "got": ["x"]}, '"got"'), ({"part": "sent", "shape": [], "to": -2}, '"to"'),
    ],
)  # fmt: skip
def test_what_is_no_array_of_a_node_is_refused_by_name(array, what):
    with pytest.raises(CaseFileError, match=what):
        Observed.read({"nodes": {"0": [array]}})


@pytest.mark.parametrize(
    "data", [{"nodes": {"x": []}}, {"nodes": {"1": 3}}, {"nodes": {}, "suspects": [-1]}, {"nodes": [1]}]
)
def test_nodes_and_suspects_have_numbers(data):
    with pytest.raises(CaseFileError):
        Observed.read(data)
