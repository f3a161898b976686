// Idempotent and transactional producers of the Java client, and what a read-committed consumer gets.
// Arguments: bootstrap servers, topic with one partition, topic of offsets to commit. Says what happens, line by line.

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;

public class ProducerScenes {
    static KafkaProducer<String, String> producer(String servers, String transactionalId) {
        Properties p = new Properties();
        p.put("bootstrap.servers", servers);
        p.put("linger.ms", "5");
        p.put("batch.size", "500");
        p.put("compression.type", "lz4");
        p.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        p.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        if (transactionalId != null) p.put("transactional.id", transactionalId);
        return new KafkaProducer<>(p);
    }

    static KafkaConsumer<String, String> consumer(String servers, String group, String isolation) {
        Properties p = new Properties();
        p.put("bootstrap.servers", servers);
        p.put("group.id", group);
        p.put("isolation.level", isolation);
        p.put("enable.auto.commit", "false");
        p.put("auto.offset.reset", "earliest");
        p.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        p.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        return new KafkaConsumer<>(p);
    }

    static void read(String servers, String topic, String isolation) {
        try (KafkaConsumer<String, String> consumer = consumer(servers, "unused", isolation)) {
            TopicPartition at = new TopicPartition(topic, 0);
            consumer.assign(List.of(at));
            consumer.seekToBeginning(List.of(at));
            long end = consumer.endOffsets(List.of(at)).get(at);
            List<String> values = new ArrayList<>();
            while (consumer.position(at) < end)
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500)))
                    values.add(record.offset() + "=" + record.value());
            System.out.println(isolation + " to " + end + ": " + values);
        }
    }

    static void idempotent(String servers, String topic) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = producer(servers, null)) {
            for (int n = 0; n < 500; n++) sent.add(producer.send(new ProducerRecord<>(topic, "key", "value " + n)));
        }
        for (int n = 0; n < 500; n++)
            if (sent.get(n).get().offset() != n) throw new IllegalStateException(n + " is at " + sent.get(n).get());
        System.out.println("500 records at offsets 0 to 499");
    }

    static String nameOf(Throwable error) {
        return error instanceof ExecutionException ? error.getCause().getClass().getName() : error.getClass().getName();
    }

    static void transactional(String servers, String topic, String source) throws Exception {
        String group = topic + "-group";
        KafkaProducer<String, String> producer = producer(servers, topic);
        KafkaConsumer<String, String> consumer = consumer(servers, group, "read_committed");
        consumer.subscribe(List.of(source));
        while (consumer.assignment().isEmpty()) consumer.poll(Duration.ofMillis(100));
        TopicPartition at = new TopicPartition(source, 0);
        producer.initTransactions();
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, 0, null, "committed"));
        producer.sendOffsetsToTransaction(Map.of(at, new OffsetAndMetadata(7, "seven")), consumer.groupMetadata());
        producer.commitTransaction();
        // A Kafka that stood still has answered the commit, and tells of the offset a while later.
        while (consumer.committed(java.util.Set.of(at)).get(at) == null) Thread.sleep(50);
        System.out.println("committed " + consumer.committed(java.util.Set.of(at)).get(at));
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, 0, null, "aborted"));
        producer.sendOffsetsToTransaction(Map.of(at, new OffsetAndMetadata(9)), consumer.groupMetadata());
        producer.flush();
        producer.abortTransaction();
        System.out.println("after an abort " + consumer.committed(java.util.Set.of(at)).get(at));
        consumer.close();
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, 0, null, "of a zombie")).get();
        KafkaProducer<String, String> successor = producer(servers, topic);
        successor.initTransactions();
        successor.beginTransaction();
        successor.send(new ProducerRecord<>(topic, 0, null, "of a successor"));
        successor.commitTransaction();
        try {
            producer.send(new ProducerRecord<>(topic, 0, null, "of a zombie")).get();
            System.out.println("the zombie may write");
        } catch (Exception error) {
            System.out.println("the zombie cannot write: " + nameOf(error));
        }
        try {
            producer.commitTransaction();
            System.out.println("the zombie may commit");
        } catch (Exception error) {
            System.out.println("the zombie cannot commit: " + nameOf(error));
        }
        producer.close(Duration.ZERO);
        successor.close();
    }

    public static void main(String[] args) throws Exception {
        idempotent(args[0], args[2]);
        transactional(args[0], args[1], args[2]);
        read(args[0], args[1], "read_committed");
        read(args[0], args[1], "read_uncommitted");
    }
}
