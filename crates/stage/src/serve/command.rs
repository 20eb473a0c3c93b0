//! The command line of a stage's program.

use std::future::Future;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use gristmill_runtime::config::{Loaded, Sources, load};

use super::{Config, Keys};
use crate::memory::THREADS_WAIT;
use crate::{Exit, Failure};

/// Variables with our prefix that are no keys: the first two are read by the flags, the others by the
/// command line of the all-in-one.
const ELSEWHERE: [&str; 5] =
    ["GRISTMILL_CONFIG", "GRISTMILL_LOG", "GRISTMILL_ENDPOINT", "GRISTMILL_TOKEN_FROM", "GRISTMILL_PROJECT"];

#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true)]
struct Cli<V: Subcommand> {
    #[command(subcommand)]
    verb: V,
}

/// What every stage's program can be told to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Serve the stage and do its jobs until told to end
    Serve(Flags),
    /// Bring the stage's tables up to date, and say from and to which versions
    Migrate(Flags),
}

/// Settings on the command line. They have the last word.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// YAML file with the settings of this process
    #[arg(long, env = "GRISTMILL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print every setting with its origin, and end
    #[arg(long)]
    pub explain: bool,
    /// Address of gRPC
    #[arg(long, value_name = "HOST:PORT")]
    pub grpc: Option<String>,
    /// Address of metrics, health and the stage's own HTTP
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<String>,
    /// This process's own folder
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Where artifacts are, such as file:///var/lib/gristmill/store
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// File of token hashes; without it only this machine is answered
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<String>,
    /// Where the token for other stages is: `env:NAME` or `file:PATH`
    #[arg(long, value_name = "REF")]
    pub token: Option<String>,
    /// CPU slots for jobs; 0 for one per CPU
    #[arg(long, value_name = "N")]
    pub slots: Option<String>,
    /// Serve beyond loopback although there is no TLS
    #[arg(long)]
    pub insecure: bool,
    /// What is logged to standard error
    #[arg(long, env = "GRISTMILL_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Any other setting, such as `--set server.max_calls=64`
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Reads the command line of the program `name`. What is printed instead (help, the version, a refusal) is
/// answered by its exit code.
///
/// # Errors
/// The exit code after help, the version or a refusal was printed.
pub fn parse<V: Subcommand>(name: &'static str, about: &'static str) -> Result<V, Exit> {
    let parsed = Cli::<V>::command().name(name).about(about).try_get_matches();
    let parsed = parsed.and_then(|matches| Cli::<V>::from_arg_matches(&matches));
    parsed.map(|cli| cli.verb).map_err(|error| {
        // Nothing can be done about a closed terminal.
        let _closed = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Done }
    })
}

/// Runs a program's work on threads of its own.
pub(super) fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_keep_alive(THREADS_WAIT).build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("threads cannot be started: {error}")))?;
    let ended = runtime.block_on(work);
    // A blocking read of a dead disk must not keep the process.
    runtime.shutdown_background();
    ended
}

impl Flags {
    /// The settings, or none after they were explained, as was asked for.
    ///
    /// # Errors
    /// A key or a value is wrong.
    pub fn config<K: Keys>(&self) -> Result<Option<Config<K>>, Failure> {
        let loaded = self.load::<K>(std::env::vars().collect())?;
        if self.explain {
            print(&loaded.explain())?;
            return Ok(None);
        }
        Ok(Some(loaded.value))
    }

    /// The settings over `environment`.
    ///
    /// # Errors
    /// A key or a value is wrong.
    pub fn load<K: Keys>(&self, environment: Vec<(String, String)>) -> Result<Loaded<Config<K>>, Failure> {
        let given = [
            ("grpc", &self.grpc),
            ("http", &self.http),
            ("data_dir", &self.data_dir),
            ("store.url", &self.store),
            ("auth.tokens", &self.tokens),
            ("token", &self.token),
            ("slots", &self.slots),
            ("telemetry.log", &self.log),
        ];
        let given = given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
        let insecure = self.insecure.then(|| ("server.insecure".to_owned(), "true".to_owned()));
        let flags = given.chain(insecure).chain(self.set.iter().cloned()).collect();
        let sources = Sources { file: self.config.as_deref(), environment, elsewhere: &ELSEWHERE, flags };
        let loaded = load::<Config<K>>(&sources)?;
        // An empty map of known keys is open, and this one is not meant to be.
        let known = |stage: &String| K::PEERS.iter().chain(K::HOLDERS).any(|peer| peer.stage == stage);
        match loaded.value.peers.keys().find(|stage| !known(stage)) {
            Some(stage) => {
                Err(Failure::usage(format!("unknown key `peers.{stage}`: {} calls no such stage", K::BINARY)))
            }
            None => Ok(loaded),
        }
    }
}

/// Prints to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
