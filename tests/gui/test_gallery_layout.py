"""Where the stamps of a gallery go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deeplense_gui.widgets.gallery_layout import GAP, HEADING, GalleryLayout

layouts = st.builds(
    GalleryLayout,
    st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any).map(tuple),
    st.integers(40, 900),
    st.tuples(st.integers(30, 200), st.integers(30, 220)),
    st.booleans(),
)


@given(layouts)
def test_every_candidate_has_a_place_of_its_own(layout):
    width, height = layout.cell
    seen = []
    for index in range(layout.count):
        x, y = layout.place(index)
        assert layout.index_at(x, y) == layout.index_at(x + width - 1, y + height - 1) == index
        assert x >= GAP
        assert GAP <= y <= layout.height - height
        seen.append((x, y))
    assert len(set(seen)) == layout.count
    assert [y for _, y in seen] == sorted(y for _, y in seen)


@given(layouts, st.integers(-50, 3000), st.integers(1, 900))
def test_what_is_between_two_lines_is_what_meets_them(layout, top, tall):
    meeting = [
        index
        for index in range(layout.count)
        if layout.place(index)[1] < top + tall and layout.place(index)[1] + layout.cell[1] > top
    ]
    assert list(layout.between(top, top + tall)) == meeting


@given(layouts, st.data())
def test_down_and_up_stay_in_the_column(layout, data):
    index = data.draw(st.integers(0, layout.count - 1))
    below = layout.up_or_down(index, 1)
    assert 0 <= below < layout.count
    x, y = layout.place(index)
    if layout.place(below)[1] > y:
        assert layout.place(below)[0] <= x
        if layout.place(below)[0] == x:
            assert layout.up_or_down(below, -1) == index
    assert layout.place(layout.up_or_down(index, 10_000))[1] == layout.place(layout.count - 1)[1]
    assert layout.place(layout.up_or_down(index, -10_000))[1] == layout.place(0)[1]


def test_titles_stand_above_their_sections():
    layout = GalleryLayout((3, 0, 2), 500, (100, 120), headed=True)
    assert layout.columns == 4
    titles = list(layout.headings(0, layout.height))
    assert [section for section, _ in titles] == [0, 2]
    assert titles[0][1] + HEADING == layout.place(0)[1]
    assert titles[1][1] + HEADING == layout.place(3)[1]


def test_a_million_candidates_cost_nothing():
    layout = GalleryLayout((1_000_000,), 1000, (100, 120))
    assert layout.index_at(*layout.place(999_999)) == 999_999
    assert len(layout.between(10_000_000, 10_000_800)) < 100
