//! Answers as files that other programs read: CSV, an Arrow IPC stream, Parquet. Batch by batch, so that an answer of any
//! length is written with the memory of a few batches (Parquet: of one row group, which is bounded by rows and by bytes).
//!
//! CSV is RFC 4180 with a header, `\n` between lines; NULL is an empty field and an empty text a quoted one. Values are
//! written as in JSON answers (see [`crate::json`]), and what JSON would nest stands as JSON in its field.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, RecordBatch, StringBuilder},
        compute::cast,
        datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
        error::ArrowError,
        ipc::writer::StreamWriter,
    },
    error::DataFusionError,
    parquet::{
        arrow::ArrowWriter,
        basic::Compression,
        errors::ParquetError,
        file::properties::{EnabledStatistics, WriterProperties},
    },
};
use serde_json::Value as Json;

use crate::{answer::bytes_of, error::QueryError, json, threads::QueryThreads};

/// A form in which an answer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Csv,
    ArrowStream,
    Parquet,
}

impl Encoding {
    pub const ALL: [Self; 3] = [Self::Csv, Self::ArrowStream, Self::Parquet];

    /// As registered with IANA.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::ArrowStream => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    pub const fn file_extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::ArrowStream => "arrows",
            Self::Parquet => "parquet",
        }
    }
}

/// Rows of a Parquet row group, at most: its columns are in memory, encoded, until it ends.
const ROW_GROUP: usize = 128 * 1024;
/// Bytes of a row group, encoded: where rows are wide it ends sooner.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;
/// What of a batch goes to the Parquet writer at once. It looks at a row group's size between two writes, and knows how wide
/// rows are only after the first.
const SLICE_BYTES: usize = 8 * 1024 * 1024;

/// Writes batches; what is written so far is taken with [`Encoder::take`].
pub struct Encoder {
    out: Shared,
    form: Form,
}

enum Form {
    Csv { header: Option<Vec<u8>> },
    Arrow { writer: Box<StreamWriter<Shared>>, schema: SchemaRef },
    Parquet { writer: Box<ArrowWriter<Shared>>, schema: SchemaRef },
}

impl Encoder {
    pub fn new(encoding: Encoding, schema: &SchemaRef) -> Result<Self, QueryError> {
        let out = Shared::default();
        let form = match encoding {
            Encoding::Csv => Form::Csv { header: Some(header(schema)?) },
            Encoding::ArrowStream => {
                let schema = plain(schema);
                let writer = StreamWriter::try_new(out.clone(), &schema).map_err(failed)?;
                Form::Arrow { writer: Box::new(writer), schema }
            }
            Encoding::Parquet => {
                let schema = plain(schema);
                let properties = WriterProperties::builder()
                    .set_compression(Compression::SNAPPY)
                    .set_max_row_group_row_count(Some(ROW_GROUP))
                    .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
                    .set_statistics_enabled(EnabledStatistics::Chunk)
                    .build();
                let writer = ArrowWriter::try_new(out.clone(), schema.clone(), Some(properties)).map_err(unwritten)?;
                Form::Parquet { writer: Box::new(writer), schema }
            }
        };
        Ok(Self { out, form })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        match &mut self.form {
            Form::Csv { header } => {
                let mut out = self.out.bytes();
                out.extend(header.take().unwrap_or_default());
                append_lines(batch, &mut out)?;
            }
            Form::Arrow { writer, schema } => writer.write(&conform(batch, schema)?).map_err(failed)?,
            Form::Parquet { writer, schema } => {
                let batch = conform(batch, schema)?;
                let most = rows_of_a_slice(&batch);
                for start in (0..batch.num_rows()).step_by(most) {
                    let slice = batch.slice(start, most.min(batch.num_rows() - start));
                    writer.write(&slice).map_err(unwritten)?;
                }
            }
        }
        Ok(())
    }

    /// Writes what comes after the last batch.
    pub fn finish(&mut self) -> Result<(), QueryError> {
        match &mut self.form {
            Form::Csv { header } => self.out.append(&header.take().unwrap_or_default()),
            Form::Arrow { writer, .. } => writer.finish().map_err(failed)?,
            Form::Parquet { writer, .. } => {
                writer.finish().map_err(unwritten)?;
            }
        }
        Ok(())
    }

    /// As [`Encoder::write`], on the threads of queries: to write an answer takes about as long as to compute it. Answers what
    /// has been written since the last time, which may be nothing.
    pub async fn append(mut self, batch: RecordBatch, threads: &QueryThreads) -> Result<(Self, Bytes), QueryError> {
        let writing = async move {
            self.write(&batch)?;
            let bytes = self.take();
            Ok::<_, QueryError>((self, bytes))
        };
        threads.run(writing).await?
    }

    /// As [`Encoder::finish`], on the threads of queries. Answers what was still to be taken.
    pub async fn end(mut self, threads: &QueryThreads) -> Result<Bytes, QueryError> {
        let finishing = async move {
            self.finish()?;
            Ok::<_, QueryError>(self.take())
        };
        threads.run(finishing).await?
    }

    /// What has been written since the last call; may be empty. The next batch is most likely about as long: its place is taken at
    /// once, not by doubling, which leaves behind as much again.
    pub fn take(&mut self) -> Bytes {
        let mut out = self.out.bytes();
        let next = Vec::with_capacity(out.len() + out.len() / 8);
        Bytes::from(std::mem::replace(&mut *out, next))
    }
}

/// How many rows of the batch take [`SLICE_BYTES`], by their mean; at least one. A batch may be a piece of a larger one, whose
/// memory it shares: its own rows count.
fn rows_of_a_slice(batch: &RecordBatch) -> usize {
    let bytes = usize::try_from(bytes_of(batch)).unwrap_or(usize::MAX);
    let each = bytes.div_ceil(batch.num_rows().max(1)).max(1);
    (SLICE_BYTES / each).max(1)
}

fn failed(error: ArrowError) -> QueryError {
    QueryError::from_execution(DataFusionError::from(error))
}

fn unwritten(error: ParquetError) -> QueryError {
    QueryError::from_execution(DataFusionError::from(error))
}

/// The buffer that a writer writes to and from which the encoder takes.
#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn bytes(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, bytes: &[u8]) {
        self.bytes().extend_from_slice(bytes);
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The schema in types that every reader knows: texts and bytes without views, times in microseconds, no names twice. Views
/// and dictionaries would bring along the values of rows that were filtered away.
fn plain(schema: &SchemaRef) -> SchemaRef {
    let mut taken = std::collections::BTreeSet::new();
    let fields = schema.fields().iter().map(|field| {
        let mut name = field.name().clone();
        let mut again = 2;
        while !taken.insert(name.clone()) {
            name = format!("{}_{again}", field.name());
            again += 1;
        }
        Field::new(name, plain_type(field.data_type()), field.is_nullable())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn plain_type(data_type: &DataType) -> DataType {
    let item = |field: &Arc<Field>| Arc::new(field.as_ref().clone().with_data_type(plain_type(field.data_type())));
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        // Parquet has no name for them.
        DataType::Null | DataType::Interval(_) | DataType::Duration(_) => DataType::Utf8,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::Timestamp(TimeUnit::Second, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        DataType::List(field) | DataType::ListView(field) => DataType::List(item(field)),
        DataType::LargeList(field) | DataType::LargeListView(field) => DataType::LargeList(item(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(item(field), *size),
        DataType::Map(entries, sorted) => DataType::Map(item(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(item).collect()),
        other => other.clone(),
    }
}

fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, QueryError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() { Ok(column.clone()) } else { cast(column, field.data_type()) }
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, _>>().map_err(failed)?;
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(failed)
}

fn header(schema: &SchemaRef) -> Result<Vec<u8>, QueryError> {
    let mut line = Vec::new();
    for (at, field) in schema.fields().iter().enumerate() {
        if at > 0 {
            line.push(b',');
        }
        append_field(field.name(), &mut line);
    }
    line.push(b'\n');
    Ok(line)
}

fn append_lines(batch: &RecordBatch, lines: &mut Vec<u8>) -> Result<(), QueryError> {
    let columns = batch.columns().iter().map(texts).collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                lines.push(b',');
            }
            if !column.is_null(row) {
                append_field(column.value(row), lines);
            }
        }
        lines.push(b'\n');
    }
    Ok(())
}

/// Quoted where RFC 4180 asks for it, and where it is empty: an unquoted empty field is NULL.
fn append_field(text: &str, line: &mut Vec<u8>) {
    let bare = !text.is_empty()
        && !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'))
        && !text.starts_with(' ')
        && !text.ends_with(' ');
    if bare {
        return line.extend_from_slice(text.as_bytes());
    }
    line.push(b'"');
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            line.extend_from_slice(b"\"\"");
        }
        line.extend_from_slice(part.as_bytes());
    }
    line.push(b'"');
}

/// A column as texts. What Arrow writes as the JSON form does is cast as a whole, and moments are written as there; the rest
/// goes value by value.
fn texts(column: &ArrayRef) -> Result<datafusion::arrow::array::StringArray, QueryError> {
    use datafusion::arrow::array::AsArray;
    let as_a_whole = matches!(
        column.data_type(),
        DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Date32
            | DataType::Decimal128(..)
            | DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
    );
    if as_a_whole {
        let text = cast(column, &DataType::Utf8).map_err(failed)?;
        return Ok(text.as_string::<i32>().clone());
    }
    if let DataType::Timestamp(unit, zone) = column.data_type() {
        return Ok(json::moments(column.as_ref(), *unit, zone.is_some()));
    }
    let field = Field::new("value", column.data_type().clone(), true);
    let one = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column.clone()]).map_err(failed)?;
    let mut rows = Vec::with_capacity(column.len());
    json::append_rows(&one, &mut rows)?;
    let mut builder = StringBuilder::with_capacity(column.len(), column.len() * 16);
    for value in rows.into_iter().flatten() {
        match value {
            Json::Null => builder.append_null(),
            Json::String(text) => builder.append_value(text),
            other => builder.append_value(other.to_string()),
        }
    }
    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        BinaryArray, BooleanArray, DictionaryArray, FixedSizeListArray, Float64Array, Int32Array, Int64Array,
        ListArray, MapArray, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
    };
    use datafusion::arrow::buffer::OffsetBuffer;
    use datafusion::arrow::compute::filter;
    use datafusion::arrow::datatypes::{Fields, Int32Type, Int64Type};
    use datafusion::arrow::ipc::reader::StreamReader;
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn batch() -> RecordBatch {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
        RecordBatch::try_from_iter_with_nullable([
            ("id", Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MAX)])) as ArrayRef, true),
            ("na\"me", Arc::new(StringArray::from(vec![Some("a,\"b\"\nc"), Some(""), None])), true),
            ("ratio", Arc::new(Float64Array::from(vec![0.1, -2.0, f64::NAN])), true),
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(1_500_000)]).with_timezone("UTC")),
                true,
            ),
            ("list", Arc::new(lists), true),
        ])
        .unwrap()
    }

    fn encoded(encoding: Encoding, batches: &[RecordBatch]) -> Vec<u8> {
        let mut encoder = Encoder::new(encoding, &batch().schema()).unwrap();
        let mut bytes = Vec::new();
        for batch in batches {
            encoder.write(batch).unwrap();
            bytes.extend_from_slice(&encoder.take());
        }
        encoder.finish().unwrap();
        bytes.extend_from_slice(&encoder.take());
        bytes
    }

    #[test]
    fn csv_tells_null_from_an_empty_text() {
        let text = String::from_utf8(encoded(Encoding::Csv, &[batch()])).unwrap();
        let expected = "id,\"na\"\"me\",ratio,at,list\n\
            1,\"a,\"\"b\"\"\nc\",0.1,1970-01-01T00:00:00Z,\"[1,null]\"\n\
            ,\"\",-2.0,,\n\
            9223372036854775807,,NaN,1970-01-01T00:00:01.500Z,[]\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_empty_answer_has_its_columns() {
        assert_eq!(encoded(Encoding::Csv, &[]), b"id,\"na\"\"me\",ratio,at,list\n");
        let parquet = Bytes::from(encoded(Encoding::Parquet, &[]));
        let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap();
        assert_eq!(reader.schema().fields().len(), 5);
        let arrow = encoded(Encoding::ArrowStream, &[]);
        assert_eq!(StreamReader::try_new(arrow.as_slice(), None).unwrap().schema().fields().len(), 5);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let batches = [batch(), batch()];
        let arrow = encoded(Encoding::ArrowStream, &batches);
        let back: Vec<_> = StreamReader::try_new(arrow.as_slice(), None).unwrap().map(Result::unwrap).collect();
        assert_eq!(back.len(), 2);
        assert_eq!(back[0].column(1), batch().column(1));
        let parquet = Bytes::from(encoded(Encoding::Parquet, &batches));
        let back: Vec<_> =
            ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap().build().unwrap().map(Result::unwrap).collect();
        assert_eq!(back.iter().map(RecordBatch::num_rows).sum::<usize>(), 6);
        assert_eq!(back[0].slice(0, 3).column(3).as_ref(), batch().column(3).as_ref());
    }

    #[test]
    fn nothing_is_written_of_rows_that_were_filtered_away() {
        let seen_alone = BooleanArray::from(vec![true, false]);
        let views = || StringViewArray::from(vec!["what is seen of it", "what is hidden of it"]);
        let fixed = FixedSizeListArray::new(
            Arc::new(Field::new_list_field(DataType::Utf8View, true)),
            1,
            Arc::new(views()),
            None,
        );
        let fields = Fields::from(vec![
            Field::new("key", DataType::Int64, false),
            Field::new("value", DataType::Utf8View, true),
        ]);
        let entries =
            StructArray::new(fields.clone(), vec![Arc::new(Int64Array::from(vec![1, 2])), Arc::new(views())], None);
        let map = MapArray::new(
            Arc::new(Field::new("entries", DataType::Struct(fields), false)),
            OffsetBuffer::from_lengths([1, 1]),
            entries,
            None,
            false,
        );
        let words = StringArray::from(vec!["what is seen of it", "what is hidden of it"]);
        let dictionary = DictionaryArray::<Int32Type>::new(Int32Array::from(vec![0, 1]), Arc::new(words));
        let columns: [(&str, ArrayRef); 4] = [
            ("view", Arc::new(views())),
            ("fixed", Arc::new(fixed)),
            ("map", Arc::new(map)),
            ("dictionary", Arc::new(dictionary)),
        ];
        for (name, column) in columns {
            let left = filter(&column, &seen_alone).unwrap();
            let batch = RecordBatch::try_from_iter([(name, left)]).unwrap();
            let mut encoder = Encoder::new(Encoding::ArrowStream, &batch.schema()).unwrap();
            encoder.write(&batch).unwrap();
            let bytes = encoder.take();
            let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(holds("what is seen of it"), "{name}");
            assert!(!holds("what is hidden of it"), "{name}");
        }
    }

    #[test]
    fn columns_of_one_name_are_told_apart() {
        let column = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
        let twice =
            Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("n", DataType::Int64, true)]));
        let batch = RecordBatch::try_new(twice.clone(), vec![column(), column()]).unwrap();
        let mut encoder = Encoder::new(Encoding::Parquet, &twice).unwrap();
        encoder.write(&batch).unwrap();
        encoder.finish().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(encoder.take()).unwrap();
        let names: Vec<_> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["n", "n_2"]);
    }

    /// A batch of binary values that nothing compresses.
    fn wide_batch(rows: usize, width: usize, seed: u64) -> RecordBatch {
        let mut state = seed;
        let mut eight_bytes = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()
        };
        let values: Vec<Vec<u8>> = (0..rows).map(|_| (0..width / 8).flat_map(|_| eight_bytes()).collect()).collect();
        let column = BinaryArray::from_iter_values(values);
        RecordBatch::try_from_iter([("bytes", Arc::new(column) as ArrayRef)]).unwrap()
    }

    #[test]
    fn wide_rows_make_several_row_groups() {
        // 96 MiB in two batches, the first of which alone is more than a row group holds.
        let batches = [wide_batch(64, 1024 * 1024, 1), wide_batch(32, 1024 * 1024, 2)];
        let mut encoder = Encoder::new(Encoding::Parquet, &batches[0].schema()).unwrap();
        let (mut bytes, mut before_the_end) = (Vec::new(), 0);
        for batch in &batches {
            encoder.write(batch).unwrap();
            let taken = encoder.take();
            before_the_end += taken.len();
            bytes.extend_from_slice(&taken);
        }
        assert!(before_the_end >= 2 * ROW_GROUP_BYTES, "only {before_the_end} bytes left before the end");
        encoder.finish().unwrap();
        bytes.extend_from_slice(&encoder.take());

        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
        let groups: Vec<_> = reader.metadata().row_groups().iter().map(|group| group.compressed_size()).collect();
        assert!(groups.len() >= 3, "{groups:?}");
        let most = i64::try_from(ROW_GROUP_BYTES + SLICE_BYTES).unwrap();
        assert!(groups.iter().all(|size| *size <= most), "{groups:?}");
        let rows: usize = reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(rows, 96);
    }

    #[test]
    fn a_piece_of_a_large_batch_is_as_wide_as_its_rows() {
        let numbers = Arc::new(Int64Array::from_iter_values(0..100_000)) as ArrayRef;
        let texts = Arc::new(StringArray::from_iter_values((0..100_000).map(|_| "as wide as the others"))) as ArrayRef;
        let whole = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
        let piece = whole.slice(50_000, 10_000);
        assert_eq!(rows_of_a_slice(&piece), rows_of_a_slice(&whole));
    }

    #[test]
    fn narrow_rows_stay_in_one_row_group() {
        let numbers = Arc::new(Int64Array::from_iter_values(0..50_000)) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let mut encoder = Encoder::new(Encoding::Parquet, &batch.schema()).unwrap();
        encoder.write(&batch).unwrap();
        encoder.finish().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(encoder.take()).unwrap();
        assert_eq!(reader.metadata().row_groups().len(), 1);
    }
}
