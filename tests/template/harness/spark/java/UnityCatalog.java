package gatehouse.emulated;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.catalyst.analysis.NoSuchTableException;
import org.apache.spark.sql.catalyst.analysis.NonEmptyNamespaceException;
import org.apache.spark.sql.catalyst.analysis.NamespaceAlreadyExistsException;
import org.apache.spark.sql.catalyst.analysis.TableAlreadyExistsException;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.NamespaceChange;
import org.apache.spark.sql.connector.catalog.StagedTable;
import org.apache.spark.sql.connector.catalog.StagingTableCatalog;
import org.apache.spark.sql.connector.catalog.SupportsNamespaces;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCatalogCapability;
import org.apache.spark.sql.connector.catalog.TableChange;
import org.apache.spark.sql.connector.catalog.TableInfo;
import org.apache.spark.sql.connector.catalog.TableWritePrivilege;
import org.apache.spark.sql.connector.catalog.constraints.Constraint;
import org.apache.spark.sql.connector.catalog.constraints.PrimaryKey;
import org.apache.spark.sql.connector.expressions.NamedReference;
import org.apache.spark.sql.connector.expressions.Transform;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;
import scala.jdk.javaapi.CollectionConverters;

/**
 * A catalog of any name over Delta's own, which in open source exists once: `prod.main.t` is `spark_catalog.prod__main.t`.
 *
 * <p>The option `writers` (user names, separated by commas) says who may write; without it, everybody. A primary key is
 * checked as Unity Catalog does, and kept as the table property `emulated.primaryKey`.
 */
public final class UnityCatalog implements StagingTableCatalog, SupportsNamespaces {
  private String name;
  private List<String> writers;

  @Override
  public void initialize(String name, CaseInsensitiveStringMap options) {
    this.name = name;
    this.writers = options.containsKey("writers") ? List.of(options.get("writers").split(",")) : null;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public Set<TableCatalogCapability> capabilities() {
    return Set.of(TableCatalogCapability.SUPPORT_TABLE_CONSTRAINT, TableCatalogCapability.SUPPORT_COLUMN_DEFAULT_VALUE);
  }

  @Override
  public String[][] listNamespaces() throws NoSuchNamespaceException {
    return Arrays.stream(schemas().listNamespaces())
        .filter(found -> found[0].startsWith(name + "__"))
        .map(found -> new String[] {found[0].substring(name.length() + 2)})
        .toArray(String[][]::new);
  }

  @Override
  public String[][] listNamespaces(String[] parent) throws NoSuchNamespaceException {
    return parent.length == 0 ? listNamespaces() : new String[0][];
  }

  @Override
  public boolean namespaceExists(String[] schema) {
    return schema.length == 1 && schemas().namespaceExists(inner(schema));
  }

  @Override
  public Map<String, String> loadNamespaceMetadata(String[] schema) throws NoSuchNamespaceException {
    if (!namespaceExists(schema)) throw new NoSuchNamespaceException(full(schema));
    return schemas().loadNamespaceMetadata(inner(schema));
  }

  @Override
  public void createNamespace(String[] schema, Map<String, String> metadata) throws NamespaceAlreadyExistsException {
    demand("CREATE SCHEMA", "Catalog '" + name + "'");
    schemas().createNamespace(inner(schema), metadata);
  }

  @Override
  public void alterNamespace(String[] schema, NamespaceChange... changes) throws NoSuchNamespaceException {
    demand("MANAGE", "Schema '" + String.join(".", full(schema)) + "'");
    schemas().alterNamespace(inner(schema), changes);
  }

  @Override
  public boolean dropNamespace(String[] schema, boolean cascade)
      throws NoSuchNamespaceException, NonEmptyNamespaceException {
    demand("MANAGE", "Schema '" + String.join(".", full(schema)) + "'");
    return namespaceExists(schema) && schemas().dropNamespace(inner(schema), cascade);
  }

  @Override
  public Identifier[] listTables(String[] schema) throws NoSuchNamespaceException {
    if (!namespaceExists(schema)) throw new NoSuchNamespaceException(full(schema));
    return Arrays.stream(tables().listTables(inner(schema)))
        .filter(found -> found.namespace().length > 0) // the session's views are in every schema, and in none
        .map(found -> Identifier.of(schema, found.name()))
        .toArray(Identifier[]::new);
  }

  @Override
  public Table loadTable(Identifier table) throws NoSuchTableException {
    return tables().loadTable(inner(table));
  }

  @Override
  public Table loadTable(Identifier table, Set<TableWritePrivilege> privileges) throws NoSuchTableException {
    Table found = tables().loadTable(inner(table));
    demand("MODIFY", "Table '" + full(table) + "'");
    return found;
  }

  @Override
  public Table loadTable(Identifier table, String version) throws NoSuchTableException {
    return tables().loadTable(inner(table), version);
  }

  @Override
  public Table loadTable(Identifier table, long micros) throws NoSuchTableException {
    return tables().loadTable(inner(table), micros);
  }

  @Override
  public Table createTable(Identifier table, TableInfo info)
      throws TableAlreadyExistsException, NoSuchNamespaceException {
    return tables().createTable(creatable(table), info.columns(), info.partitions(), withKey(info));
  }

  @Override
  public StagedTable stageCreate(Identifier table, TableInfo info)
      throws TableAlreadyExistsException, NoSuchNamespaceException {
    return tables().stageCreate(creatable(table), info.columns(), info.partitions(), withKey(info));
  }

  @Override
  public StagedTable stageReplace(Identifier table, TableInfo info)
      throws NoSuchNamespaceException, NoSuchTableException {
    return tables().stageReplace(creatable(table), info.columns(), info.partitions(), withKey(info));
  }

  @Override
  public StagedTable stageCreateOrReplace(Identifier table, TableInfo info) throws NoSuchNamespaceException {
    return tables().stageCreateOrReplace(creatable(table), info.columns(), info.partitions(), withKey(info));
  }

  @Override
  public Table alterTable(Identifier table, TableChange... changes) throws NoSuchTableException {
    demand("MANAGE", "Table '" + full(table) + "'");
    return tables().alterTable(inner(table), changes);
  }

  @Override
  public boolean dropTable(Identifier table) {
    demand("MANAGE", "Table '" + full(table) + "'");
    return tables().dropTable(inner(table));
  }

  @Override
  public void renameTable(Identifier old, Identifier table) throws NoSuchTableException, TableAlreadyExistsException {
    demand("MANAGE", "Table '" + full(old) + "'");
    tables().renameTable(inner(old), inner(table));
  }

  @Override
  public void invalidateTable(Identifier table) {
    tables().invalidateTable(inner(table));
  }

  private Identifier creatable(Identifier table) throws NoSuchNamespaceException {
    if (!namespaceExists(table.namespace())) throw new NoSuchNamespaceException(full(table.namespace()));
    demand("CREATE TABLE", "Schema '" + String.join(".", full(table.namespace())) + "'");
    return inner(table);
  }

  private Map<String, String> withKey(TableInfo info) {
    Map<String, String> properties = new HashMap<>(info.properties());
    for (Constraint constraint : info.constraints()) {
      if (!(constraint instanceof PrimaryKey key)) throw new UnsupportedOperationException(constraint.toDDL());
      List<String> parts = new ArrayList<>();
      for (NamedReference reference : key.columns()) {
        String[] words = reference.fieldNames()[0].split(" ", 2); // what the parser made of `known_at TIMESERIES`
        Column column = Arrays.stream(info.columns()).filter(c -> c.name().equals(words[0])).findAny().orElse(null);
        if (column == null || column.nullable()) {
          throw new IllegalArgumentException(
              "Cannot create the primary key `" + key.name() + "` because its child column(s) `" + words[0]
                  + "` is nullable. Please change the column nullability and retry.");
        }
        if (words.length == 2 && !Set.of("timestamp", "date").contains(column.dataType().simpleString())) {
          throw new IllegalArgumentException("TIMESERIES column `" + words[0] + "` is no date or timestamp.");
        }
        parts.add(String.join(" ", words));
      }
      properties.put("emulated.primaryKey", String.join(", ", parts));
    }
    return properties;
  }

  private void demand(String privilege, String securable) {
    if (writers == null) return;
    String user = "nobody";
    for (String tag : CollectionConverters.asJava(SparkSession.active().sparkContext().getJobTags())) {
      if (tag.startsWith("SparkConnect_OperationTag_User_")) {
        user = tag.substring("SparkConnect_OperationTag_User_".length(), tag.indexOf("_Session_"));
      }
    }
    if (!writers.contains(user)) {
      throw new SecurityException(
          "[INSUFFICIENT_PERMISSIONS] Insufficient privileges: User does not have " + privilege + " on " + securable
              + ". SQLSTATE: 42501");
    }
  }

  private StagingTableCatalog tables() {
    return (StagingTableCatalog) SparkSession.active().sessionState().catalogManager().v2SessionCatalog();
  }

  private SupportsNamespaces schemas() {
    return (SupportsNamespaces) tables();
  }

  private String[] inner(String[] schema) {
    return new String[] {name + "__" + String.join("__", schema)};
  }

  private Identifier inner(Identifier table) {
    return Identifier.of(inner(table.namespace()), table.name());
  }

  private String[] full(String[] schema) {
    return new String[] {name, String.join(".", schema)};
  }

  private String full(Identifier table) {
    return String.join(".", full(table.namespace())) + "." + table.name();
  }
}
