// Transactions of Kafka's own producer, one after the other: committed, aborted, empty, with offsets of a group, fenced.
// Arguments: bootstrap servers, output topic of three partitions, group and transactional id.
// Prints what happened, without producer ids and times, so that two brokers can be compared.

import java.time.Duration;
import java.util.*;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

@SuppressWarnings("removal")
public class TransactionalLoop {
    static final int ROUNDS = 40;
    static String bootstrap, topic, name;

    static KafkaProducer<String, String> producer(int timeoutMs) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("transactional.id", name);
        p.put("transaction.timeout.ms", timeoutMs);
        p.put("max.block.ms", 120000);
        p.put("linger.ms", 1);
        return new KafkaProducer<>(p, new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(String isolation) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("isolation.level", isolation);
        p.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer());
    }

    static void send(KafkaProducer<String, String> producer, String value, int... partitions) {
        for (int partition : partitions) producer.send(new ProducerRecord<>(topic, partition, null, value));
    }

    static Map<TopicPartition, OffsetAndMetadata> offsets(long offset) {
        return Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(offset));
    }

    // What a consumer of this isolation level gets of each partition, up to the end that it is told of.
    static List<List<String>> read(String isolation) {
        List<List<String>> found = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = consumer(isolation)) {
            for (int partition = 0; partition < 3; partition++) {
                TopicPartition where = new TopicPartition(topic, partition);
                consumer.assign(List.of(where));
                consumer.seekToBeginning(List.of(where));
                long end = consumer.endOffsets(List.of(where)).get(where);
                List<String> values = new ArrayList<>();
                while (consumer.position(where) < end)
                    consumer.poll(Duration.ofMillis(200)).forEach(record -> values.add(record.value()));
                found.add(values);
            }
        }
        return found;
    }

    // For the stack trace: the client's own exceptions have none.
    static void step(String what, Runnable action) {
        try {
            action.run();
        } catch (KafkaException error) {
            throw new RuntimeException(what, error);
        }
    }

    static String failure(Runnable action) {
        try {
            action.run();
            return "none";
        } catch (KafkaException error) {
            return error.getClass().getSimpleName();
        }
    }

    static Object committed(Admin admin) throws Exception {
        return admin.listConsumerGroupOffsets(name).partitionsToOffsetAndMetadata().get().values().stream()
            .map(OffsetAndMetadata::offset).collect(Collectors.toList());
    }

    static void rounds(KafkaProducer<String, String> producer) {
        for (int round = 0; round < ROUNDS; round++) {
            int number = round;
            producer.beginTransaction();
            if (round % 4 != 3) send(producer, "r" + round, round % 3, (round + 1) % 3);
            if (round % 5 == 0) producer.flush();
            if (round % 2 == 0)
                step("offsets of " + number, () ->
                    producer.sendOffsetsToTransaction(offsets(number + 1), new ConsumerGroupMetadata(name)));
            if (round % 6 == 4) send(producer, "late" + round, 2);
            if (round % 3 == 2) step("abort of " + number, producer::abortTransaction);
            else step("commit of " + number, producer::commitTransaction);
        }
    }

    public static void main(String[] args) throws Exception {
        bootstrap = args[0]; topic = args[1]; name = args[2];
        Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
        FinalizedVersionRange version = admin.describeFeatures().featureMetadata().get().finalizedFeatures().get("transaction.version");
        System.out.println("transaction.version " + version.maxVersionLevel());
        KafkaProducer<String, String> first = producer(60000);
        first.initTransactions();
        rounds(first);
        System.out.println("rounds " + read("read_committed"));
        System.out.println("offsets " + committed(admin));

        first.beginTransaction();
        send(first, "of the zombie", 0, 1);
        first.flush();
        first.sendOffsetsToTransaction(offsets(1000), new ConsumerGroupMetadata(name));
        KafkaProducer<String, String> second = producer(60000);
        second.initTransactions();
        second.beginTransaction();
        send(second, "of the successor", 0, 1, 2);
        send(first, "of the zombie, once fenced", 2);
        System.out.println("zombie commits: " + failure(first::commitTransaction));
        System.out.println("zombie begins: " + failure(first::beginTransaction));
        second.sendOffsetsToTransaction(offsets(2000), new ConsumerGroupMetadata(name));
        step("commit of the successor", second::commitTransaction);
        first.close(Duration.ZERO);
        System.out.println("offsets " + committed(admin));

        second.beginTransaction();
        send(second, "left open", 0);
        second.flush();
        admin.fenceProducers(List.of(name)).all().get();
        System.out.println("fenced by admin: " + failure(second::commitTransaction));
        second.close(Duration.ZERO);

        KafkaProducer<String, String> third = producer(60000);
        third.initTransactions();
        rounds(third);
        System.out.println("wrong group: " + failure(() -> {
            third.beginTransaction();
            third.sendOffsetsToTransaction(offsets(1), new ConsumerGroupMetadata(name, 7, "nobody", Optional.empty()));
            third.commitTransaction();
        }));
        step("abort of the wrong group", third::abortTransaction);
        third.beginTransaction();
        send(third, "last", 0, 1, 2);
        third.commitTransaction();
        third.close();
        System.out.println("committed " + read("read_committed"));
        System.out.println("offsets " + committed(admin));
        TransactionDescription described = admin.describeTransactions(List.of(name)).description(name).get();
        System.out.println("state " + described.state() + " epoch " + described.producerEpoch());
        TransactionListing listed = admin.listTransactions(new ListTransactionsOptions().filterOnTransactionalIdPattern(name)).all().get().iterator().next();
        System.out.println("listed " + listed.transactionalId().equals(name) + " " + listed.state());
        admin.close();
    }
}
