//! Which folders are tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::path::{Path, PathPart};
use object_store::{ObjectMeta, ObjectStore};
use serde::{Deserialize, Serialize};

use super::settings::Settings;
use crate::ConnectorError;
use crate::files::{Compression, Holds, distinct, slug, unreadable, unreadable_object};

/// Objects that a discovery, or a scan of one table, looks at.
pub(super) const OBJECTS: usize = 100_000;
const TABLES: usize = 1_000;
/// Files of a folder called `metadata` among which those of Iceberg are looked for.
const LOOKED_FOR: usize = 1_000;

const DELTA: &str = "it is a Delta table; Delta tables cannot be read by this build";
const ICEBERG: &str = "it is an Iceberg table; Iceberg tables cannot be read by this build";

/// A table that was found, before anybody looked into its files.
#[derive(Debug)]
pub(super) struct Found {
    pub name: String,
    pub place: Place,
    /// Sorted by path.
    pub files: Vec<ObjectMeta>,
    /// Why it cannot be read, where the listing says so already.
    pub problem: Option<String>,
}

/// Where a table lies, and which of the files there are its.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The folder or file.
    root: String,
    pub shape: Shape,
    pub format: Format,
    pub compression: Compression,
    /// The names of its Hive partitions.
    pub partitions: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shape {
    Folder,
    File,
}

/// A file's format, by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Parquet,
    Csv,
    Tsv,
    Json,
    Jsonl,
    Avro,
}

impl Format {
    /// `orders.csv.gz` is a packed CSV file; only text is packed as a whole.
    pub fn of(file: &str) -> Option<(Self, Compression)> {
        let file = file.to_ascii_lowercase();
        let (stem, compression) = match file.rsplit_once('.')? {
            (stem, "gz" | "gzip") => (stem, Compression::Gzip),
            (stem, "zst" | "zstd") => (stem, Compression::Zstd),
            _ => (file.as_str(), Compression::None),
        };
        let format = match stem.rsplit_once('.')?.1 {
            "parquet" | "pq" => Self::Parquet,
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::Jsonl,
            "avro" => Self::Avro,
            _ => return None,
        };
        let packed = compression != Compression::None;
        (!packed || !matches!(format, Self::Parquet | Self::Avro)).then_some((format, compression))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Avro => "avro",
        }
    }
}

impl Place {
    pub fn root(&self) -> Result<Path, ConnectorError> {
        Path::parse(&self.root).map_err(ConnectorError::internal)
    }

    /// Which files are the table's.
    pub fn files(&self) -> Result<TableFiles, ConnectorError> {
        let root = self.root()?;
        Ok(TableFiles { root, format: self.format, compression: self.compression, partitions: self.partitions.clone() })
    }
}

/// The files of a folder's table: those of its format, right in the folder or in its partitions.
#[derive(Debug, Clone)]
pub(super) struct TableFiles {
    pub root: Path,
    format: Format,
    pub compression: Compression,
    partitions: Vec<String>,
}

impl Holds for TableFiles {
    fn holds(&self, path: &Path) -> bool {
        self.values(path).is_some_and(|values| values.len() == self.partitions.len())
    }
}

impl TableFiles {
    /// The values of the partitions that a file lies in, as they are written; none where it is not the table's.
    pub fn values(&self, path: &Path) -> Option<Vec<String>> {
        let below: Vec<_> = path.prefix_match(&self.root)?.collect();
        let (file, folders) = below.split_last()?;
        let fits = Format::of(file.as_ref()) == Some((self.format, self.compression));
        if !fits || is_hidden(file.as_ref()) || folders.len() != self.partitions.len() {
            return None;
        }
        let value = |(folder, name): (&PathPart<'_>, &String)| {
            folder.as_ref().split_once('=').filter(|(found, _)| found == name).map(|(_, value)| value.to_owned())
        };
        folders.iter().zip(&self.partitions).map(value).collect()
    }
}

/// Marks, logs and temporary files of writers begin so.
fn is_hidden(part: &str) -> bool {
    part.starts_with(['_', '.'])
}

/// Asks the store for the least that shows that it can be read.
pub(super) async fn probe(store: &Arc<dyn ObjectStore>, settings: &Settings) -> Result<(), ConnectorError> {
    let first = store.list(prefix(settings)).next().await;
    first.transpose().map(|_| ()).map_err(|error| unreadable_object(&settings.prefix, error))
}

fn prefix(settings: &Settings) -> Option<&Path> {
    Some(&settings.prefix).filter(|prefix| !prefix.as_ref().is_empty())
}

/// Lists everything below the prefix and tells which tables it is.
pub(super) async fn tables(
    store: &Arc<dyn ObjectStore>,
    settings: &Settings,
    table: Option<&str>,
) -> Result<Vec<Found>, ConnectorError> {
    not_inside_a_lake(store, settings).await?;
    let mut listing = store.list(prefix(settings));
    let mut objects: Vec<ObjectMeta> = Vec::new();
    while let Some(object) = listing.try_next().await.map_err(|error| unreadable_object(&settings.prefix, error))? {
        if objects.len() == OBJECTS {
            return Err(too_many());
        }
        objects.push(object);
    }
    objects.sort_by(|a, b| a.location.cmp(&b.location));
    let found = sort_out(objects, settings, table);
    if found.len() > TABLES {
        let reason = format!("the data source holds more than {TABLES} tables; narrow it by metadata.prefix");
        return Err(ConnectorError::Unsupported(reason));
    }
    Ok(found)
}

/// A prefix may point into a table with a log, where the log is out of sight.
async fn not_inside_a_lake(store: &Arc<dyn ObjectStore>, settings: &Settings) -> Result<(), ConnectorError> {
    let parts: Vec<_> = settings.prefix.parts().map(|part| part.as_ref().to_owned()).collect();
    for depth in 0..parts.len() {
        for (log, lake) in [("_delta_log", DELTA), ("metadata", ICEBERG)] {
            let folder = parts[..depth].iter().map(String::as_str).chain([log]).collect::<Vec<_>>().join("/");
            let Ok(folder) = Path::parse(&folder) else { continue };
            // The credentials may be for the prefix alone; then nobody can tell.
            let first = store.list(Some(&folder)).take(LOOKED_FOR).try_collect::<Vec<_>>().await.unwrap_or_default();
            let is_log = |file: &ObjectMeta| log != "metadata" || is_iceberg(file.location.filename().unwrap_or(""));
            if first.iter().any(is_log) {
                return Err(ConnectorError::Unsupported(format!("metadata.prefix is inside a table: {lake}")));
            }
        }
    }
    Ok(())
}

/// A folder of Parquet files may have become a Delta table since it was discovered.
pub(super) async fn not_a_lake_by_now(store: &Arc<dyn ObjectStore>, root: &Path) -> Result<(), ConnectorError> {
    let log = root.clone().join("_delta_log");
    match store.list(Some(&log)).next().await.transpose().map_err(|error| unreadable_object(root, error))? {
        Some(_) => Err(unreadable(root, DELTA, None)),
        None => Ok(()),
    }
}

fn is_iceberg(file: &str) -> bool {
    file.ends_with(".metadata.json") || file.ends_with(".metadata.json.gz") || file == "version-hint.text"
}

pub(super) fn too_many() -> ConnectorError {
    let reason = format!("the store holds more than {OBJECTS} objects there; narrow the source by metadata.prefix");
    ConnectorError::Unsupported(reason)
}

/// A group of files: its folder, format and packing.
type Group = (Vec<String>, Option<String>, Format, Compression);

fn sort_out(objects: Vec<ObjectMeta>, settings: &Settings, table: Option<&str>) -> Vec<Found> {
    let lakes = lakes(&objects, settings);
    let mut groups: BTreeMap<Group, Vec<(Vec<String>, ObjectMeta)>> = BTreeMap::new();
    for object in objects {
        let below = below(&object, settings);
        let Some((file, folders)) = below.split_last() else { continue };
        let Some((format, compression)) = Format::of(file) else { continue };
        let in_a_lake = lakes.keys().any(|lake| below.starts_with(lake));
        if in_a_lake || object.size == 0 || below.iter().any(|part| is_hidden(part)) {
            continue;
        }
        let depth = folders.iter().rev().take_while(|folder| folder.contains('=')).count();
        let (folder, partitions) = folders.split_at(folders.len() - depth);
        let names = partitions.iter().map(|part| part.split('=').next().unwrap_or_default().to_owned()).collect();
        // Right at the prefix each file is a table, unless it was said what they are together.
        let alone = folder.is_empty() && depth == 0 && table.is_none();
        let group = (folder.to_vec(), alone.then(|| file.clone()), format, compression);
        groups.entry(group).or_default().push((names, object));
    }
    let mut folders: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for (folder, file, ..) in groups.keys() {
        *folders.entry(folder.clone()).or_default() += usize::from(file.is_none());
    }
    let own_name = || {
        let last = settings.prefix.filename().unwrap_or(&settings.bucket);
        table.unwrap_or(last).to_owned()
    };
    let mut found: Vec<Found> = groups
        .into_iter()
        .map(|((folder, file, format, compression), files)| {
            let mut name = match &file {
                Some(file) => stem(file, compression).to_owned(),
                None if folder.is_empty() => own_name(),
                None => folder.join("_"),
            };
            // A folder of several formats is as many tables.
            if file.is_none() && folders.get(&folder).is_some_and(|formats| *formats > 1) {
                name = format!("{name}_{}", format.as_str());
            }
            let partitions = files.first().map(|(names, _)| names.clone()).unwrap_or_default();
            let odd = files.iter().find(|(names, _)| *names != partitions);
            let shown = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let problem = odd.map(|(names, _)| {
                format!("files lie in partitions of different names: {} and {}", shown(&partitions), shown(names))
            });
            let shape = if file.is_some() { Shape::File } else { Shape::Folder };
            let root = full(settings, folder.iter().chain(&file));
            let place = Place { root, shape, format, compression, partitions };
            Found { name, place, files: files.into_iter().map(|(_, object)| object).collect(), problem }
        })
        .collect();
    for (folder, lake) in lakes {
        let name = if folder.is_empty() { own_name() } else { folder.join("_") };
        let place = Place {
            root: full(settings, folder.iter()),
            shape: Shape::Folder,
            format: Format::Parquet,
            compression: Compression::None,
            partitions: Vec::new(),
        };
        found.push(Found { name, place, files: Vec::new(), problem: Some(lake.to_owned()) });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let names = distinct(found.iter().map(|found| slug(&found.name)).collect::<Vec<_>>().into_iter());
    found.iter_mut().zip(names).for_each(|(found, name)| found.name = name);
    found
}

/// A file's name without its extensions.
fn stem(file: &str, compression: Compression) -> &str {
    let without = |name: &'_ str| name.rsplit_once('.').map_or(name.len(), |(stem, _)| stem.len());
    let stem = &file[..without(file)];
    if compression == Compression::None { stem } else { &stem[..without(stem)] }
}

/// The folders of tables that have a log: what lies in them is not all theirs, since deleted rows stay until the
/// files are swept. Read as plain files they would show them.
fn lakes(objects: &[ObjectMeta], settings: &Settings) -> BTreeMap<Vec<String>, &'static str> {
    let mut lakes = BTreeMap::new();
    for object in objects {
        let below = below(object, settings);
        let folders = below.len().saturating_sub(1);
        if let Some(at) = below.iter().take(folders).position(|part| part == "_delta_log") {
            lakes.insert(below[..at].to_vec(), DELTA);
        } else if let [lake @ .., metadata, file] = below.as_slice()
            && metadata == "metadata"
            && is_iceberg(file)
        {
            lakes.insert(lake.to_vec(), ICEBERG);
        }
    }
    lakes
}

/// The parts of an object's path below the source's prefix.
fn below(object: &ObjectMeta, settings: &Settings) -> Vec<String> {
    let below = object.location.prefix_match(&settings.prefix);
    below.map(|parts| parts.map(|part| part.as_ref().to_owned()).collect()).unwrap_or_default()
}

fn full<'a>(settings: &Settings, below: impl Iterator<Item = &'a String>) -> String {
    let prefix = settings.prefix.parts().map(|part| part.as_ref().to_owned());
    prefix.chain(below.cloned()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::super::settings::Access;
    use super::*;
    use rivergen_kernel::secret::Secret;

    fn found(prefix: &str, table: Option<&str>, paths: &[&str]) -> Vec<Found> {
        let access = Access::Gcs { endpoint: None, token: Secret::new("") };
        let settings = Settings { bucket: "the-lake".into(), prefix: Path::from(prefix), access };
        let object = |path: &&str| ObjectMeta {
            location: Path::parse(path).unwrap(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: u64::from(!path.ends_with("empty.csv")),
            e_tag: None,
            version: None,
        };
        sort_out(paths.iter().map(object).collect(), &settings, table)
    }

    fn names(found: &[Found]) -> Vec<(&str, &str, usize)> {
        found.iter().map(|f| (f.name.as_str(), f.place.root.as_str(), f.files.len())).collect()
    }

    #[test]
    fn folders_are_tables_and_files_at_the_root() {
        let tables = found(
            "raw",
            None,
            &[
                "raw/2024.5 Orders.csv",
                "raw/customers.parquet",
                "raw/empty.csv",
                "raw/read me.md",
                "raw/orders/_SUCCESS",
                "raw/orders/.part-3.parquet.crc",
                "raw/orders/_temporary/0/part.parquet",
                "raw/orders/part-1.parquet",
                "raw/orders/part-2.parquet",
                "raw/orders/archive/old.parquet",
                "raw/sales/year=2025/month=12/a.csv.gz",
                "raw/sales/year=2026/month=01/a.csv.gz",
                "raw/mixed/a.csv",
                "raw/mixed/b.json",
            ],
        );
        let expected = [
            ("2024_5_orders", "raw/2024.5 Orders.csv", 1),
            ("customers", "raw/customers.parquet", 1),
            ("mixed_csv", "raw/mixed", 1),
            ("mixed_json", "raw/mixed", 1),
            ("orders", "raw/orders", 2),
            ("orders_archive", "raw/orders/archive", 1),
            ("sales", "raw/sales", 2),
        ];
        assert_eq!(names(&tables), expected);
        assert_eq!(tables[6].place.partitions, ["year", "month"]);
        assert_eq!(tables[6].place.compression, Compression::Gzip);
        assert!(tables.iter().all(|found| found.problem.is_none()));

        let together = found("raw/orders", Some("Orders"), &["raw/orders/a.csv", "raw/orders/b.csv"]);
        assert_eq!(names(&together), [("orders", "raw/orders", 2)]);
        let partitioned = found("raw/sales", None, &["raw/sales/year=2025/a.csv", "raw/sales/year=2026/a.csv"]);
        assert_eq!(names(&partitioned), [("sales", "raw/sales", 2)]);
        let whole = found("", None, &["year=2025/a.csv"]);
        assert_eq!(names(&whole), [("the_lake", "", 1)]);
    }

    #[test]
    fn what_is_not_one_table_says_why() {
        let odd = found("", None, &["t/year=2025/a.csv", "t/b.csv"]);
        assert!(
            odd[0].problem.as_ref().unwrap().contains("year and none")
                || odd[0].problem.as_ref().unwrap().contains("none and year")
        );
        let lakes = found(
            "",
            None,
            &[
                "d/_delta_log/00000000000000000000.json",
                "d/part-0.parquet",
                "d/year=2025/part-0.parquet",
                "i/data/a.parquet",
                "i/metadata/v1.metadata.json",
                "p/a.parquet",
            ],
        );
        assert_eq!(names(&lakes), [("d", "d", 0), ("i", "i", 0), ("p", "p", 1)]);
        assert!(lakes[0].problem.as_ref().unwrap().contains("Delta"));
        assert!(lakes[1].problem.as_ref().unwrap().contains("Iceberg"));
    }

    #[test]
    fn a_table_holds_its_own_files() {
        let tables = found("", None, &["sales/year=2025/a.csv"]);
        let files = tables[0].place.files().unwrap();
        let holds = |path: &str| files.holds(&Path::parse(path).unwrap());
        assert!(holds("sales/year=2030/b.CSV"));
        for other in [
            "sales/b.csv",
            "sales/year=2025/x/b.csv",
            "sales/month=1/b.csv",
            "sales/year=2025/_b.csv",
            "other/year=2025/a.csv",
            "sales/year=2025/a.csv.gz",
            "sales",
        ] {
            assert!(!holds(other), "{other}");
        }
    }
}
