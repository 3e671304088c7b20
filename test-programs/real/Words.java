// Counts words with threads, direct buffers, compression and a child process: java Words FILE.
// What the virtual machine takes from malloc are direct buffers, zlib and the compilers' arenas.
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import java.util.zip.*;

public class Words {
    static String sha(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data)).substring(0, 16);
    }

    public static void main(String[] arguments) throws Exception {
        byte[] text = Files.readAllBytes(Path.of(arguments[0]));
        String[] lines = new String(text, 0, 3_000_000, StandardCharsets.US_ASCII).split("\n");
        Map<String, Long> counts = Arrays.stream(lines).parallel()
            .flatMap(line -> Arrays.stream(line.split(" ")).filter(word -> !word.isEmpty() && Character.isLetter(word.charAt(0))))
            .collect(Collectors.groupingByConcurrent(word -> word, Collectors.counting()));
        System.out.println(counts.size() + " " + sha(new TreeMap<>(counts).toString().getBytes()));

        ExecutorService threads = Executors.newFixedThreadPool(8);
        List<Future<String>> results = new ArrayList<>();
        for (int part = 0; part < 24; part++) {
            int from = part * 300_000;
            results.add(threads.submit(() -> {
                ByteBuffer direct = ByteBuffer.allocateDirect(1_000_000);
                direct.put(text, from, 300_000).flip();
                Deflater deflater = new Deflater(9);
                deflater.setInput(direct);
                deflater.finish();
                byte[] packed = new byte[400_000];
                int length = deflater.deflate(packed);
                deflater.end();
                Inflater inflater = new Inflater();
                inflater.setInput(packed, 0, length);
                byte[] again = new byte[300_000];
                inflater.inflate(again);
                inflater.end();
                return length + (Arrays.equals(again, 0, 300_000, text, from, from + 300_000) ? "" : " wrong");
            }));
        }
        for (Future<String> result : results) System.out.print(result.get() + " ");
        System.out.println();
        threads.shutdown();

        List<ByteBuffer> buffers = new ArrayList<>();
        for (int i = 0; i < 48; i++) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
            for (int j = 0; j < buffer.capacity(); j += 8) buffer.putLong(j, (long) i * 1_000_003 + j);
            buffers.add(buffer);
        }
        int wrong = 0;
        for (int i = 0; i < 48; i++)
            for (int j = 0; j < 1 << 20; j += 8) if (buffers.get(i).getLong(j) != (long) i * 1_000_003 + j) wrong++;
        System.out.println("direct buffers: " + wrong + " wrong");

        Process sort = new ProcessBuilder("sort", arguments[0]).start();
        System.out.println("child " + sha(sort.getInputStream().readAllBytes()) + " " + sort.waitFor());
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(Path.of("words.zip")))) {
            for (int i = 0; i < 50; i++) {
                zip.putNextEntry(new ZipEntry("entry" + i));
                zip.write(text, i * 1000, 100_000);
            }
        }
        try (ZipFile zip = new ZipFile("words.zip")) {
            CRC32 sum = new CRC32();
            for (var entries = zip.entries(); entries.hasMoreElements();) sum.update(zip.getInputStream(entries.nextElement()).readAllBytes());
            System.out.println("zip " + zip.size() + " " + sum.getValue());
        }
    }
}
