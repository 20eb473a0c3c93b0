//! Reading and writing files: every type both ways, and every way a CSV file can be wrong.

use std::io::Write as _;
use std::path::Path;

use gristmill_frame::{
    Bounds, Encoding, Error, FileFormat, SourceSpec, from_columns, read_file, read_parquet, to_columns, write_csv,
    write_parquet,
};
use gristmill_types::{Column, ColumnType, Columns, Values};
use proptest::prelude::*;

fn read_bytes(bytes: &[u8], spec: &SourceSpec, bounds: &Bounds) -> Result<Columns, Error> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    read_file(file.path(), "data", spec, bounds)
}

fn read(text: &str) -> Result<Columns, Error> {
    read_bytes(text.as_bytes(), &SourceSpec::default(), &Bounds::default())
}

fn refusal(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

fn everything() -> Columns {
    let valid = vec![true, false, true];
    let unscaled = vec![12_345_i128, 0, -99_999_999_999_999_999_999];
    let naive = Values::Timestamp { zone: None, micros: vec![1, 0, -1] };
    let zoned = Values::Timestamp { zone: Some("America/New_York".into()), micros: vec![1_357_020_000_000_000, 0, 7] };
    Columns::new(vec![
        Column::with_valid("b", Values::Bool(vec![true, false, false]), valid.clone()),
        Column::int("i", [Some(i64::MIN), None, Some(i64::MAX)]),
        Column::with_valid("f", Values::Float(vec![0.1, 0.0, f64::INFINITY]), valid.clone()),
        Column::with_valid("d", Values::Decimal { scale: 2, unscaled }, valid.clone()),
        Column::text("t", [Some("a,\"b\"\nc"), None, Some("é")]),
        Column::with_valid("day", Values::Date(vec![15_706, 0, -1]), valid.clone()),
        Column::with_valid("at", zoned, valid.clone()),
        Column::with_valid("wall", naive, valid),
    ])
    .unwrap()
}

/// Equal as tables: what stands at a null row means nothing.
fn same(a: &Columns, b: &Columns) -> bool {
    a.fields() == b.fields()
        && a.rows() == b.rows()
        && a.columns().iter().zip(b.columns()).all(|(a, b)| (0..a.len()).all(|row| a.cell(row) == b.cell(row)))
}

#[test]
fn every_type_survives_the_engine_and_parquet() {
    let columns = everything();
    assert!(same(&columns, &to_columns(&from_columns(&columns).unwrap()).unwrap()));
    let mut bytes = Vec::new();
    write_parquet(&columns, &mut bytes).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x"), &bytes).unwrap();
    assert!(same(&columns, &read_parquet(&dir.path().join("x")).unwrap()));
}

#[test]
fn csv_reads_back_what_was_written() {
    let columns = everything();
    let mut text = Vec::new();
    write_csv(&columns, &mut text).unwrap();
    let mut spec = SourceSpec::default();
    for (name, declared) in [("d", "decimal(2)"), ("at", "timestamp[America/New_York]")] {
        spec.columns.insert(name.into(), declared.parse().unwrap());
    }
    let back = read_bytes(&text, &spec, &Bounds::default()).unwrap();
    assert!(same(&columns, &back), "{}", String::from_utf8(text).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_survives_csv(rows in prop::collection::vec((prop::option::of("[ -~\n\r\"é]{1,12}"), any::<Option<i64>>()), 1..20)) {
        let text: Vec<Option<&str>> = rows.iter().map(|(t, _)| t.as_deref().filter(|t| !matches!(*t, "NA" | "N/A" | "NULL" | "null"))).collect();
        let columns = Columns::new(vec![Column::text("t", text), Column::int("i", rows.iter().map(|(_, i)| *i))]).unwrap();
        let mut bytes = Vec::new();
        write_csv(&columns, &mut bytes).unwrap();
        let mut spec = SourceSpec::default();
        spec.columns.insert("t".into(), ColumnType::Text.into());
        spec.columns.insert("i".into(), ColumnType::Int.into());
        prop_assert!(same(&columns, &read_bytes(&bytes, &spec, &Bounds::default()).unwrap()));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), parquet in any::<bool>()) {
        let mut data = if parquet { b"PAR1".to_vec() } else { Vec::new() };
        data.extend(bytes);
        let _ = read_bytes(&data, &SourceSpec::default(), &Bounds::default());
    }
}

#[test]
fn types_are_inferred_and_nulls_kept() {
    let columns = read("a,b,c,d,e,when\n1,1.5,x,true,,2013-01-01T06:00:00Z\n2,NA,007,false,,NA\n").unwrap();
    let types: Vec<String> = columns.fields().iter().map(|f| f.column_type.to_string()).collect();
    assert_eq!(types, ["int", "float", "text", "bool", "text", "timestamp[UTC]"]);
    assert_eq!(columns.get("b").unwrap().null_count(), 1);
    assert_eq!(columns.get("e").unwrap().null_count(), 2);
}

#[test]
fn gzip_delimiter_quote_header_and_encoding() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"1;'a;b'\n-;'caf\xE9'\n").unwrap();
    let bytes = gzip.finish().unwrap();
    let mut spec = SourceSpec::default();
    spec.csv.delimiter = ';';
    spec.csv.quote = '\'';
    spec.csv.header = false;
    spec.csv.encoding = Encoding::Latin1;
    spec.csv.null_values = vec!["-".into()];
    let columns = read_bytes(&bytes, &spec, &Bounds::default()).unwrap();
    assert_eq!(columns.fields()[0].name, "column_1");
    assert_eq!(columns.columns()[0], Column::int("column_1", [Some(1), None]));
    assert_eq!(columns.columns()[1], Column::text("column_2", [Some("a;b"), Some("café")]));
    let cut = read_bytes(&bytes[..bytes.len() - 9], &spec, &Bounds::default()).unwrap_err().to_string();
    assert!(cut.contains("damaged or truncated"), "{cut}");
}

#[test]
fn a_file_that_is_not_there_and_one_that_is_empty() {
    let missing = read_file(Path::new("/nowhere/at/all.csv"), "data", &SourceSpec::default(), &Bounds::default());
    let message = missing.unwrap_err().to_string();
    assert!(message.contains("source `data` cannot be opened") && !message.contains("/nowhere"), "{message}");
    for text in ["", "a,b\n", "\n\n"] {
        assert!(refusal(text).contains("source `data` is empty"), "{text:?}");
    }
}

#[test]
fn a_broken_line_is_named() {
    assert_eq!(
        refusal("a,b\n1,2\n3\n"),
        "source `data`, line 3: 1 fields where the header names 2: quote fields that hold the delimiter, and fill in what is missing"
    );
    assert!(refusal("a,b\n1,2,3\n").contains("line 2: 3 fields where the header names 2"));
    let twice = refusal("a,b,a\n1,2,3\n");
    assert!(twice.contains("line 1: the header names column `a` twice (columns 1 and 3)"), "{twice}");
    let spec = SourceSpec::default();
    let not_text = read_bytes(b"a,b\n1,2\n3,\xFF\n", &spec, &Bounds::default()).unwrap_err().to_string();
    assert!(not_text.contains("line 3: field 2 is not UTF-8"), "{not_text}");
    assert!(refusal("a;b\n1;2\n").contains("declare `delimiter: ';'`"));
    assert!(refusal("_row_key,b\n1,2\n").contains("reserved"));
}

#[test]
fn a_value_of_another_type_names_line_and_column() {
    let bounds = Bounds { sample_bytes: 16, ..Bounds::default() };
    // Longer than one read, so that the sample really ends before the odd value.
    let mut text = String::from("a,b\n");
    (0..200_000).for_each(|row| text.push_str(&format!("{row},x\n")));
    text.push_str("oops,x\n");
    let message = read_bytes(text.as_bytes(), &SourceSpec::default(), &bounds).unwrap_err().to_string();
    assert!(message.contains("line 200002, column `a`: `oops` is not of type int"), "{message}");
    let whole = read(&text).unwrap();
    assert_eq!(whole.fields()[0].column_type, ColumnType::Text);
    let mut spec = SourceSpec::default();
    spec.columns.insert("a".into(), ColumnType::Int.into());
    let message = read_bytes(b"a,b\n1,2\nx,2\n", &spec, &Bounds::default()).unwrap_err().to_string();
    assert!(message.contains("line 3, column `a`: `x` is not of the declared type int"), "{message}");
    spec.columns.insert("cc".into(), ColumnType::Int.into());
    let message = read_bytes(b"a,ccc\n1,2\n", &spec, &Bounds::default()).unwrap_err().to_string();
    assert!(message.contains("no column `cc` (did you mean `ccc`?)"), "{message}");
}

#[test]
fn naive_times_take_the_declared_zone() {
    let mut spec = SourceSpec::default();
    spec.columns.insert("t".into(), "timestamp[America/New_York]".parse().unwrap());
    let columns = read_bytes(b"t\n2013-01-01 01:00:00\n", &spec, &Bounds::default()).unwrap();
    let utc = Values::Timestamp { zone: Some("America/New_York".into()), micros: vec![1_357_020_000_000_000] };
    assert_eq!(columns.columns()[0].values, utc);
    spec.columns.insert("t".into(), "timestamp[America/New_York] from UTC".parse().unwrap());
    let columns = read_bytes(b"t\n2013-01-01 06:00:00\n", &spec, &Bounds::default()).unwrap();
    assert_eq!(columns.columns()[0].values, utc);
    spec.columns.insert("t".into(), "timestamp[America/New_York]".parse().unwrap());
    let twice = read_bytes(b"t\n2013-11-03 01:30:00\n", &spec, &Bounds::default()).unwrap_err().to_string();
    assert!(twice.contains("line 2, column `t`") && twice.contains("exists twice"), "{twice}");
    assert!("timestamp[America/Newyork]".parse::<gristmill_frame::DeclaredType>().unwrap_err().contains("New_York"));
}

#[test]
fn a_parquet_file_that_is_not_one() {
    let spec = SourceSpec { format: FileFormat::Parquet, ..SourceSpec::default() };
    let message = read_bytes(b"PAR1 and then nothing of the kind", &spec, &Bounds::default()).unwrap_err().to_string();
    assert!(message.contains("source `data` cannot be read to its end"), "{message}");
}

/// `fixtures/types.py` wrote it with pandas and pyarrow.
#[test]
fn foreign_parquet_types_become_ours() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/types.parquet");
    let columns = read_file(&path, "types", &SourceSpec::default(), &Bounds::default()).unwrap();
    let types: Vec<String> = columns.fields().iter().map(|f| format!("{}:{}", f.name, f.column_type)).collect();
    assert_eq!(
        types,
        [
            "i8:int",
            "u32:int",
            "u64:int",
            "f32:float",
            "dec:decimal(3)",
            "cat:text",
            "day:date",
            "ms:timestamp",
            "ns:timestamp[Europe/Berlin]",
            "null:text",
        ]
    );
    let cell = |name: &str, row: usize| columns.get(name).unwrap().cell(row);
    use gristmill_types::Cell;
    assert_eq!(cell("i8", 0), Cell::Int(-128));
    assert_eq!(cell("u64", 1), Cell::Int(1 << 40));
    assert_eq!(cell("f32", 0), Cell::Float(0.5));
    assert_eq!(cell("dec", 0), Cell::Decimal { scale: 3, unscaled: 1_500 });
    assert_eq!(cell("cat", 1), Cell::Text("b"));
    assert_eq!(cell("ms", 0), Cell::Timestamp(1_357_020_000_123_000));
    assert_eq!(cell("ns", 0), Cell::Timestamp(1_357_020_000_123_456));
    assert_eq!(cell("i8", 2), Cell::Missing);
    let path = path.with_file_name("big.parquet");
    let message = read_file(&path, "big", &SourceSpec::default(), &Bounds::default()).unwrap_err().to_string();
    assert!(message.contains("column `id`: holds integers beyond 9223372036854775807"), "{message}");
}
