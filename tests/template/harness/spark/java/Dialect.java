package gatehouse.emulated;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.regex.Pattern;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.parser.ParserInterface;
import scala.runtime.AbstractFunction1;
import scala.runtime.BoxedUnit;

/** The one word of SQL that Databricks has and Spark has not: PRIMARY KEY (key, moment TIMESERIES). */
public final class Dialect extends AbstractFunction1<SparkSessionExtensions, BoxedUnit> {
  private static final Pattern TIMESERIES =
      Pattern.compile("(PRIMARY KEY \\([^)]*?)`?(\\w+)`? TIMESERIES", Pattern.CASE_INSENSITIVE);

  @Override
  public BoxedUnit apply(SparkSessionExtensions extensions) {
    extensions.injectParser((session, parser) -> rewriting(parser));
    return BoxedUnit.UNIT;
  }

  /** The parser, which takes the word for a part of the column's name; UnityCatalog takes it apart again. */
  private static ParserInterface rewriting(ParserInterface parser) {
    return (ParserInterface) Proxy.newProxyInstance(
        Dialect.class.getClassLoader(), new Class<?>[] {ParserInterface.class}, (proxy, method, arguments) -> {
          if (arguments != null && method.getName().startsWith("parsePlan")) {
            arguments[0] = TIMESERIES.matcher((String) arguments[0]).replaceAll("$1`$2 TIMESERIES`");
          }
          try {
            return method.invoke(parser, arguments);
          } catch (InvocationTargetException error) {
            throw error.getCause();
          }
        });
  }
}
