import com.google.gson.JsonObject;
import java.io.IOException;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;
import okhttp3.sse.EventSource;
import okhttp3.sse.EventSourceListener;
import okhttp3.sse.EventSources;

/** okhttp-sse does not resume by itself: a new event source with `Last-Event-ID` does. */
public final class Main extends EventSourceListener {
    private final OkHttpClient http = new OkHttpClient();
    private final EventSource.Factory factory = EventSources.createFactory(http);
    private final Report.Job job;
    private final Request request;
    private String cursor;
    private String location = "";
    private String afterFirst;
    private boolean ended;

    private Main(Report.Job job) {
        this.job = job;
        cursor = job.cursor();
        afterFirst = job.afterFirst();
        RequestBody body = RequestBody.create(job.body().toString(), MediaType.get("application/json"));
        request = new Request.Builder().url(job.url()).header("Idempotency-Key", job.key()).post(body).build();
    }

    public static void main(String[] arguments) {
        new Main(Report.Job.parse(arguments[0])).open();
    }

    private void open() {
        factory.newEventSource(request.newBuilder().header("Last-Event-ID", cursor).build(), this);
    }

    @Override
    public void onOpen(EventSource source, Response response) {
        location = response.header("Content-Location", "");
    }

    @Override
    public void onEvent(EventSource source, String id, String type, String data) {
        if (data.isEmpty()) {
            Report.line("empty", null, null);
            return;
        }
        cursor = id;
        JsonObject event = Report.parse(data);
        if ("done".equals(type)) end(source, event.get("finish_reason").getAsString());
        else if (event.has("content")) received(source, event.get("content").getAsString());
    }

    @Override
    public void onClosed(EventSource source) {
        if (!ended) open();
    }

    @Override
    public void onFailure(EventSource source, Throwable error, Response response) {
        if (ended) return;
        if (response != null && response.code() == 204) {
            end(source, "204");
            return;
        }
        Report.line("error", "message", String.valueOf(error));
        open();
    }

    private void received(EventSource source, String text) {
        Report.line("text", "text", text);
        String now = afterFirst;
        afterFirst = "stay";
        if (now.equals("leave")) end(source, "left");
        if (now.equals("cancel")) cancel();
    }

    private void cancel() {
        Request delete = new Request.Builder().url(job.base() + location).delete().build();
        try (Response response = http.newCall(delete).execute()) {
            if (response.code() != 204) Report.line("error", "message", "DELETE: " + response.code());
        } catch (IOException error) {
            Report.line("error", "message", error.toString());
        }
    }

    /** Closes the connection; without threads that wait for more, the program is over. */
    private void end(EventSource source, String reason) {
        ended = true;
        source.cancel();
        Report.line("end", "reason", reason);
        http.dispatcher().executorService().shutdown();
        http.connectionPool().evictAll();
    }
}
