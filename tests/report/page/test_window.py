import random

import pytest

from refgrad.report.page.window import FEW, window


def some_graph(seed, n):
    draw = random.Random(seed)
    return [
        [] if k < 3 else [draw.randrange(max(0, k - 9), k) for _ in range(draw.randint(1, 3))]
        for k in range(n)
    ]


def reached(of, start, *, up):
    found, waiting = set(), [start]
    users = [[k for k, operands in enumerate(of) if j in operands] for j in range(len(of))]
    while waiting:
        for j in (of if up else users)[waiting.pop()]:
            if j not in found:
                found.add(j)
                waiting.append(j)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_the_window_has_its_middle_and_no_way_out_and_in_again(seed):
    n = 8 + 3 * seed
    of, middle = some_graph(seed, n), (7 * seed) % n
    found = window(of, middle, 12)
    inside = set(found.shown)
    assert middle in inside
    assert len(inside) <= max(12 + 2 * FEW, 12)
    parts = [found.shown, found.before, found.after, found.beside]
    assert sorted(k for part in parts for k in part) == list(range(n))
    above = set().union(*(reached(of, k, up=True) for k in inside))
    below = set().union(*(reached(of, k, up=False) for k in inside))
    assert set(found.before) == above - inside
    assert set(found.after) == below - inside
    assert not set(found.before) & below  # no path leaves the window and comes back
    assert not set(found.beside) & (above | below)


def test_a_small_graph_is_shown_whole():
    assert window([[], [], [0, 1]], 2, 12).shown == (0, 1, 2)
    assert window([], 0, 12).shown == ()


def test_so_few_that_a_box_would_take_their_room_are_shown():
    chain = [[]] + [[k] for k in range(19)]
    assert window(chain, 5, 8).before == ()  # 0 and 1 would be left over
    assert window(chain, 5, 8).shown[:3] == (0, 1, 2)
    assert len(window(chain, 5, 8).after) == 11


def test_a_graph_of_thousands_takes_no_time():
    found = window([[], []] + [[k, k // 2] for k in range(4000)], 2000, 12)
    assert 2000 in found.shown
    assert len(found.shown) <= 12 + 2 * FEW
