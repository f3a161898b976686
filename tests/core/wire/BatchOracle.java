import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.TimestampType;

/**
 * Record batches by Kafka's own classes. "make" as the argument: writes batches of every kind, one JSON object a line.
 * "read": for each line of input, a batch in hex, writes what Kafka finds in it, or "error" and what Kafka said.
 */
public class BatchOracle {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final PrintStream OUT = System.out;

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("make")) {
            for (CompressionType type : CompressionType.values()) {
                make("plain, " + type.name, type, false, TimestampType.CREATE_TIME, 3);
                make("transactional, " + type.name, type, true, TimestampType.CREATE_TIME, 3);
                make("log append time, " + type.name, type, false, TimestampType.LOG_APPEND_TIME, 3);
                make("many records, " + type.name, type, false, TimestampType.CREATE_TIME, 300);
            }
            for (ControlRecordType type : new ControlRecordType[] {ControlRecordType.COMMIT, ControlRecordType.ABORT}) {
                say("marker " + type, MemoryRecords.withEndTransactionMarker(
                    5L, 1_700_000_000_123L, 9, 4242L, (short) 3, new EndTransactionMarker(type, 17)).buffer());
            }
            return;
        }
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            try {
                say("read", ByteBuffer.wrap(HexFormat.of().parseHex(line)));
            } catch (Throwable error) {
                OUT.println("error " + error);
            }
        }
    }

    private static void make(String name, CompressionType type, boolean transactional, TimestampType times, int count) {
        MemoryRecordsBuilder builder = new MemoryRecordsBuilder(
            ByteBuffer.allocate(1024), RecordBatch.MAGIC_VALUE_V2, Compression.of(type).build(), times, 1000L,
            1_700_000_000_000L, transactional ? 4242L : -1L, transactional ? (short) 3 : -1, transactional ? 70 : -1,
            transactional, false, 11, Integer.MAX_VALUE);
        for (int i = 0; i < count; i++) {
            Header[] headers = i % 3 == 1
                ? new Header[] {new RecordHeader("h\u00e9", new byte[] {1, 2}), new RecordHeader("", null)}
                : new Header[0];
            byte[] key = i % 3 == 2 ? null : ("key " + i).getBytes();
            byte[] value = i % 3 == 1 ? null : ("a value that repeats, a value that repeats " + i).getBytes();
            builder.append(1_700_000_000_000L - 5L * i * (i % 2 == 0 ? 1 : -1), key, value, headers);
        }
        say(name, builder.build().buffer());
    }

    private static void say(String name, ByteBuffer bytes) {
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        MutableRecordBatch batch = MemoryRecords.readableRecords(ByteBuffer.wrap(copy)).batches().iterator().next();
        batch.ensureValid();
        if (batch.sizeInBytes() != copy.length) {
            throw new IllegalStateException(copy.length - batch.sizeInBytes() + " bytes are left over");
        }
        ObjectNode said = JSON.createObjectNode();
        said.put("name", name).put("hex", HexFormat.of().formatHex(copy));
        said.put("base_offset", batch.baseOffset()).put("last_offset", batch.lastOffset());
        said.put("leader_epoch", batch.partitionLeaderEpoch()).put("codec", batch.compressionType().name);
        said.put("is_transactional", batch.isTransactional()).put("is_control", batch.isControlBatch());
        said.put("is_log_append_time", batch.timestampType() == TimestampType.LOG_APPEND_TIME);
        said.put("max_timestamp", batch.maxTimestamp()).put("producer_id", batch.producerId());
        said.put("producer_epoch", batch.producerEpoch()).put("base_sequence", batch.baseSequence());
        said.put("last_sequence", batch.lastSequence()).put("count", batch.countOrNull()).put("crc", batch.checksum());
        ArrayNode records = said.putArray("records");
        for (Record record : batch) {
            ArrayNode one = records.addArray().add(record.offset()).add(record.timestamp());
            one.add(hex(record.key())).add(hex(record.value()));
            ArrayNode headers = one.addArray();
            for (Header header : record.headers()) {
                headers.addArray().add(header.key()).add(header.value() == null ? null : HexFormat.of().formatHex(header.value()));
            }
            if (batch.isControlBatch()) {
                said.put("marker", ControlRecordType.parse(record.key()).name());
                said.put("coordinator_epoch", EndTransactionMarker.deserialize(record).coordinatorEpoch());
            }
        }
        OUT.println(said);
    }

    private static String hex(ByteBuffer bytes) {
        if (bytes == null) {
            return null;
        }
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        return HexFormat.of().formatHex(copy);
    }
}
