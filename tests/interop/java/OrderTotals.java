// A Kafka Streams application for tests: totals by item and minute, and by customer, with each update written out.
// Arguments: bootstrap servers, application id, input topic, topic of windowed totals, topic of customer totals,
// state folder. Input: key customer, value "item,amount"; output values "count,sum". Ends on SIGTERM.

import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.WindowStore;

public class OrderTotals {
    static String add(String value, String total) {
        String[] before = total.split(",");
        long sum = Long.parseLong(before[1]) + Long.parseLong(value.split(",")[1]);
        return (Long.parseLong(before[0]) + 1) + "," + sum;
    }

    static void build(StreamsBuilder builder, String input, String byMinute, String byCustomer) {
        KStream<String, String> orders = builder.stream(input, Consumed.with(Serdes.String(), Serdes.String()));
        orders.groupBy((customer, order) -> order.split(",")[0], Grouped.as("by-item"))
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofDays(1)))
            .aggregate(() -> "0,0", (item, order, total) -> add(order, total),
                Materialized.<String, String, WindowStore<Bytes, byte[]>>as("item-minutes").withCachingDisabled())
            .toStream()
            .map((item, total) -> KeyValue.pair(item.key() + "@" + item.window().start(), total))
            .to(byMinute, Produced.with(Serdes.String(), Serdes.String()));
        orders.groupByKey()
            .aggregate(() -> "0,0", (customer, order, total) -> add(order, total),
                Materialized.<String, String, KeyValueStore<Bytes, byte[]>>as("customers").withCachingDisabled())
            .toStream()
            .to(byCustomer, Produced.with(Serdes.String(), Serdes.String()));
    }

    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
        p.put(StreamsConfig.STATE_DIR_CONFIG, args[5]);
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        p.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        p.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        p.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        p.put(StreamsConfig.mainConsumerPrefix("group.instance.id"), "totals");
        p.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6000);
        p.put(StreamsConfig.consumerPrefix("heartbeat.interval.ms"), 1000);
        p.put(StreamsConfig.producerPrefix("transaction.timeout.ms"), 10000);
        // Orders are years old, and a broker deletes what is older than a changelog's retention, whenever it looks.
        p.put(StreamsConfig.WINDOW_STORE_CHANGE_LOG_ADDITIONAL_RETENTION_MS_CONFIG, Long.MAX_VALUE);
        StreamsBuilder builder = new StreamsBuilder();
        build(builder, args[2], args[3], args[4]);
        KafkaStreams streams = new KafkaStreams(builder.build(), p);
        CountDownLatch ended = new CountDownLatch(1);
        streams.setStateListener((now, before) -> {
            System.out.println("state " + now);
            if (now == KafkaStreams.State.ERROR || now == KafkaStreams.State.NOT_RUNNING) ended.countDown();
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
        streams.start();
        ended.await();
    }
}
