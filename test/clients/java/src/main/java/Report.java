import com.google.gson.Gson;
import com.google.gson.JsonObject;

/** One JSON line on stdout for each thing that happens to a client. */
final class Report {
    private static final Gson GSON = new Gson();

    private Report() {}

    /** What the suite asks for: see `Job` in ../client-program.ts. */
    record Job(String client, String base, String key, String cursor, JsonObject body, String afterFirst) {
        static Job parse(String json) {
            return GSON.fromJson(json, Job.class);
        }

        String url() {
            return base + "/v1/chat";
        }
    }

    static JsonObject parse(String data) {
        return GSON.fromJson(data, JsonObject.class);
    }

    static void line(String type, String name, String value) {
        JsonObject line = new JsonObject();
        line.addProperty("type", type);
        if (name != null) line.addProperty(name, value);
        // Everything beyond ASCII escaped, so that no default charset can spoil it.
        StringBuilder ascii = new StringBuilder();
        for (char each : GSON.toJson(line).toCharArray()) {
            if (each < 128) ascii.append(each);
            else ascii.append(String.format("\\u%04x", (int) each));
        }
        System.out.println(ascii);
        System.out.flush();
    }
}
