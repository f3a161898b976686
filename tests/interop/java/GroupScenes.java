// Members of a consumer group of the Java client. Arguments: bootstrap servers, topic, group, scene.
// "RangeAssignor" and the names of other assignors: a member has all partitions, a second one joins, the first leaves;
// says what each is told, as counts. "hold" leaves a member in the group, "release" takes it out.

import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

public class GroupScenes {
    static final long TIMEOUT_MS = 200_000;
    static final Map<String, Thread> HELD = new HashMap<>();
    static final Map<String, AtomicBoolean> RELEASED = new HashMap<>();

    static KafkaConsumer<String, String> member(String servers, String group, String assignor, String client) {
        Properties p = new Properties();
        p.put("bootstrap.servers", servers);
        p.put("group.id", group);
        p.put("client.id", client);
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        p.put("session.timeout.ms", "120000");
        p.put("heartbeat.interval.ms", "300");
        p.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor);
        p.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        p.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        return new KafkaConsumer<>(p);
    }

    static class Told implements ConsumerRebalanceListener {
        final String name;

        Told(String name) {
            this.name = name;
        }

        void say(String what, Collection<TopicPartition> partitions) {
            if (!partitions.isEmpty()) System.out.println(name + " " + what + " " + partitions.size());
        }

        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            say("assigned", partitions);
        }

        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            say("revoked", partitions);
        }

        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            say("lost", partitions);
        }
    }

    /** Polls all of them until it is so; commits what each has read. */
    static void until(BooleanSupplier done, TreeSet<String> read, List<KafkaConsumer<String, String>> members) {
        long end = System.currentTimeMillis() + TIMEOUT_MS;
        while (!done.getAsBoolean()) {
            if (System.currentTimeMillis() > end) throw new IllegalStateException("not so after a while");
            for (KafkaConsumer<String, String> member : members) {
                int before = read.size();
                for (ConsumerRecord<String, String> record : member.poll(Duration.ofMillis(50)))
                    if (!read.add(record.partition() + "/" + record.offset())) throw new IllegalStateException("twice");
                if (read.size() > before) member.commitSync();
            }
        }
    }

    static void rebalance(String servers, String topic, String group, String assignor) {
        TreeSet<String> read = new TreeSet<>();
        KafkaConsumer<String, String> first = member(servers, group, assignor, "first");
        KafkaConsumer<String, String> second = member(servers, group, assignor, "second");
        first.subscribe(List.of(topic), new Told("first"));
        int all = first.partitionsFor(topic).size();
        long count = first.endOffsets(first.partitionsFor(topic).stream()
            .map(at -> new TopicPartition(topic, at.partition())).toList()).values().stream().mapToLong(n -> n).sum();
        until(() -> first.assignment().size() == all && read.size() == count, read, List.of(first));
        System.out.println("first reads all " + count);
        second.subscribe(List.of(topic), new Told("second"));
        until(() -> second.assignment().size() == all / 2 && first.assignment().size() == all / 2, read,
            List.of(first, second));
        System.out.println("second has its share");
        first.close();
        until(() -> second.assignment().size() == all, read, List.of(second));
        System.out.println("first has left, " + read.size() + " read");
        second.close();
    }

    static void hold(String servers, String topic, String group) throws Exception {
        AtomicBoolean released = new AtomicBoolean();
        AtomicBoolean assigned = new AtomicBoolean();
        Thread thread = new Thread(() -> {
            KafkaConsumer<String, String> member = member(servers, group, "RangeAssignor", "held");
            member.subscribe(List.of(topic));
            while (!released.get()) {
                member.poll(Duration.ofMillis(50));
                if (!member.assignment().isEmpty()) assigned.set(true);
            }
            member.close();
        });
        thread.start();
        HELD.put(servers + group, thread);
        RELEASED.put(servers + group, released);
        while (!assigned.get() && thread.isAlive()) Thread.sleep(20);
        System.out.println("held");
    }

    public static void main(String[] args) throws Exception {
        if (args[3].equals("hold")) {
            hold(args[0], args[1], args[2]);
        } else if (args[3].equals("release")) {
            RELEASED.get(args[0] + args[2]).set(true);
            HELD.get(args[0] + args[2]).join();
        } else {
            rebalance(args[0], args[1], args[2], args[3]);
        }
    }
}
