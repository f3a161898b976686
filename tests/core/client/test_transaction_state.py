import pytest

from millstream.core.client.producing.transaction_state import Phase, TransactionState
from millstream.core.errors import ErrorCode, Fenced, ProtocolError, Retriable


def ready() -> TransactionState:
    state = TransactionState()
    state.initialised()
    return state


def test_the_life_of_a_transaction():
    state = ready()

    state.begin()
    state.partitions.add(("t", 0))
    state.committing()
    assert state.touched
    state.ended()

    assert (state.phase, state.touched) == (Phase.READY, False)


def test_calls_out_of_turn_say_what_to_do():
    with pytest.raises(ProtocolError, match="call init_transactions"):
        TransactionState().begin()
    with pytest.raises(ProtocolError, match="call begin") as caught:
        ready().committing()
    assert caught.value.code is ErrorCode.INVALID_TXN_STATE


def test_a_transaction_that_failed_can_only_be_aborted():
    state = ready()
    state.begin()
    state.failed(Retriable("lost"))

    with pytest.raises(Retriable, match="lost"):
        state.committing()
    with pytest.raises(ProtocolError, match=r"call abort"):
        state.begin()
    state.aborting()
    state.ended()
    state.begin()

    assert state.error is None


def test_a_fenced_producer_is_finished():
    state = ready()
    state.begin()
    state.fatal(Fenced("newer"))

    for call in (state.begin, state.committing, state.aborting):
        with pytest.raises(Fenced):
            call()


def test_a_commit_whose_outcome_is_open_cannot_become_an_abort():
    state = ready()
    state.begin()
    state.committing()

    with pytest.raises(ProtocolError, match="call commit"):
        state.aborting()
    state.committing()
