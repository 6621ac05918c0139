import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.config.DefaultDriverOption;
import com.datastax.oss.driver.api.core.config.DriverConfigLoader;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import java.lang.management.ManagementFactory;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;

/** Distinct rows by prepared inserts, at most 1,024 in flight, with a write timestamp each: what the sink does, written the
 *  way the driver's manual says. Prints one line a run: rows, seconds, client CPU seconds. Usage: HOST PORT TABLE ROWS RUNS. */
public class Rival {
    static final int IN_FLIGHT = 1024;

    public static void main(String[] args) throws Exception {
        String table = args[2];
        int rows = Integer.parseInt(args[3]);
        var os = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        // A cold or busy node answers late: that shall cost time, not rows.
        var config = DriverConfigLoader.programmaticBuilder().withDuration(DefaultDriverOption.REQUEST_TIMEOUT, Duration.ofSeconds(60)).build();
        try (CqlSession session = CqlSession.builder().addContactPoint(new InetSocketAddress(args[0], Integer.parseInt(args[1])))
                .withLocalDatacenter("datacenter1").withConfigLoader(config).build()) {
            PreparedStatement insert = session.prepare("INSERT INTO " + table
                    + " (\"userId\", \"purchaseCount\", \"eventTimestamp\", \"isTimeout\") VALUES (?, ?, ?, ?)");
            Semaphore room = new Semaphore(IN_FLIGHT);
            AtomicLong failed = new AtomicLong();
            for (int run = 0; run < Integer.parseInt(args[4]); run++) {
                long start = System.nanoTime();
                long cpu = os.getProcessCpuTime();
                for (int i = 0; i < rows; i++) {
                    room.acquire();
                    var bound = insert.bind("user-" + i, i & 1023, Instant.ofEpochMilli(1700000000000L + i), (i & 7) == 0)
                            .setQueryTimestamp(1700000000000000L + (long) run * rows + i);
                    session.executeAsync(bound).whenComplete((result, error) -> {
                        if (error != null) {
                            failed.incrementAndGet();
                        }
                        room.release();
                    });
                }
                room.acquire(IN_FLIGHT);
                room.release(IN_FLIGHT);
                System.out.printf("%d %.6f %.6f %d%n", rows, (System.nanoTime() - start) / 1e9, (os.getProcessCpuTime() - cpu) / 1e9,
                        failed.get());
            }
        }
    }
}
