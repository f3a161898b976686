"""What a broker says of what it has none of: access control without an authorizer, a second log directory."""

from interop.conversation import Conversation, name
from interop.topic_answers import topic

from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k29_describe_acls import DescribeAclsRequest
from millstream.core.wire.messages.k30_create_acls import CreateAclsRequest
from millstream.core.wire.messages.k31_delete_acls import DeleteAclsRequest
from millstream.core.wire.messages.k34_alter_replica_log_dirs import AlterReplicaLogDirsRequest
from millstream.core.wire.messages.k35_describe_log_dirs import DescribeLogDirsRequest

READ, ALLOW, ANY, TOPIC, LITERAL = 3, 3, 1, 2, 3


async def about_acls(talk: Conversation) -> None:
    one = CreateAclsRequest.AclCreation(
        resource_type=TOPIC,
        resource_name="t",
        resource_pattern_type=LITERAL,
        principal="User:a",
        host="*",
        operation=READ,
        permission_type=ALLOW,
    )
    match = {"resource_type_filter": TOPIC, "pattern_type_filter": LITERAL, "operation": ANY, "permission_type": ANY}
    for version in (1, 2, 3):
        described = await talk.ask(DescribeAclsRequest(**match), version)
        talk.note("acls", version, name(described.error_code), described.error_message, described.resources)
        created = await talk.ask(CreateAclsRequest(creations=[one, one]), version)
        talk.note(" created", [(name(each.error_code), each.error_message) for each in created.results])
        deleted = await talk.ask(DeleteAclsRequest(filters=[DeleteAclsRequest.DeleteAclsFilter(**match)]), version)
        found = [(name(each.error_code), each.error_message, each.matching_acls) for each in deleted.filter_results]
        talk.note(" deleted", found)


async def about_moves(talk: Conversation) -> None:
    """Into the directory where a partition is, as DescribeLogDirs names it, and into others."""
    await talk.ask(CreateTopicsRequest(topics=[topic("moved", 2)], timeout_ms=10_000), 7)
    (place,) = (await talk.ask(DescribeLogDirsRequest(), 4)).results
    wanted = AlterReplicaLogDirsRequest
    named = [
        wanted.AlterReplicaLogDirTopic(name="moved", partitions=[0, 1, 7]),
        wanted.AlterReplicaLogDirTopic(name="nope", partitions=[0]),
    ]
    here = wanted.AlterReplicaLogDir(path=place.log_dir, topics=named)
    with_slash = wanted.AlterReplicaLogDir(path=f"{place.log_dir}/", topics=named)
    there = wanted.AlterReplicaLogDir(path=f"{place.log_dir}-there", topics=named)
    relative = wanted.AlterReplicaLogDir(path="there", topics=named)
    for label, places in [
        ("here", [here]),
        ("here with a slash", [with_slash]),
        ("there", [there]),
        ("to a relative path", [relative]),
        ("here and there", [here, there]),
        ("there and here", [there, here]),
        ("nothing", []),
    ]:
        for version in (1, 2):
            response = await talk.ask(wanted(dirs=places), version)
            answers = [
                (each.topic_name, part.partition_index, name(part.error_code))
                for each in response.results
                for part in each.partitions
            ]
            talk.note("moved", label, version, sorted(answers))
