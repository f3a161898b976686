"""What a client tells a node of its partitions, and when."""

from millstream.core.client.consuming.fetch_session import FetchSession, Wanted
from millstream.core.wire.message import ZERO_UUID
from millstream.core.wire.messages.k01_fetch import FetchRequest

ID, OTHER_ID = bytes(range(16)), bytes(range(1, 17))


def at(offset: int, topic_id: bytes = ZERO_UUID) -> Wanted:
    return Wanted(topic_id, offset, 100)


def asked(request: FetchRequest) -> dict[tuple[str, int], int]:
    return {(topic.topic, one.partition): one.fetch_offset for topic in request.topics for one in topic.partitions}


def forgotten(request: FetchRequest) -> list[tuple[str, bytes, list[int]]]:
    return [(topic.topic, topic.topic_id, topic.partitions) for topic in request.forgotten_topics_data]


def place(request: FetchRequest) -> tuple[int, int]:
    return request.session_id, request.session_epoch


def test_the_first_request_names_all_and_the_next_ones_what_has_changed() -> None:
    session = FetchSession()

    first = session.ask({("t", 0): at(1), ("t", 1): at(2), ("u", 0): at(3)}, by_id=False)
    session.accept(7)
    second = session.ask({("t", 0): at(1), ("t", 1): at(5), ("t", 2): at(0)}, by_id=False)
    session.accept(7)
    third = session.ask({("t", 0): at(1), ("t", 1): at(5), ("t", 2): at(0)}, by_id=False)

    assert (place(first), asked(first)) == ((0, 0), {("t", 0): 1, ("t", 1): 2, ("u", 0): 3})
    assert (place(second), asked(second)) == ((7, 1), {("t", 1): 5, ("t", 2): 0})
    assert forgotten(second) == [("u", ZERO_UUID, [0])]
    assert (place(third), asked(third), forgotten(third)) == ((7, 2), {}, [])


def test_a_node_that_keeps_no_session_is_told_everything_each_time() -> None:
    session = FetchSession()

    for _ in range(2):
        request = session.ask({("t", 0): at(1)}, by_id=False)
        assert (place(request), asked(request)) == ((0, 0), {("t", 0): 1})
        session.accept(0)


def test_after_an_error_the_old_session_is_ended_by_a_full_request() -> None:
    session = FetchSession()
    session.ask({("t", 0): at(1)}, by_id=False)
    session.accept(7)
    session.ask({("t", 0): at(2)}, by_id=False)

    session.forget()
    request = session.ask({("t", 0): at(2)}, by_id=False)
    session.accept(8)

    assert (place(request), asked(request)) == ((7, 0), {("t", 0): 2})
    assert place(session.ask({("t", 0): at(2)}, by_id=False)) == (8, 1)


def test_a_topic_that_was_made_anew_replaces_the_old_one() -> None:
    session = FetchSession()
    session.ask({("t", 0): at(1, ID)}, by_id=True)
    session.accept(7)

    request = session.ask({("t", 0): at(1, OTHER_ID)}, by_id=True)

    assert [(topic.topic, topic.topic_id) for topic in request.topics] == [("", OTHER_ID)]
    assert forgotten(request) == [("", ID, [0])]


def test_a_change_between_names_and_ids_begins_a_new_session() -> None:
    session = FetchSession()
    session.ask({("t", 0): at(1, ID)}, by_id=True)
    session.accept(7)

    request = session.ask({("t", 0): at(1), ("u", 0): at(2)}, by_id=False)

    assert (place(request), asked(request)) == ((7, 0), {("t", 0): 1, ("u", 0): 2})


def test_the_epoch_after_the_largest_is_the_first_one() -> None:
    session = FetchSession()
    session._id, session._epoch = 7, 2**31 - 1

    session.accept(7)

    assert place(session.ask({("t", 0): at(1)}, by_id=False)) == (7, 1)
