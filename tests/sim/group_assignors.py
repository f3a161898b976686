"""How the simulated members share partitions: from what the leader is told about each, who reads what."""

import struct

EAGER = "eager"
STICKY = "sticky"
COOPERATIVE = "cooperative"
_GENERATION = struct.Struct(">i")


def claim(generation: int, partitions: tuple[int, ...]) -> bytes:
    """What a cooperative member says of itself: what it holds, and since which generation."""
    return _GENERATION.pack(generation) + bytes(sorted(partitions))


def claimed(metadata: bytes) -> tuple[int, bytes]:
    return _GENERATION.unpack_from(metadata)[0], metadata[_GENERATION.size :]


def eager(members: dict[str, bytes], count: int) -> dict[str, bytes]:
    """Everything anew, as even as can be."""
    parts = {member_id: bytearray() for member_id in members}
    for partition in range(count):
        sorted(parts.items(), key=lambda item: (len(item[1]), item[0]))[0][1].append(partition)
    return {member_id: bytes(part) for member_id, part in parts.items()}


def cooperative(members: dict[str, bytes], count: int) -> dict[str, bytes]:
    """Everyone keeps what it holds, up to its share. What moves is given to nobody before its holder let it go."""
    holders: dict[int, tuple[int, str]] = {}
    for member_id in sorted(members):
        generation, held = claimed(members[member_id])
        for partition in held:
            holders[partition] = max(holders.get(partition, (generation, member_id)), (generation, member_id))
    shares = [count // len(members) + (number < count % len(members)) for number in range(len(members))]
    kept: dict[str, list[int]] = {member_id: [] for member_id in members}
    for partition, (_, member_id) in sorted(holders.items()):
        kept[member_id].append(partition)
    by_size = sorted(members, key=lambda member_id: (-len(kept[member_id]), member_id))
    parts = {member_id: kept[member_id][:share] for member_id, share in zip(by_size, shares, strict=True)}
    free = [partition for partition in range(count) if partition not in holders]
    for member_id, share in zip(by_size, shares, strict=True):
        while free and len(parts[member_id]) < share:
            parts[member_id].append(free.pop())
    return {member_id: bytes(sorted(part)) for member_id, part in parts.items()}
