package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// name is Kafka's name of an error.
func name(err error) string {
	if err == nil {
		return "none"
	}
	var known *kerr.Error
	if errors.As(err, &known) {
		return known.Message
	}
	return err.Error()
}

// administer changes a topic with 100 records in 4 partitions, and a group.
func administer(ctx context.Context, admin *kadm.Client, topic string) {
	defer admin.Close()
	made := topic + "-made"
	retention := "3600000"
	_, err := admin.CreateTopic(ctx, 2, 1, map[string]*string{"retention.ms": &retention}, made)
	must(err)
	_, err = admin.CreateTopic(ctx, 2, 1, nil, made)
	say("created again", name(err))
	invalid, err := admin.CreateTopics(ctx, 1, 1, map[string]*string{"retention.mss": &retention}, topic+"-wrong")
	must(err)
	say("created wrongly", name(invalid[topic+"-wrong"].Err))
	partitions, err := admin.CreatePartitions(ctx, 1, made)
	must(err)
	must(partitions[made].Err)
	changed, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact")},
		{Op: kadm.DeleteConfig, Name: "retention.ms"},
	}, made)
	must(err)
	must(changed[0].Err)
	set := map[string]string{}
	for set["cleanup.policy"] != "compact" { // A Kafka answers before all of it knows of the change.
		configs, err := admin.DescribeTopicConfigs(ctx, made)
		must(err)
		for _, config := range configs[0].Configs {
			set[config.Key] = config.MaybeValue()
		}
	}
	say("configs", set)
	details, err := admin.ListTopics(ctx, made, topic)
	must(err)
	counts := map[string]int{}
	for _, detail := range details.Sorted() {
		counts[detail.Topic[len(topic):]] = len(detail.Partitions)
	}
	say("partitions", counts)
	administerRecords(ctx, admin, topic)
	administerGroup(ctx, admin, topic)
	deleted, err := admin.DeleteTopics(ctx, made, topic+"-absent")
	must(err)
	say("deleted", []string{name(deleted[made].Err), name(deleted[topic+"-absent"].Err)})
}

func administerRecords(ctx context.Context, admin *kadm.Client, topic string) {
	ends, err := admin.ListEndOffsets(ctx, topic)
	must(err)
	var total int64
	ends.Each(func(at kadm.ListedOffset) { total += at.Offset })
	say("records", text(total))
	var before kadm.Offsets
	before.AddOffset(topic, 0, 5, -1)
	before.AddOffset(topic, 1, 1_000_000, -1)
	removed, err := admin.DeleteRecords(ctx, before)
	must(err)
	say("removed", []string{text(removed[topic][0].LowWatermark), name(removed[topic][0].Err), name(removed[topic][1].Err)})
	starts, err := admin.ListStartOffsets(ctx, topic)
	must(err)
	say("start", text(starts[topic][0].Offset))
	epochs, err := admin.OffsetForLeaderEpoch(ctx, kadm.OffsetForLeaderEpochRequest{topic: {0: 0}})
	must(err)
	say("leader epoch", text(int64(epochs[topic][0].LeaderEpoch)))
	directories, err := admin.DescribeAllLogDirs(ctx, kadm.TopicsSet{topic: {0: {}, 1: {}, 2: {}, 3: {}}})
	must(err)
	count := 0
	directories.Each(func(directory kadm.DescribedLogDir) {
		directory.Topics.Each(func(kadm.DescribedLogDirPartition) { count++ })
	})
	say("partitions in directories", count)
	producers, err := admin.DescribeProducers(ctx, kadm.TopicsSet{topic: {0: {}}})
	must(err)
	say("producers", len(producers.SortedProducers()) > 0)
}

func administerGroup(ctx context.Context, admin *kadm.Client, topic string) {
	group := topic + "-group"
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: 7, LeaderEpoch: -1, Metadata: "by hand"})
	offsets.Add(kadm.Offset{Topic: topic, Partition: 1, At: 3, LeaderEpoch: -1})
	must(admin.CommitAllOffsets(ctx, group, offsets))
	fetched, err := admin.FetchOffsets(ctx, group)
	must(err)
	found := map[string]any{}
	fetched.Each(func(at kadm.OffsetResponse) { found[text(int64(at.Partition))] = []any{at.At, at.Metadata} })
	say("offsets", found)
	groups, err := admin.ListGroups(ctx)
	must(err)
	say("listed", []string{groups[group].ProtocolType, groups[group].State})
	described, err := admin.DescribeGroups(ctx, group, group+"-absent")
	must(err)
	say("described", []string{described[group].State, described[group+"-absent"].State})
	lags, err := admin.Lag(ctx, group)
	must(err)
	total, lag := 0, lags[group]
	for _, partition := range lag.Lag.Sorted() {
		total += int(partition.Lag)
	}
	say("lag is known", total > 0)
	var one kadm.TopicsSet
	one.Add(topic, 0)
	left, err := admin.DeleteOffsets(ctx, group, one)
	must(err)
	say("offset deleted", name(left[topic][0]))
	gone, err := admin.DeleteGroups(ctx, group, group+"-absent")
	must(err)
	say("groups deleted", []string{name(gone[group].Err), name(gone[group+"-absent"].Err)})
}
