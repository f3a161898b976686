"""Clients' regular expressions over transactional ids: RE2's language, all of an id, and in bounded time."""

import asyncio

import pytest
from core.broker.running import ask, running_broker
from core.broker.transactional import TransactionalProducer

from millstream.core.broker.coordination.id_patterns import matching
from millstream.core.errors import ErrorCode, ProtocolError
from millstream.core.wire.messages.k66_list_transactions import ListTransactionsRequest

IDS = ["a", "ab", "A", "b", "", "a\nb", "a.b", "ä", "a)", r"a\E"]


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("a", {"a"}),
        ("a|ab", {"a", "ab"}),
        ("(?i)a", {"a", "A"}),
        (".*", set(IDS) - {"a\nb"}),
        ("(?s).*", set(IDS)),
        ("a$", {"a"}),
        ("(?m)^a$.*", {"a"}),
        (r"a\.b", {"a.b"}),
        (r"\pL", {"a", "A", "b", "ä"}),
        (r"\Qa)", {"a)"}),
        (r"\Qa.\Eb", {"a.b"}),
        (r"a\\E", {r"a\E"}),
        (r"\\Qa|b", {"b"}),
        ("(?:)", {""}),
    ],
)
def test_a_pattern_names_ids_as_a_whole(pattern: str, named: set[str]) -> None:
    found = matching(pattern, IDS)

    assert {one for one, is_named in zip(IDS, found, strict=True) if is_named} == named


@pytest.mark.parametrize(
    "pattern", ["[", "a)|(b", "(", ")", "*", "a**", r"(a)\1", "(?=a)", "(?<!a)b", "a{1001}", "(a{1000}){1000}", "\\"]
)
@pytest.mark.parametrize("ids", [[], ["a"]])
def test_what_is_no_pattern_is_refused_whether_there_are_ids_or_not(pattern: str, ids: list[str]) -> None:
    with pytest.raises(ProtocolError) as refusal:
        matching(pattern, ids)

    assert refusal.value.code is ErrorCode.INVALID_REGULAR_EXPRESSION


async def test_a_pattern_that_backtracking_would_never_finish_is_answered_while_others_are_served(tmp_path) -> None:
    async with running_broker(tmp_path) as broker:
        for name in ("a" * 60 + "!", "aaa"):
            assert await TransactionalProducer(broker, name).begin() is ErrorCode.NONE

        async with asyncio.timeout(60):
            answers = await asyncio.gather(
                ask(broker, ListTransactionsRequest(transactional_id_pattern="(a|a)*(a+)+"), 2),
                ask(broker, ListTransactionsRequest(transactional_id_pattern="["), 2),
                ask(broker, ListTransactionsRequest(), 2),
            )

    listed = [(one.error_code, [state.transactional_id for state in one.transaction_states]) for one in answers]
    assert listed == [
        (ErrorCode.NONE, ["aaa"]),
        (ErrorCode.INVALID_REGULAR_EXPRESSION, []),
        (ErrorCode.NONE, ["a" * 60 + "!", "aaa"]),
    ]
