// Runs the main methods of Kafka's tools, one after the other, in one JVM. Reads a JSON object a line from standard
// input: {"main": class, "arguments": [...], "input": text}; answers {"exit": code, "output": text, "errors": text}.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

public class ToolRunner {
    static class Ended extends Error {
        final int code;

        Ended(int code) {
            super("ended with " + code, null, false, false);
            this.code = code;
        }
    }

    static int run(String name, String[] arguments) throws Exception {
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
            return 0;
        } catch (InvocationTargetException failure) {
            if (failure.getCause() instanceof Ended) return ((Ended) failure.getCause()).code;
            failure.getCause().printStackTrace();
            return 1;
        }
    }

    public static void main(String[] args) throws Exception {
        PrintStream answers = System.out;
        PrintStream errors = System.err;
        ObjectMapper json = new ObjectMapper();
        int[] first = new int[1];
        Exit.setExitProcedure((code, message) -> {
            if (first[0] < 0) first[0] = code;
            throw new Ended(code);
        });
        List<Runnable> hooks = new ArrayList<>();
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        BufferedReader asked = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = asked.readLine(); line != null; line = asked.readLine()) {
            JsonNode order = json.readTree(line);
            List<String> arguments = new ArrayList<>();
            order.get("arguments").forEach(argument -> arguments.add(argument.asText()));
            ByteArrayOutputStream output = new ByteArrayOutputStream();
            ByteArrayOutputStream complaints = new ByteArrayOutputStream();
            System.setIn(new ByteArrayInputStream(order.get("input").asText().getBytes(StandardCharsets.UTF_8)));
            System.setOut(new PrintStream(output, true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(complaints, true, StandardCharsets.UTF_8));
            first[0] = -1;
            int code = run(order.get("main").asText(), arguments.toArray(new String[0]));
            hooks.forEach(Runnable::run);
            hooks.clear();
            System.out.flush();
            System.err.flush();
            System.setOut(answers);
            System.setErr(errors);
            ObjectNode answer = json.createObjectNode();
            answer.put("exit", first[0] < 0 ? code : first[0]);
            answer.put("output", output.toString(StandardCharsets.UTF_8));
            answer.put("errors", complaints.toString(StandardCharsets.UTF_8));
            answers.println(json.writeValueAsString(answer));
            answers.flush();
        }
    }
}
