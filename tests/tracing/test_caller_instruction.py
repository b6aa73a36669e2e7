"""A method knows for which expression it was called."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from refgrad.tracing import caller_instruction


class Asked:
    """Tells what each question says where a method is called."""

    def __float__(self) -> float:
        self.said = caller_instruction.formats()
        return 1.0

    def __hash__(self) -> int:
        self.said = caller_instruction.looks_for_member()
        return 1

    def __eq__(self, other: object) -> bool:
        return False

    @property
    def attribute(self) -> Any:
        self.said = (
            caller_instruction.only_asks(),
            caller_instruction.asks_for_attribute("attribute"),
            caller_instruction.caller(),
        )
        return None

    def __len__(self) -> int:
        self.said = caller_instruction.mentions("len")
        return 1


def test_formatting_is_told_from_conversion() -> None:
    x = Asked()
    for _ in range(300):  # until the interpreter has specialised its instructions
        assert "%.1f" % x == "1.0"  # noqa: UP031
        assert x.said is True
        float(x)
        assert x.said is False


def test_the_text_that_formats_is_known() -> None:
    class Shown:
        def __float__(self) -> float:
            self.said = caller_instruction.templates()
            return 1.0

    x = Shown()
    assert "%.1f" % x == "1.0"  # noqa: UP031 - what is tested
    assert x.said == ("%.1f",)
    assert "a: %(a)d, b: %(b)g" % {"a": 2, "b": x} == "a: 2, b: 1"  # noqa: UP031
    assert x.said == ("a: %(a)d, b: %(b)g",)
    assert b"%g" % x == b"1"
    assert x.said == ("%g",)
    template = "%g %%"
    assert template % x == "1 %"
    assert x.said == ()


def test_a_look_into_a_set_is_told_from_a_key() -> None:
    x = Asked()
    for _ in range(300):
        assert x not in {2, 3}
        assert x.said is True
        assert {x: 1}
        assert x.said is False
        hash(x)
        assert x.said is False


def test_hasattr_is_told_from_reading() -> None:
    x = Asked()
    for _ in range(300):
        hasattr(x, "attribute")
        assert x.said == (True, True, __name__)
        getattr(x, "attribute", None)
        assert x.said == (False, True, __name__)
        x.attribute  # noqa: B018
        assert x.said == (False, False, __name__)
        name = "attribute"
        getattr(x, name)
        assert x.said == (False, False, __name__)


def test_len_is_told_from_code_in_c() -> None:
    x = Asked()
    for _ in range(300):
        len(x)
        assert x.said is True
        bool(x)
        assert x.said is False


class Rows(list[int]):
    """Tells who writes."""

    def __setitem__(self, key: Any, value: Any) -> None:
        self.said = caller_instruction.within_a_call()


def test_a_write_by_code_in_c_is_told_from_one_of_the_caller() -> None:
    rows = Rows([1, 2])

    def by_name() -> None:
        operator.setitem(rows, 0, 1)

    def by_code_in_c() -> None:
        np.random.default_rng(0).shuffle(rows)

    for _ in range(300):
        rows[0] = 1
        assert rows.said is False
        by_name()
        assert rows.said is False
        by_code_in_c()
        assert rows.said is True
