"""Rows at a terminal of any width: names, ids, numbers and times are whole, and what is left out is said."""

import pytest

from millstream.cli import console
from millstream.cli.groups import MEMBER_SPARE
from millstream.cli.tables import Column, lay_out
from millstream.cli.transactions import PRODUCER_COLUMNS, PRODUCER_SPARE

PRODUCER = ("access-logs", 0, 10_004, 3, 1_234_567, "2026-11-21T08:00:00.123+00:00", 4_711_000, 12)


@pytest.fixture(params=[80, 120])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(console, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def test_a_table_of_many_columns_keeps_every_value_whole_and_says_what_it_leaves_out(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    console.show_rows(PRODUCER_COLUMNS, [PRODUCER, PRODUCER], as_json=False, spare=PRODUCER_SPARE)

    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in shown.out
    for value in ("access-logs", "10004", "4711000"):
        assert shown.out.count(value) == 2
    left_out = shown.err.partition(": ")[2].partition(";")[0].split(", ") if shown.err else []
    held = {"2026-11-21T08:00:00.123+00:00": "last written", "1,234,567": "last sequence"}
    for value, column in held.items():
        assert shown.out.count(value) == (0 if column in left_out else 2)
    assert left_out == (["last written"] if width == 80 else [])


def test_a_name_longer_than_the_terminal_is_folded_and_none_of_it_is_lost(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "app-" + "x" * 60 + "-KSTREAM-AGGREGATE-STATE-STORE-0000000003-" + "y" * 30 + "-changelog"

    console.show_rows(["topic", "partitions", "offsets used"], [(name, 6, 12), ("a", 1, 2)], as_json=False)

    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= width
    assert "".join(line.split()[0] for line in shown.splitlines()[1:-1]).endswith(name)
    assert shown.splitlines()[-1].split() == ["a", "1", "2"]


@pytest.mark.usefixtures("width")
def test_one_thing_that_is_described_has_a_field_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_rows(["transactional id", "state"], [("t" * 150, "Ongoing")], as_json=False, single=True)

    assert capsys.readouterr().out.splitlines() == ["transactional id  " + "t" * 150, "state             Ongoing"]


@pytest.mark.usefixtures("width")
def test_what_fits_no_table_has_a_field_a_line_for_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [f"identifier{number}" for number in range(10)]
    row = [f"{number}-" + "z" * 40 for number in range(10)]

    console.show_rows(columns, [row, row], as_json=False)

    lines = capsys.readouterr().out.splitlines()
    one = [f"{column}  {value}" for column, value in zip(columns, row, strict=True)]
    assert lines == [*one, "", *one]


def test_the_box_goes_before_any_column() -> None:
    columns = [Column("one", ("a" * 38,)), Column("two", ("b" * 38,))]

    assert lay_out(columns, ["two"], 83).boxed
    assert (lay_out(columns, ["two"], 80).boxed, lay_out(columns, ["two"], 80).left_out) == (False, ())
    assert lay_out(columns, ["two"], 77).left_out == ("two",)


@pytest.mark.usefixtures("width")
def test_nothing_found_is_said_instead_of_an_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_rows(["a", "b"], [], as_json=False, none="no hanging transactions")

    assert capsys.readouterr() == ("", "no hanging transactions\n")


def test_a_wide_column_that_goes_makes_room_for_those_that_went_before_it() -> None:
    columns = [Column("name", ("n" * 50,)), Column("small", ("s" * 10,)), Column("wide", ("w" * 60,))]

    assert lay_out(columns, ["small", "wide"], 80).left_out == ("wide",)
    assert lay_out(columns, ["small", "wide"], 55).left_out == ("small", "wide")


def test_a_member_id_is_whole_where_the_members_of_a_group_are_shown() -> None:
    ids = ("millstream-e34c8fea-5bb8-46b9-9d80-f31eb2223de2",)
    values = {
        "member id": ids,
        "client id": ("millstream",),
        "host": ("/127.0.0.1",),
        "assignment": ("access-logs:0,1",),
    }
    columns = [Column(name, cells) for name, cells in values.items()]

    layout = lay_out([*columns, Column("partitions", ("2",), numeric=True)], MEMBER_SPARE, 80)

    assert layout.columns[0].name == "member id"
    assert layout.widths[0] == len(ids[0])
