import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.Readable;

/**
 * Decodes messages with Kafka's own classes. Each line of input is: Kafka's class, version, hex. Each line of output is
 * Kafka's bytes for the message in hex, a space, and the message as JSON; or "error" and what Kafka said. No hex stands for
 * a message in which every field is Kafka's default.
 */
public class Oracle {
    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ", -1);
            try {
                out.println(answer(words[0], Short.parseShort(words[1]), HexFormat.of().parseHex(words[2])));
            } catch (java.lang.reflect.InvocationTargetException error) {
                out.println("error " + error.getCause());
            } catch (Throwable error) {
                out.println("error " + error);
            }
        }
        out.flush();
    }

    private static String answer(String name, short version, byte[] bytes) throws Exception {
        Class<?> type = Class.forName(name);
        if (bytes.length == 0) {
            return encoded((Message) type.getConstructor().newInstance(), version) + " {}";
        }
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        Message message = (Message) type.getConstructor(Readable.class, short.class)
            .newInstance(new ByteBufferAccessor(buffer), version);
        if (buffer.hasRemaining()) {
            return "error " + buffer.remaining() + " bytes are left over";
        }
        Method write = Class.forName(name + "JsonConverter").getMethod("write", type, short.class);
        JsonNode json = (JsonNode) write.invoke(null, message, version);
        return encoded(message, version) + " " + json;
    }

    private static String encoded(Message message, short version) {
        ByteBufferAccessor accessor = MessageUtil.toByteBufferAccessor(message, version);
        byte[] bytes = new byte[accessor.buffer().remaining()];
        accessor.buffer().get(bytes);
        return HexFormat.of().formatHex(bytes);
    }
}
