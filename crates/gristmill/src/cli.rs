//! The command line: what can be said, and nothing about how it is done.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gristmill_types::SecretRef;

/// MLOps for tabular data: from several sources to a served and watched model.
#[derive(Debug, Parser)]
#[command(name = "gristmill", version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Folder of database and artifacts [default: the nearest `.gristmill` upwards, else a new one here]
    #[arg(long, global = true, env = "GRISTMILL_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of a server to use instead of this machine's; or one per stage: STAGE=http://HOST:PORT,…
    #[arg(long, global = true, env = "GRISTMILL_ENDPOINT", value_name = "http://HOST:PORT")]
    pub endpoint: Option<String>,
    /// Where the token for that server is: `env:NAME` or `file:PATH`
    #[arg(long, global = true, env = "GRISTMILL_TOKEN_FROM", value_name = "REF")]
    pub token: Option<SecretRef>,
    /// Project everything belongs to
    #[arg(long, global = true, env = "GRISTMILL_PROJECT", default_value = "default")]
    pub project: String,
    /// No progress on standard error
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What is logged to standard error [default: `error`, for `up` `info`]
    #[arg(long, global = true, env = "GRISTMILL_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run every stage in this process: gRPC, REST predictions, metrics
    Up(Up),
    /// Run a pipeline file, or train on one CSV or Parquet file
    Run(Run),
    /// Earlier runs
    #[command(subcommand)]
    Runs(Runs),
    /// Look at data
    #[command(subcommand)]
    Data(Data),
    /// Registered models
    #[command(subcommand)]
    Models(Models),
    /// Score a file with a registered model
    Predict(Predict),
    /// Compare new rows with what a model was trained on
    #[command(subcommand)]
    Monitor(Monitor),
    /// Delete artifacts that nothing names any more
    Gc(Gc),
    /// Bring the tables of the data directory up to date, and say from and to which versions
    Migrate(Migrate),
    /// Print the JSON Schema of the pipeline file
    Schema,
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// The form of standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One documented object
    Json,
}

#[derive(Debug, Default, Args)]
pub struct Up {
    /// Address of the gRPC services [default: 127.0.0.1:7700]
    #[arg(long)]
    pub grpc: Option<String>,
    /// Address of REST predictions and metrics [default: 127.0.0.1:7780]
    #[arg(long)]
    pub http: Option<String>,
    /// Trials at a time [default: one per CPU]
    #[arg(long)]
    pub workers: Option<usize>,
    /// YAML file with the settings of this server
    #[arg(long, env = "GRISTMILL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// File of token hashes; without it only this machine is answered
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// Serve beyond loopback although there is no TLS
    #[arg(long)]
    pub insecure: bool,
    /// Print every setting with its origin, and end
    #[arg(long)]
    pub explain: bool,
}

#[derive(Debug, Args)]
pub struct Run {
    /// A pipeline file (YAML), or a CSV or Parquet file together with `--target`
    pub path: PathBuf,
    /// Column to predict, when the file holds data
    #[arg(long)]
    pub target: Option<String>,
    /// Name of the model [default: the data file's]
    #[arg(long, requires = "target")]
    pub name: Option<String>,
    /// Trials of the study, when the file holds data
    #[arg(long, requires = "target")]
    pub trials: Option<u32>,
    /// A parameter of the pipeline file
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    pub params: Vec<(String, String)>,
    /// Begin of the data interval, RFC 3339
    #[arg(long, requires = "interval_end")]
    pub interval_start: Option<String>,
    /// End of the data interval, RFC 3339, not in it
    #[arg(long, requires = "interval_start")]
    pub interval_end: Option<String>,
    /// Compute everything again, whatever is there
    #[arg(long)]
    pub fresh: bool,
    /// Where to write the report [default: in the data directory]
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Trials at a time [default: one per CPU]; not with a live server, which has its own
    #[arg(long)]
    pub workers: Option<usize>,
    /// Form of standard output
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
}

#[derive(Debug, Subcommand)]
pub enum Runs {
    /// Runs, newest first
    List {
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: u32,
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// One run with its steps and results
    Show(RunId),
    /// Follow a run until it ends
    Watch(RunId),
    /// Ask a run to end
    Cancel(RunId),
    /// Continue a run that failed or was cancelled
    Resume(RunId),
    /// Compute every step of a run again and compare the artifacts; exit code 1 when one differs
    Verify(RunId),
    /// What differs between two runs: settings, sources, dataset, leaderboard, metrics
    Diff(RunPair),
}

#[derive(Debug, Args)]
pub struct RunId {
    /// The run's id, or `last`
    pub id: String,
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
}

#[derive(Debug, Args)]
pub struct RunPair {
    /// A run's id, or `last`
    pub a: String,
    /// Another one's
    pub b: String,
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
}

#[derive(Debug, Subcommand)]
pub enum Data {
    /// Statistics of every column of a file
    Profile {
        /// CSV or Parquet
        file: PathBuf,
        #[command(flatten)]
        csv: Csv,
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Check a file against a schema; exit code 3 when it does not fit
    Validate {
        /// CSV or Parquet
        file: PathBuf,
        /// `schema.json`, or the digest of a schema artifact
        #[arg(long)]
        schema: String,
        #[command(flatten)]
        csv: Csv,
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Store a file as a dataset with its schema and profile
    Ingest {
        /// CSV or Parquet
        file: PathBuf,
        /// Refuse the file (exit code 3) if it does not fit this `schema.json` or schema artifact
        #[arg(long)]
        schema: Option<String>,
        #[command(flatten)]
        csv: Csv,
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// One artifact: its parts and what it was made from
    Show {
        /// `KIND:DIGEST`, as other commands print it
        artifact: String,
        /// Write one part to standard output
        #[arg(long)]
        part: Option<String>,
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
}

/// How to read delimited text.
#[derive(Debug, Clone, Args)]
pub struct Csv {
    /// One character [default: a comma]
    #[arg(long)]
    pub delimiter: Option<char>,
    /// A text that means null, besides the empty one
    #[arg(long = "null", value_name = "TEXT")]
    pub nulls: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum Models {
    /// Names with their versions and aliases
    List {
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// One model: every version, or one of them
    Show {
        /// `NAME`, `NAME@ALIAS` or `NAME:VERSION`
        model: String,
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Two versions side by side, from their evaluations
    Compare(ModelPair),
    /// Move an alias to a version
    Alias {
        /// The model's name
        name: String,
        /// The alias, such as `champion`
        alias: String,
        /// The version's number, 0 to remove the alias
        version: u32,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
        /// Although its verdict is not `passed`
        #[arg(long, requires = "reason")]
        override_verdict: bool,
        /// Only if the alias stands on this version now (0: on none)
        #[arg(long, value_name = "VERSION")]
        expect: Option<u32>,
    },
    /// Write the model file
    Export {
        /// `NAME@ALIAS` or `NAME:VERSION`
        model: String,
        /// Where to
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct ModelPair {
    /// `NAME@ALIAS` or `NAME:VERSION`
    pub a: String,
    /// Another one
    pub b: String,
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("rows").required(true).args(["input", "source"])))]
pub struct Predict {
    /// `NAME@ALIAS` or `NAME:VERSION`
    #[arg(long)]
    pub model: String,
    /// CSV or Parquet with the columns of the model's signature
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// A file in place of a source of the run that made the model, whose integration is done again; repeatable
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    pub source: Vec<(String, PathBuf)>,
    /// Where to write, `.csv` or `.parquet`
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub csv: Csv,
    /// Print one JSON object about it
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Monitor {
    /// Exit code 3 when something asks for action
    Check(MonitorRows),
    /// The same, and writes the report
    Report {
        #[command(flatten)]
        rows: MonitorRows,
        /// Where to write the page
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct MonitorRows {
    /// `NAME@ALIAS` or `NAME:VERSION`
    #[arg(long)]
    pub model: String,
    /// New rows, CSV or Parquet; without it, what the model has been asked online
    #[arg(long, value_name = "FILE", conflicts_with = "source")]
    pub input: Option<PathBuf>,
    /// A file in place of a source of the run that made the model, whose integration is done again; repeatable
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    pub source: Vec<(String, PathBuf)>,
    #[command(flatten)]
    pub csv: Csv,
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
}

#[derive(Debug, Args)]
pub struct Migrate {
    /// YAML file with the settings of the server, as for `up`
    #[arg(long, env = "GRISTMILL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
}

#[derive(Debug, Args)]
pub struct Gc {
    /// Only say what would be deleted
    #[arg(long)]
    pub dry_run: bool,
    /// A holder of artifacts that is gone for good, as the refusal of a sweep names it; what only it held is garbage
    #[arg(long, value_name = "STAGE/ID")]
    pub forget: Vec<String>,
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("write `--source NAME=FILE`, with the name that the pipeline file gives the source".into()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write `--param key=value`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_pairs_are_split_once() {
        Cli::command().debug_assert();
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("=b").is_err() && pair("ab").is_err());
    }

    #[test]
    fn a_data_file_brings_its_own_options() {
        let parsed = Cli::try_parse_from(["gristmill", "run", "x.csv", "--trials", "3"]);
        assert!(parsed.is_err(), "trials of a pipeline file stand in the file");
        let parsed =
            Cli::try_parse_from(["gristmill", "run", "x.csv", "--target", "y", "--trials", "3", "--output", "json"]);
        assert!(matches!(parsed.unwrap().command, Command::Run(Run { trials: Some(3), output: Format::Json, .. })));
    }
}
