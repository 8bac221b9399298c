package gatehouse.emulated;

import java.io.File;
import java.io.IOException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;

/** The machine's files, where paths under /Volumes lie under the folder that the setting `gatehouse.volumes` names. */
public final class Volumes extends LocalFileSystem {
  public Volumes() {
    super(new Files());
  }

  private static final class Files extends RawLocalFileSystem {
    @Override
    public File pathToFile(Path path) {
      File file = super.pathToFile(path);
      return file.getPath().startsWith("/Volumes/")
          ? new File(getConf().get("gatehouse.volumes"), file.getPath().substring("/Volumes/".length()))
          : file;
    }
  }
}
