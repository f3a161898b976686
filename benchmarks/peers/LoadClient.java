// Kafka's own Java client against any broker: throughput in large batches, groups at once, and small paced requests.
// Arguments: server, topic, then: produce RECORDS BYTES ACKS | consume RECORDS GROUPS | paced PRODUCERS RATE SECONDS.
// The last line is JSON; "busy" is the part of the reported time in which this process had a core. Each mode warms the
// JVM up first, outside that time.

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class LoadClient {
    static final int WARM_UP_RECORDS = 200_000;

    public static void main(String[] args) throws Exception {
        switch (args[2]) {
            case "produce" -> produce(args[0], args[1], Long.parseLong(args[3]), Integer.parseInt(args[4]), args[5]);
            case "consume" -> consume(args[0], args[1], Long.parseLong(args[3]), Integer.parseInt(args[4]));
            case "paced" -> paced(args[0], args[1], Integer.parseInt(args[3]), Integer.parseInt(args[4]),
                Integer.parseInt(args[5]));
            default -> throw new IllegalArgumentException(args[2]);
        }
    }

    static KafkaProducer<byte[], byte[]> producer(String server, String acks, int lingerMs, int batchBytes) {
        Properties p = new Properties();
        p.put("bootstrap.servers", server);
        p.put("acks", acks);
        p.put("enable.idempotence", "false");
        p.put("linger.ms", lingerMs);
        p.put("batch.size", batchBytes);
        return new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static void produce(String server, String topic, long records, int bytes, String acks) throws Exception {
        byte[] value = new byte[bytes];
        new Random(1).nextBytes(value);
        try (KafkaProducer<byte[], byte[]> producer = producer(server, acks, 10, 131_072)) {
            for (int i = 0; i < WARM_UP_RECORDS; i++) producer.send(new ProducerRecord<>(topic, value));
            producer.flush();
            AtomicLong failed = new AtomicLong();
            long started = System.nanoTime(), cpu = cpuNanos();
            for (long i = 0; i < records; i++)
                producer.send(new ProducerRecord<>(topic, value), (m, e) -> { if (e != null) failed.incrementAndGet(); });
            producer.flush();
            double seconds = (System.nanoTime() - started) / 1e9, busy = (cpuNanos() - cpu) / 1e9 / seconds;
            if (failed.get() > 0) throw new IllegalStateException(failed.get() + " records failed");
            System.out.printf("{\"records\": %d, \"sent\": %d, \"seconds\": %.3f, \"busy\": %.3f}%n", records,
                records + WARM_UP_RECORDS, seconds, busy);
        }
    }

    static long cpuNanos() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    static void consume(String server, String topic, long records, int groups) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(groups);
        List<Callable<long[]>> readers = new ArrayList<>();
        for (int i = 0; i < groups; i++) readers.add(() -> read(server, topic, records));
        long first = Long.MAX_VALUE, last = 0;
        for (Future<long[]> reader : threads.invokeAll(readers)) {
            first = Math.min(first, reader.get()[0]);
            last = Math.max(last, reader.get()[1]);
        }
        threads.shutdown();
        System.out.printf("{\"records\": %d, \"seconds\": %.3f}%n", records * groups, (last - first) / 1e9);
    }

    static long[] read(String server, String topic, long records) {
        Properties p = new Properties();
        p.put("bootstrap.servers", server);
        p.put("group.id", UUID.randomUUID().toString());
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        p.put("max.poll.records", "5000");
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(topic));
            long seen = 0, first = 0;
            while (seen < records) {
                ConsumerRecords<byte[], byte[]> polled = consumer.poll(Duration.ofSeconds(1));
                if (seen == 0 && polled.count() > 0) first = System.nanoTime();
                seen += polled.count();
            }
            return new long[] {first, System.nanoTime()};
        }
    }

    static void paced(String server, String topic, int count, int rate, int seconds) throws Exception {
        List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
        for (int i = 0; i < count; i++) producers.add(producer(server, "1", 0, 16_384));
        send(producers, topic, rate, 3);
        long started = System.nanoTime(), cpu = cpuNanos();
        long[] latencies = send(producers, topic, rate, seconds);
        double took = (System.nanoTime() - started) / 1e9, busy = (cpuNanos() - cpu) / 1e9 / took;
        double frames = 0;
        for (KafkaProducer<byte[], byte[]> producer : producers) {
            frames += requests(producer);
            producer.close();
        }
        Arrays.sort(latencies);
        System.out.printf(
            "{\"records\": %d, \"seconds\": %.3f, \"p50_us\": %.0f, \"p99_us\": %.0f, \"requests\": %.0f, \"busy\": %.3f}%n",
            latencies.length, took, latencies[latencies.length / 2] / 1e3, latencies[latencies.length * 99 / 100] / 1e3,
            frames, busy);
    }

    /** Of the producer's whole life: records that wait while five requests are on their way share the next. */
    static double requests(KafkaProducer<byte[], byte[]> producer) {
        return producer.metrics().entrySet().stream()
            .filter(one -> one.getKey().group().equals("producer-metrics") && one.getKey().name().equals("request-total"))
            .mapToDouble(one -> (double) one.getValue().metricValue()).sum();
    }

    /** The time from send to acknowledgement of each record, at a fixed rate over all producers in turn. */
    static long[] send(List<KafkaProducer<byte[], byte[]>> producers, String topic, int rate, int seconds) {
        byte[] value = new byte[100];
        ConcurrentLinkedQueue<Long> latencies = new ConcurrentLinkedQueue<>();
        AtomicLong failed = new AtomicLong();
        long started = System.nanoTime(), total = (long) rate * seconds;
        for (long i = 0; i < total; i++) {
            long due = started + i * 1_000_000_000L / rate;
            while (System.nanoTime() < due) LockSupport.parkNanos(Math.max(1_000, due - System.nanoTime()));
            long sent = System.nanoTime();
            producers.get((int) (i % producers.size())).send(new ProducerRecord<>(topic, value), (m, e) -> {
                if (e != null) failed.incrementAndGet();
                latencies.add(System.nanoTime() - sent);
            });
        }
        for (KafkaProducer<byte[], byte[]> producer : producers) producer.flush();
        if (failed.get() > 0) throw new IllegalStateException(failed.get() + " records failed");
        return latencies.stream().mapToLong(Long::longValue).toArray();
    }
}
