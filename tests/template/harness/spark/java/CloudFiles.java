package gatehouse.emulated;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.struct;
import static org.apache.spark.sql.functions.to_json;
import static org.apache.spark.sql.functions.when;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SQLContext;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.connector.read.streaming.Offset;
import org.apache.spark.sql.connector.read.streaming.ReadLimit;
import org.apache.spark.sql.connector.read.streaming.SupportsTriggerAvailableNow;
import org.apache.spark.sql.execution.datasources.HadoopFsRelation;
import org.apache.spark.sql.execution.datasources.LogicalRelation;
import org.apache.spark.sql.execution.streaming.Source;
import org.apache.spark.sql.execution.streaming.runtime.FileStreamSource;
import org.apache.spark.sql.sources.DataSourceRegister;
import org.apache.spark.sql.sources.StreamSourceProvider;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import scala.Option;
import scala.Tuple2;
import scala.jdk.javaapi.CollectionConverters;

/**
 * Auto Loader as far as Gatehouse uses it: Spark's file stream says which files are new; each is read by the names of its
 * columns into the schema that was given, and what does not fit lies as JSON in the rescued data column.
 */
public final class CloudFiles implements StreamSourceProvider, DataSourceRegister {
  private static final StructType METADATA =
      new StructType()
          .add("file_path", "string")
          .add("file_name", "string")
          .add("file_size", "bigint")
          .add("file_modification_time", "timestamp");

  @Override
  public String shortName() {
    return "cloudFiles";
  }

  @Override
  public Tuple2<String, StructType> sourceSchema(
      SQLContext context, Option<StructType> schema, String provider,
      scala.collection.immutable.Map<String, String> options) {
    return new Tuple2<>(shortName(), new Request(schema, options).schema());
  }

  @Override
  public Source createSource(
      SQLContext context, String metadataPath, Option<StructType> schema, String provider,
      scala.collection.immutable.Map<String, String> options) {
    Request request = new Request(schema, options);
    SparkSession session = (SparkSession) context.sparkSession();
    StructType any = new StructType().add("value", "binary");
    Map<String, String> finder = new HashMap<>(Map.of("recursiveFileLookup", "true"));
    if (request.options.containsKey("pathglobfilter")) finder.put("pathGlobFilter", request.option("pathglobfilter"));
    if (request.options.containsKey("cloudfiles.maxfilespertrigger")) {
      finder.put("maxFilesPerTrigger", request.option("cloudfiles.maxfilespertrigger"));
    }
    FileStreamSource found =
        new FileStreamSource(
            session, request.option("path"), "binaryFile", any, CollectionConverters.asScala(List.<String>of()).toSeq(),
            metadataPath, scala.collection.immutable.Map.from(CollectionConverters.asScala(finder)));
    return new Landing(session, found, request);
  }

  /** What the reader of the stream asked for; an option that is not known here is refused. */
  private static final class Request {
    final StructType declared;
    final Map<String, String> options = new HashMap<>();
    final Map<String, String> reader = new HashMap<>();

    Request(Option<StructType> schema, scala.collection.immutable.Map<String, String> given) {
      if (schema.isEmpty()) throw new UnsupportedOperationException("cloudFiles without a schema is not emulated");
      declared = schema.get();
      CollectionConverters.asJava(given).forEach((key, value) -> {
        options.put(key.toLowerCase(), value);
        if (List.of("header", "sep", "quote", "escape", "encoding", "nullvalue", "timestampformat", "dateformat",
            "multiline").contains(key.toLowerCase())) {
          reader.put(key, value);
        } else if (!List.of("path", "rescueddatacolumn", "cloudfiles.format", "cloudfiles.schemalocation",
            "cloudfiles.schemaevolutionmode", "pathglobfilter", "cloudfiles.maxfilespertrigger").contains(key.toLowerCase())) {
          throw new UnsupportedOperationException("The option " + key + " of cloudFiles is not emulated");
        }
      });
      if (!List.of("csv", "parquet").contains(option("cloudfiles.format"))) {
        throw new UnsupportedOperationException("cloudFiles.format " + option("cloudfiles.format") + " is not emulated");
      }
      if (!List.of("none", "rescue").contains(options.getOrDefault("cloudfiles.schemaevolutionmode", "none"))) {
        throw new UnsupportedOperationException("With a schema, cloudFiles.schemaEvolutionMode is none or rescue");
      }
    }

    String option(String name) {
      return options.get(name);
    }

    StructType schema() {
      StructType rows = declared;
      if (options.containsKey("rescueddatacolumn")) rows = rows.add(option("rescueddatacolumn"), "string");
      return rows.add("_metadata", METADATA);
    }
  }

  private static final class Landing implements Source, SupportsTriggerAvailableNow {
    private final SparkSession session;
    private final FileStreamSource found;
    private final Request request;

    Landing(SparkSession session, FileStreamSource found, Request request) {
      this.session = session;
      this.found = found;
      this.request = request;
    }

    @Override
    public StructType schema() {
      return request.schema();
    }

    @Override
    public Dataset<Row> getBatch(
        Option<org.apache.spark.sql.execution.streaming.Offset> start,
        org.apache.spark.sql.execution.streaming.Offset end) {
      Dataset<Row> rows = session.createDataFrame(List.<Row>of(), schema());
      for (String file : files(found.getBatch(start, end))) rows = rows.union(read(file));
      return session.internalCreateDataFrame(
          ((org.apache.spark.sql.classic.Dataset<Row>) rows).queryExecution().toRdd(), schema(), true);
    }

    private static String[] files(Dataset<Row> batch) {
      LogicalRelation relation =
          (LogicalRelation) ((org.apache.spark.sql.classic.Dataset<Row>) batch).logicalPlan().collectLeaves().head();
      return ((HadoopFsRelation) relation.relation()).location().inputFiles();
    }

    private Dataset<Row> read(String file) {
      Dataset<Row> raw = session.read().options(request.reader).format(request.option("cloudfiles.format")).load(file);
      boolean text = request.option("cloudfiles.format").equals("csv");
      List<String> there = Arrays.asList(raw.columns());
      List<Column> wanted = new ArrayList<>();
      List<Column> rescued = new ArrayList<>();
      for (StructField field : request.declared.fields()) {
        Column column = col("`" + field.name() + "`");
        if (!there.contains(field.name())) {
          wanted.add(lit(null).cast(field.dataType()).as(field.name()));
        } else if (text) {
          wanted.add(column.try_cast(field.dataType()).as(field.name()));
          Column unfit = column.isNotNull().and(column.try_cast(field.dataType()).isNull());
          rescued.add(when(unfit, column).as(field.name()));
        } else if (raw.schema().apply(field.name()).dataType().equals(field.dataType())) {
          wanted.add(column);
        } else {
          wanted.add(lit(null).cast(field.dataType()).as(field.name()));
          rescued.add(column);
        }
      }
      List<String> declared = Arrays.asList(request.declared.fieldNames());
      there.stream().filter(c -> !declared.contains(c)).forEach(c -> rescued.add(col("`" + c + "`")));
      if (request.options.containsKey("rescueddatacolumn")) wanted.add(asJson(rescued));
      Column metadata = col("_metadata");
      wanted.add(
          struct(metadata.getField("file_path"), metadata.getField("file_name"), metadata.getField("file_size"),
              metadata.getField("file_modification_time")));
      return raw.select(wanted.toArray(new Column[0]));
    }

    private static Column asJson(List<Column> rescued) {
      if (rescued.isEmpty()) return lit(null).cast(DataTypes.StringType);
      Column json = to_json(struct(rescued.toArray(new Column[0])));
      Column content = json.substr(lit(2), org.apache.spark.sql.functions.length(json).minus(1));
      Column path = to_json(struct(col("_metadata.file_path").as("_file_path")));
      Column start = org.apache.spark.sql.functions.regexp_replace(path, "\\}$", ",");
      return when(json.notEqual("{}"), org.apache.spark.sql.functions.concat(start, content));
    }

    @Override
    public void prepareForTriggerAvailableNow() {
      found.prepareForTriggerAvailableNow();
    }

    @Override
    public ReadLimit getDefaultReadLimit() {
      return found.getDefaultReadLimit();
    }

    @Override
    public Offset latestOffset(Offset start, ReadLimit limit) {
      return found.latestOffset(start, limit);
    }

    @Override
    public Offset reportLatestOffset() {
      return found.reportLatestOffset();
    }

    @Override
    public Option<org.apache.spark.sql.execution.streaming.Offset> getOffset() {
      return found.getOffset();
    }

    @Override
    public Offset deserializeOffset(String json) {
      return found.deserializeOffset(json);
    }

    @Override
    public void commit(org.apache.spark.sql.execution.streaming.Offset end) {
      found.commit(end);
    }

    @Override
    public void stop() {
      found.stop();
    }
  }
}
