// Kafka Streams on workloads W1 and W2: count and sum by key in one-minute windows, JSON in and out.
// Arguments: bootstrap servers, input topic, output topic, events, commit interval in ms, "update" or "close".

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.*;

public class WindowedSum {
    public static void main(String[] args) throws Exception {
        long events = Long.parseLong(args[3]);
        AtomicLong seen = new AtomicLong();
        AtomicLong first = new AtomicLong();
        AtomicLong last = new AtomicLong();
        CountDownLatch done = new CountDownLatch(1);
        ObjectMapper json = new ObjectMapper();
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, "bench-" + args[2]);
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, args[4]);
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, "exactly_once_v2");
        p.put(StreamsConfig.STATE_DIR_CONFIG, args[6]);
        p.put("auto.offset.reset", "earliest");
        Serde<double[]> pair = Serdes.serdeFrom(
            (topic, d) -> ByteBuffer.allocate(16).putDouble(d[0]).putDouble(d[1]).array(),
            (topic, b) -> { ByteBuffer x = ByteBuffer.wrap(b); return new double[] {x.getDouble(), x.getDouble()}; });
        StreamsBuilder builder = new StreamsBuilder();
        TimeWindowedKStream<String, JsonNode> windows = builder
            .stream(args[1], Consumed.with(Serdes.String(), Serdes.String())
                .withTimestampExtractor((record, partitionTime) -> record.timestamp()))
            .mapValues(text -> {
                try {
                    JsonNode node = json.readTree(text);
                    long n = seen.incrementAndGet();
                    if (n == 1) first.set(System.nanoTime());
                    if (n == events) { last.set(System.nanoTime()); done.countDown(); }
                    return node;
                } catch (Exception e) { throw new RuntimeException(e); }
            })
            .groupByKey(Grouped.with(Serdes.String(), null))
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofSeconds(5)));
        if (args[5].equals("close")) windows = windows.emitStrategy(EmitStrategy.onWindowClose());
        windows
            .aggregate(() -> new double[2], (key, node, total) ->
                new double[] {total[0] + 1, total[1] + node.get("latency_ms").asDouble()},
                Materialized.with(Serdes.String(), pair))
            .toStream()
            .map((key, total) -> KeyValue.pair(key.key(), "{\"key\":\"" + key.key() + "\",\"window_start\":"
                + key.window().start() + ",\"count\":" + (long) total[0] + ",\"sum\":" + total[1] + "}"))
            .to(args[2], Produced.with(Serdes.String(), Serdes.String()));
        KafkaStreams streams = new KafkaStreams(builder.build(), p);
        streams.start();
        done.await();
        Thread.sleep(2 * Long.parseLong(args[4]));
        streams.close(Duration.ofSeconds(20));
        double seconds = (last.get() - first.get()) / 1e9;
        System.out.println("{\"events\": " + events + ", \"seconds\": " + seconds + "}");
    }
}
