//! A place for sources and a way to run an integration over them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gristmill_frame::child::{Outcome, Program, integrate};
use gristmill_frame::{
    AsOf, Availability, Bounds, Derived, Error, Integration, Job, Join, JoinKey, SourceFile, SourceSpec, Step,
};
use gristmill_types::Columns;

/// Sources in a directory of their own.
pub struct Bench {
    dir: tempfile::TempDir,
    pub sources: BTreeMap<String, SourceFile>,
    pub bounds: Bounds,
}

impl Bench {
    pub fn new() -> Self {
        let bounds = Bounds { memory_bytes: 2 << 30, wall_seconds: 300, threads: 2, ..Bounds::default() };
        Self { dir: tempfile::tempdir().unwrap(), sources: BTreeMap::new(), bounds }
    }

    /// Adds a source with this text.
    pub fn csv(mut self, name: &str, text: &str) -> Self {
        let path = self.dir.path().join(format!("{name}.csv"));
        std::fs::write(&path, text).unwrap();
        self.sources.insert(name.into(), SourceFile { spec: SourceSpec::default(), path });
        self
    }

    /// Turns the sources so far into Parquet, which is read faster.
    pub fn in_parquet(mut self) -> Self {
        for (name, source) in &mut self.sources {
            let columns = gristmill_frame::read_file(&source.path, name, &source.spec, &self.bounds).unwrap();
            source.path.set_extension("parquet");
            gristmill_frame::write_parquet(&columns, std::fs::File::create(&source.path).unwrap()).unwrap();
        }
        self
    }

    /// Adds a file of the flights example.
    pub fn flights_file(mut self, name: &str, file: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights/data").join(file);
        self.sources.insert(name.into(), SourceFile { spec: SourceSpec::default(), path });
        self
    }

    pub fn spec(&mut self, name: &str) -> &mut SourceSpec {
        &mut self.sources.get_mut(name).unwrap().spec
    }

    /// Declares a column's type.
    pub fn column(mut self, source: &str, column: &str, declared: &str) -> Self {
        self.spec(source).columns.insert(column.into(), declared.parse().unwrap());
        self
    }

    pub fn available(mut self, source: &str, available: Availability) -> Self {
        self.spec(source).available = Some(available);
        self
    }

    pub fn at(self, source: &str, column: &str, delay_seconds: i64) -> Self {
        self.available(source, Availability::At { column: column.into(), delay_seconds })
    }

    pub fn output(&self) -> PathBuf {
        self.dir.path().join("rows.parquet")
    }

    pub fn job(&self, integration: Integration) -> Job {
        Job { sources: self.sources.clone(), integration, bounds: self.bounds, output: self.output() }
    }

    /// Runs it in a child.
    pub fn run(&self, integration: Integration) -> Result<(Outcome, Columns), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let job = self.job(integration);
        let program = Program::test_harness("frame_child");
        let outcome = runtime.block_on(integrate(&job, &program, |_| {}, std::future::pending()))?;
        Ok((outcome, gristmill_frame::read_parquet(&self.output()).unwrap()))
    }

    /// The message of an integration that must fail.
    pub fn refusal(&self, integration: Integration) -> String {
        self.run(integration).map(|(outcome, _)| outcome.report).unwrap_err().to_string()
    }
}

pub fn steps(base: &str, steps: Vec<Step>) -> Integration {
    Integration { steps, ..Integration::of(base) }
}

pub fn sql(base: &str, query: &str) -> Integration {
    steps(base, vec![Step::Sql(query.into())])
}

pub fn on(keys: &[(&str, &str)]) -> Vec<JoinKey> {
    keys.iter().map(|(left, right)| JoinKey { left: (*left).into(), right: (*right).into() }).collect()
}

pub fn join(source: &str, keys: &[(&str, &str)]) -> Join {
    Join { source: source.into(), on: on(keys), ..Join::default() }
}

pub fn as_of(source: &str, keys: &[(&str, &str)], tolerance_seconds: Option<i64>) -> AsOf {
    AsOf { source: source.into(), on: on(keys), tolerance_seconds, ..AsOf::default() }
}

pub fn derive(columns: &[(&str, &str)]) -> Step {
    let derived =
        |(name, expression): &(&str, &str)| Derived { name: (*name).into(), expression: (*expression).into() };
    Step::Derive(columns.iter().map(derived).collect())
}

/// Integers of a column.
pub fn ints(columns: &Columns, name: &str) -> Vec<Option<i64>> {
    let column = columns.get(name).unwrap_or_else(|| panic!("no column {name}"));
    (0..column.len())
        .map(|row| match column.cell(row) {
            gristmill_types::Cell::Int(value) => Some(value),
            gristmill_types::Cell::Missing => None,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Texts of a column.
pub fn texts(columns: &Columns, name: &str) -> Vec<Option<String>> {
    let column = columns.get(name).unwrap_or_else(|| panic!("no column {name}"));
    (0..column.len())
        .map(|row| match column.cell(row) {
            gristmill_types::Cell::Text(value) => Some(value.to_owned()),
            gristmill_types::Cell::Missing => None,
            other => panic!("{other:?}"),
        })
        .collect()
}
