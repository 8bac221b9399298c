package gatehouse.emulated;

import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.connect.service.SparkConnectService$;

/** Spark Connect on a free port, which it prints; it ends when its standard input does, and so with whoever began it. */
public final class Server {
  public static void main(String[] arguments) throws Exception {
    SparkSession session = SparkSession.builder().getOrCreate();
    SparkConnectService$.MODULE$.start(session.sparkContext());
    System.out.println("port " + SparkConnectService$.MODULE$.localPort());
    System.out.flush();
    while (System.in.read() >= 0) {
      continue;
    }
    Runtime.getRuntime().halt(0); // nothing here outlives the server, so nothing needs to be put in order
  }
}
