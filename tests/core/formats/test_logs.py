"""Log formats against Python's re on 10,000 real lines and on damaged ones, which end at unmapped memory."""

import os
import random
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from core.guarded import GuardedMemory, check_in_own_process

from millstream.core.errors import PlanError
from millstream.core.formats.encodings import REMEDY
from millstream.core.formats.logs import LogFormat, combined_log, common_log

QUOTED = r'"((?:[^"\\]|\\.)*)"'
TIME = r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]"
BLANKS = "".join(map(chr, range(33)))
COMMON = rf"([^ ]+) ([^ ]+) (-|(?!- ).+?) {TIME} {QUOTED} (\d\d\d) (\d{{1,18}}|-)"
COMBINED = re.compile(rf"{COMMON} {QUOTED} {QUOTED}", re.ASCII | re.DOTALL)
REQUEST = re.compile(r"([A-Z]+) ([^ ].*?)(?: (HTTP/[^ ]{1,6}))?", re.DOTALL)
LINE = '10.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.0" 200 2326 "http://x/" "Mozilla/4.08 [en]"'
OTHER = "ms.regex(pattern) reads formats with other fields"
REAL_LINES = Path(os.environ.get("MILLSTREAM_ACCESS_LOG", Path(__file__).parents[2] / "data" / "apache_access.log"))


def expected(line: str) -> tuple[Any, ...] | None:
    """The eleven columns by Python's re and datetime; None for a line that is no combined log line."""
    match = COMBINED.fullmatch(line.rstrip(BLANKS))
    if match is None:
        return None
    host, identity, user, time, request, status, size, referer, agent = match.groups()
    try:
        at = datetime.strptime(time, "%d/%b/%Y:%H:%M:%S %z")
    except ValueError:
        return None
    parts = REQUEST.fullmatch(request)
    method, path, protocol = parts.groups() if parts else (None, request, None)
    texts = [None if text == "-" else text for text in (host, identity, user, path, referer, agent)]
    return (*texts[:3], at, method, texts[3], protocol, int(status), None if size == "-" else int(size), *texts[4:])


def rows_of(format: LogFormat, values: Any) -> tuple[dict[int, tuple[Any, ...]], dict[int, str]]:
    result = format.decode(values)
    result.columns.validate(full=True)
    assert result.columns.schema == format.schema
    columns = [column.to_pylist() for column in result.columns.columns]
    rows = dict(zip(result.rows.tolist(), zip(*columns, strict=True), strict=True)) if len(result.rows) else {}
    failures = {failure.row: failure.cause for failure in result.failures}
    assert sorted([*rows, *failures]) == list(range(len(values)))
    return rows, failures


def decode_line(line: str | bytes | None, format: LogFormat | None = None) -> tuple[Any, ...] | str:
    value = line.encode() if isinstance(line, str) else line
    rows, failures = rows_of(format or combined_log(), pa.array([value], pa.binary()))
    return rows[0] if rows else failures[0]


def test_ten_thousand_real_lines_with_one_malformed() -> None:
    if not REAL_LINES.exists():
        pytest.skip(f"the real log lines are not at {REAL_LINES}; MILLSTREAM_ACCESS_LOG names another place")
    lines = REAL_LINES.read_bytes().splitlines()

    rows, failures = rows_of(combined_log(), pa.array(lines, pa.binary()))

    assert len(lines) == 10_000
    assert failures == {8898: "combined log: no agent in quotes after the referer"}
    assert rows == {number: row for number, line in enumerate(lines) if (row := expected(line.decode()))}


def test_a_line_of_the_combined_format() -> None:
    row = decode_line(LINE)

    assert row == (
        "10.0.0.1",
        None,
        "frank",
        datetime.fromisoformat("2000-10-10T20:55:36+00:00"),
        "GET",
        "/a?b=c",
        "HTTP/1.0",
        200,
        2326,
        "http://x/",
        "Mozilla/4.08 [en]",
    )
    assert row == expected(LINE)


def test_a_line_of_the_common_format() -> None:
    line = LINE[: LINE.index(' "http:')]

    row = decode_line(LINE)
    assert decode_line(line, common_log()) == row[:9]
    assert decode_line(LINE, common_log()) == (
        f"common log: text after the last field; ms.combined_log() reads a referer and an agent, {OTHER}"
    )
    assert decode_line(line) == "combined log: no referer in quotes after the size"


@pytest.mark.parametrize(
    ("request_text", "parts"),
    [
        ("GET / HTTP/2.0", ("GET", "/", "HTTP/2.0")),
        ("GET /a b c HTTP/1.1", ("GET", "/a b c", "HTTP/1.1")),
        ("GET /old", ("GET", "/old", None)),
        ("-", (None, None, None)),
        ("", (None, "", None)),
        (r"\x16\x03\x01", (None, r"\x16\x03\x01", None)),
        ("GET", (None, "GET", None)),
        ("get / HTTP/1.1", (None, "get / HTTP/1.1", None)),
        ("GET  HTTP/1.1", (None, "GET  HTTP/1.1", None)),
        ("GET HTTP/1.1", ("GET", "HTTP/1.1", None)),
        (r"GET /\" HTTP/1.1", ("GET", r"/\"", "HTTP/1.1")),
    ],
)
def test_requests_of_every_kind(request_text: str, parts: tuple[str | None, ...]) -> None:
    row = decode_line(LINE.replace("GET /a?b=c HTTP/1.0", request_text))

    assert row[4:7] == parts


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (None, "null value"),
        ("", "empty line"),
        (" \t", "empty line"),
        ("hello", "combined log: no host, identity and user before a time in brackets"),
        ("a b [10/Oct/2000:13:55:36 -0700]", "combined log: no host, identity and user before a time in brackets"),
        (LINE.replace("Oct", "Okt"), "combined log: no time such as [17/May/2015:10:05:03 +0000] after the user"),
        (LINE.replace("10/Oct", "31/Sep"), "combined log: no time such as [17/May/2015:10:05:03 +0000] after the user"),
        (LINE.replace('"GET', "GET"), "combined log: no request in quotes after the time"),
        (LINE.replace("200 ", "20 "), "combined log: no status of three digits after the request"),
        (LINE.replace("2326", "x"), "combined log: no size, digits or a dash, after the status"),
        (LINE.replace('"http', "http"), "combined log: no referer in quotes after the size"),
        (LINE[:-1], "combined log: no agent in quotes after the referer"),
        (LINE + " 0.5", f"combined log: text after the last field; {OTHER}"),
        (LINE + ' "10.0.0.9"', f"combined log: text after the last field; {OTHER}"),  # as nginx's packaged format
        ("www:443 " + LINE, f"combined log: more than host, identity and user before the time; {OTHER}"),
        (
            "www " + LINE.replace("frank", "-"),
            f"combined log: more than host, identity and user before the time; {OTHER}",
        ),
        (LINE.encode().replace(b"/a", b"/\xff"), f"not UTF-8; {REMEDY}"),
    ],
)
def test_a_malformed_line_says_why(line: str | bytes | None, cause: str) -> None:
    assert decode_line(line) == cause


def test_blanks_at_the_end_of_a_line_are_no_part_of_it() -> None:
    assert decode_line(LINE + " \r\n") == decode_line(LINE)


def test_an_unknown_log_format_is_refused() -> None:
    with pytest.raises(PlanError, match="log format 'iis' is not known; use 'common' or 'combined'"):
        LogFormat("iis")
    with pytest.raises(PlanError, match="columns host cannot be written as log lines"):
        combined_log().encode(pa.RecordBatch.from_pydict({"host": ["a"]}))


# --- damage -------------------------------------------------------------------------------------------------------


def damaged(rng: random.Random) -> bytes:
    request = rng.choice(["GET / HTTP/1.1", "-", "POST /a b HTTP/1.0", r"\x16", r"GET /\"é\"", ""])
    line = LINE.replace("GET /a?b=c HTTP/1.0", request).replace(
        "frank", rng.choice(["-", "john smith", "x", "- -", "- x", "-x y"])
    )
    text = bytearray(line.encode())
    for _ in range(rng.choice([0, 1, 1, 2])):
        at = rng.randrange(len(text))
        kind = rng.randrange(4)
        if kind == 0:
            text[at] = rng.choice(b'"\\ []-+:/0123456789AaHP\x80\xc3\xff\t')
        elif kind == 1:
            del text[at : at + rng.randrange(1, 5)]
        elif kind == 2:
            text[at:at] = bytes([rng.choice(b'" \\[]-0A')])
        elif len(text) > 1:
            del text[max(1, at) :]
    return bytes(text)


def check_damaged_lines(seed: int, rounds: int) -> int:
    memory = GuardedMemory(1 << 16)
    format = combined_log()
    taken = 0
    for number in range(rounds):
        rng = random.Random(f"{seed}/{number}")
        lines = [damaged(rng) for _ in range(rng.randrange(1, 4))]
        rows, _ = rows_of(format, memory.values(lines))
        for index, line in enumerate(lines):
            try:
                wanted = expected(line.decode())
            except UnicodeDecodeError:
                wanted = None
            assert rows.get(index) == wanted, (seed, number, line)
            taken += wanted is not None
    return taken


def test_damaged_lines_agree_with_pythons_re_and_nothing_is_read_past_them() -> None:
    check_in_own_process("core.formats.test_logs", "check_damaged_lines", 4000)
