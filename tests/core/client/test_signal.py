import asyncio

from millstream.core.client.signal import Signal


async def test_a_signal_wakes_all_who_wait_and_is_not_remembered():
    signal = Signal()
    signal.give()
    waiting = [asyncio.ensure_future(signal.wait(10_000)) for _ in range(2)]
    await asyncio.sleep(0)
    signal.give()

    assert await asyncio.gather(*waiting) == [True, True]
    assert not await signal.wait(1)


async def test_one_waiter_that_is_cancelled_does_not_take_the_others_with_it():
    signal = Signal()
    first, second = (asyncio.ensure_future(signal.wait(10_000)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    signal.give()

    assert await second
