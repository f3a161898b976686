"""Writing to an asyncio transport so that its protocol is told when the peer does not keep up. Shell.

Tested in tests/core/client/test_tcp.py and tests/core/broker/test_connection.py, on both event loops.
"""

import asyncio
from collections.abc import Iterable

from .ports import Buffer


def write_parts(transport: asyncio.Transport, parts: Iterable[Buffer], high_water_bytes: int) -> None:
    """Writes buffers one after the other, with pause_writing() once more than high_water_bytes wait for the peer.

    The transport's own writelines() forgets that in Python 3.12.0 to 3.12.8 and 3.13.0 to 3.13.1 (CVE-2024-12254): a
    peer that does not read would cost all memory. Setting the limits again makes it look.
    """
    transport.writelines(parts)
    if transport.get_write_buffer_size() > high_water_bytes:
        transport.set_write_buffer_limits(high_water_bytes)
