// Runs Kafka's transactions tool several times in one process. Arguments: bootstrap servers, and on
// standard input one command with its options per line. Prints each command, and what the tool printed.

package org.apache.kafka.tools;

import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.common.utils.Time;

public class TransactionsTool {
    static class Exited extends RuntimeException {
        Exited(String message) { super(message); }
    }

    public static void main(String[] args) throws Exception {
        Exit.setExitProcedure((status, message) -> { throw new Exited("exit " + status + (message == null ? "" : " " + message)); });
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            out.println("> " + line);
            List<String> command = new ArrayList<>(List.of("--bootstrap-server", args[0]));
            command.addAll(List.of(line.split(" ")));
            try (Admin own = Admin.create(Map.of("bootstrap.servers", args[0]))) {
                TransactionsCommand.execute(command.toArray(new String[0]), namespace -> own, out, Time.SYSTEM);
            } catch (Exited error) {
                out.println(error.getMessage());
            }
        }
    }
}
