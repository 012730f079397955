import io.tus.java.client.ProtocolException;
import io.tus.java.client.TusClient;
import io.tus.java.client.TusExecutor;
import io.tus.java.client.TusURLMemoryStore;
import io.tus.java.client.TusUpload;
import io.tus.java.client.TusUploader;
import java.io.File;
import java.io.IOException;
import java.net.URL;
import java.util.Map;

/** Sends each file, and then each file again with the same client, which resumes. Arguments: endpoint, token, bytes of a request, files. */
public final class Send {
    public static void main(String[] arguments) throws Exception {
        TusClient client = new TusClient();
        client.setUploadCreationURL(new URL(arguments[0]));
        client.setHeaders(Map.of("Authorization", "Bearer " + arguments[1]));
        client.enableResuming(new TusURLMemoryStore());
        for (int round = 0; round < 2; round++) {
            for (int at = 3; at < arguments.length; at++) {
                send(client, new File(arguments[at]), Integer.parseInt(arguments[2]));
            }
        }
    }

    private static void send(TusClient client, File file, int requestBytes) throws ProtocolException, IOException {
        new TusExecutor() {
            @Override
            protected void makeAttempt() throws ProtocolException, IOException {
                TusUploader uploader = client.resumeOrCreateUpload(new TusUpload(file));
                uploader.setChunkSize(1000);
                uploader.setRequestPayloadSize(requestBytes);
                while (uploader.uploadChunk() > -1) {
                }
                uploader.finish();
                System.out.println(uploader.getUploadURL().getPath());
            }
        }.makeAttempts();
    }
}
