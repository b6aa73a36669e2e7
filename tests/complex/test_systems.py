"""The determinant of complex matrices: what its other formula explains."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import complex as rc
from refgrad.bounds.formats import FORMATS
from refgrad.graph import Graph, Node
from refgrad.op import FUNCTIONS
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.node_by_node import NodeByNode
from refgrad.testing.judging.second_order import alternative_bounds, second_derivatives
from refgrad.tracing.ball import parts

torch = pytest.importorskip("torch")


def test_the_second_derivative_of_one_element_is_zero_up_to_the_rounding_of_two_terms() -> None:
    """Without a formula of its own the noise of det A^-1 would be wrong: the expected derivative is an exact zero."""
    from refgrad.torch.observe import observe

    rng = np.random.default_rng(0)
    for _ in range(20):
        z = {name: rng.standard_normal((1, 1)) for name in ("z", "z_imag")}
        graph = Graph()
        graph.nodes += [
            Node(name="z"),
            Node(name="z_imag"),
            Node(op=FUNCTIONS["complex.det"], of=(0, 1), params={}),
        ]
        graph.outputs = (2,)
        tangents = {name: rng.standard_normal((1, 1)) for name in z}
        case = Case("complex", graph, z, tangents, rng.standard_normal(2), "float64", order=2)
        judge = NodeByNode(case, observe(case))
        expected = second_derivatives(judge, ["z", "z_imag"])
        assert all(np.all(parts(x)[0] == 0) for x in expected)
        z0, z1 = complex(z["z"].item(), z["z_imag"].item()), complex(*(t.item() for t in tangents.values()))
        g = complex(*case.cotangent)
        noise = abs(np.conj(g) * (z0 * (z1 / z0) * (1 / z0) - z0 * (1 / z0 * z1 * (1 / z0))))
        for position in (0, 1):
            bound = max(float(r.bound.max()) for r in alternative_bounds(judge, ["z", "z_imag"], position))
            assert noise <= bound < abs(g * z1 / z0) / 2  # half a term is no rounding


def test_the_determinant_is_numpys() -> None:
    z = np.array([[1.0, 2.0], [3.0, 5.0]])
    # det((1 + i) z) = 2i det z: four products of parts and three sums for each of the terms 5 and 6, and the rounding of NumPy's own
    np.testing.assert_allclose(
        rc.det(z, z), [0.0, 2 * np.linalg.det(z)], rtol=0, atol=8 * FORMATS["float64"].u * 2 * (5 + 6)
    )
