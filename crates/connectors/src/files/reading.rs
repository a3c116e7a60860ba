//! How the engine is to read a file, as it is kept between its discovery and its scans.

use std::sync::Arc;

use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion_datasource_avro::AvroFormat;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "lowercase")]
pub(crate) enum Reading {
    Csv {
        delimiter: char,
        header: bool,
        /// Fields may hold line ends, so a file cannot be read in parts.
        multiline: bool,
        compression: Compression,
    },
    Json {
        array: bool,
        compression: Compression,
    },
    Parquet,
    Avro,
}

/// What a text file is packed with.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}

impl Compression {
    pub fn file_type(self) -> FileCompressionType {
        match self {
            Self::None => FileCompressionType::UNCOMPRESSED,
            Self::Gzip => FileCompressionType::GZIP,
            Self::Zstd => FileCompressionType::ZSTD,
        }
    }
}

impl Reading {
    pub fn format(&self) -> Arc<dyn FileFormat> {
        match self {
            Self::Csv { delimiter, header, multiline, compression } => Arc::new(
                CsvFormat::default()
                    .with_has_header(*header)
                    // It was checked to be one byte.
                    .with_delimiter(u8::try_from(*delimiter).unwrap_or(b','))
                    .with_newlines_in_values(*multiline)
                    .with_file_compression_type(compression.file_type()),
            ),
            Self::Json { array, compression } => Arc::new(
                JsonFormat::default()
                    .with_newline_delimited(!array)
                    .with_file_compression_type(compression.file_type()),
            ),
            Self::Parquet => Arc::new(parquet()),
            Self::Avro => Arc::new(AvroFormat),
        }
    }

    /// Whether filters rule out parts of a file before they are read.
    pub fn is_pruned(&self) -> bool {
        *self == Self::Parquet
    }
}

/// Filters rule out row groups and pages. Rows they rule out afterwards: skipping single rows while a page is
/// decoded (`pushdown_filters`) took half as long again in every case of the benchmark.
pub(super) fn parquet() -> ParquetFormat {
    let mut options = TableParquetOptions::default();
    options.global.enable_page_index = true;
    options.global.bloom_filter_on_read = true;
    ParquetFormat::default().with_options(options)
}
