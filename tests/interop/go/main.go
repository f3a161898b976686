// Scenes of a franz-go client for tests/interop/test_other_clients.py: SCENE SERVERS NAME [ASSIGNOR].
// Says what happens as one JSON object a line, without what differs from run to run.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const timeout = 200 * time.Second

func say(event string, value any) {
	line, err := json.Marshal(map[string]any{event: value})
	must(err)
	fmt.Println(string(line))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func client(servers string, options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(servers)}, options...)...)
	must(err)
	return made
}

// write sends 200 records with keys and idempotence through each codec, and reads them back.
func write(ctx context.Context, servers, topic string) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	sent := map[string]string{}
	for name, codec := range codecs {
		producer := client(servers, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(codec))
		var records []*kgo.Record
		for n := range 200 {
			key, value := fmt.Sprintf("%s-%d", name, n), fmt.Sprintf("value %d", n)
			sent[key] = value
			records = append(records, kgo.KeyStringRecord(key, value))
		}
		must(producer.ProduceSync(ctx, records...).FirstErr())
		producer.Close()
	}
	reader := client(servers, kgo.ConsumeTopics(topic))
	defer reader.Close()
	for left := len(sent); left > 0; {
		fetches := reader.PollFetches(ctx)
		must(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			if sent[string(record.Key)] != string(record.Value) {
				panic("not as sent: " + string(record.Key))
			}
			left--
		})
	}
	say("written and read", len(sent))
}

// values of partition 0, up to the one that says that it is the last.
func values(ctx context.Context, servers, topic string, level kgo.IsolationLevel) []string {
	reader := client(servers, kgo.FetchIsolationLevel(level),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	defer reader.Close()
	var found []string
	for len(found) == 0 || found[len(found)-1] != "last" {
		fetches := reader.PollFetches(ctx)
		must(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) { found = append(found, string(record.Value)) })
	}
	return found
}

func transactions(ctx context.Context, servers, topic string) {
	options := []kgo.Opt{kgo.TransactionalID(topic), kgo.DefaultProduceTopic(topic)}
	producer := client(servers, options...)
	end := func(how kgo.TransactionEndTry, texts ...string) {
		must(producer.BeginTransaction())
		for _, text := range texts {
			must(producer.ProduceSync(ctx, kgo.StringRecord(text)).FirstErr())
		}
		must(producer.EndTransaction(ctx, how))
	}
	end(kgo.TryCommit, "one", "two")
	end(kgo.TryAbort, "three")
	end(kgo.TryCommit, "four")
	copyInTransactions(ctx, servers, topic)
	must(producer.BeginTransaction())
	must(producer.ProduceSync(ctx, kgo.StringRecord("of a zombie")).FirstErr())
	successor := client(servers, options...)
	must(successor.BeginTransaction())
	must(successor.ProduceSync(ctx, kgo.StringRecord("of a successor")).FirstErr())
	must(successor.EndTransaction(ctx, kgo.TryCommit))
	var failure *kerr.Error
	err := producer.EndTransaction(ctx, kgo.TryCommit)
	say("the zombie is refused", errors.As(err, &failure))
	last := client(servers, kgo.DefaultProduceTopic(topic))
	must(last.ProduceSync(ctx, kgo.StringRecord("last")).FirstErr())
	last.Close()
	producer.CloseAllowingRebalance()
	successor.Close()
	say("committed", values(ctx, servers, topic, kgo.ReadCommitted()))
	say("all", values(ctx, servers, topic, kgo.ReadUncommitted()))
}

// copyInTransactions consumes the topic in a group and commits the group's offsets in the producer's transaction.
func copyInTransactions(ctx context.Context, servers, topic string) {
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(servers), kgo.TransactionalID(topic+"-copy"),
		kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.DefaultProduceTopic(topic), kgo.RequireStableFetchOffsets())
	must(err)
	defer session.Close()
	for copied := 0; copied < 3; {
		fetches := session.PollFetches(ctx)
		must(fetches.Err())
		must(session.Begin())
		fetches.EachRecord(func(record *kgo.Record) {
			must(session.ProduceSync(ctx, kgo.StringRecord("copy of "+string(record.Value))).FirstErr())
			copied++
		})
		committed, err := session.End(ctx, kgo.TryCommit)
		must(err)
		if !committed {
			panic("a transaction of a group is not committed")
		}
	}
}

type member struct {
	*kgo.Client
	lock     sync.Mutex
	assigned map[int32]bool
	told     []string
}

func (m *member) change(what string, owned bool) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
		m.lock.Lock()
		defer m.lock.Unlock()
		count := 0
		for _, partitions := range changed {
			for _, partition := range partitions {
				count++
				if owned {
					m.assigned[partition] = true
				} else {
					delete(m.assigned, partition)
				}
			}
		}
		if count > 0 {
			m.told = append(m.told, fmt.Sprintf("%s %d", what, count))
		}
	}
}

func (m *member) owns() int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.assigned)
}

func join(servers, topic, assignor string) *member {
	balancers := map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "sticky": kgo.StickyBalancer(),
		"cooperative-sticky": kgo.CooperativeStickyBalancer(),
	}
	made := &member{assigned: map[int32]bool{}}
	made.Client = client(servers, kgo.ConsumerGroup(topic+assignor), kgo.ConsumeTopics(topic),
		kgo.Balancers(balancers[assignor]), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.SessionTimeout(2*time.Minute), kgo.OnPartitionsAssigned(made.change("assigned", true)),
		kgo.OnPartitionsRevoked(made.change("revoked", false)), kgo.OnPartitionsLost(made.change("lost", false)))
	return made
}

// poll reads with all of them until it is so, and commits what they read.
func poll(ctx context.Context, done func() bool, read map[string]bool, members ...*member) {
	for !done() {
		must(ctx.Err())
		for _, one := range members {
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			fetches := one.PollFetches(short)
			cancel()
			found := 0
			fetches.EachRecord(func(record *kgo.Record) {
				at := fmt.Sprintf("%d/%d", record.Partition, record.Offset)
				if read[at] {
					panic("read twice: " + at)
				}
				read[at] = true
				found++
			})
			if found > 0 {
				must(one.CommitUncommittedOffsets(ctx))
			}
		}
	}
}

func group(ctx context.Context, servers, topic, assignor string) {
	read := map[string]bool{}
	first := join(servers, topic, assignor)
	poll(ctx, func() bool { return first.owns() == 4 && len(read) == 100 }, read, first)
	second := join(servers, topic, assignor)
	poll(ctx, func() bool { return first.owns() == 2 && second.owns() == 2 }, read, first, second)
	first.Close()
	poll(ctx, func() bool { return second.owns() == 4 }, read, second)
	second.Close()
	say("first", first.told)
	say("second", second.told)
	say("read", len(read))
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	scene, servers, name := os.Args[1], os.Args[2], os.Args[3]
	switch scene {
	case "write":
		write(ctx, servers, name)
	case "transactions":
		transactions(ctx, servers, name)
	case "group":
		group(ctx, servers, name, os.Args[4])
	case "admin":
		administer(ctx, kadm.NewClient(client(servers)), name)
	}
}

func text(number int64) string { return strconv.FormatInt(number, 10) }
