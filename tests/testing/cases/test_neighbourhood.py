from refgrad.testing.cases.neighbourhood import nearest

OF = [[], [], [0, 1], [2], [3, 1], [], [5]]


def test_the_nearest_come_first_and_what_no_edge_joins_never():
    assert nearest(OF, 3) == [3, 2, 4, 0, 1]
    assert nearest(OF, 6) == [6, 5]


def test_so_many_steps_and_no_more():
    assert nearest(OF, 3, 0) == [3]
    assert nearest(OF, 3, 1) == [3, 2, 4]
    assert nearest(OF, 3, 9) == nearest(OF, 3)
