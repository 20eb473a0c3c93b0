//! Configuration: precedence, unknown keys, types, explanation, secrets.

use std::collections::BTreeMap;
use std::io::Write;

use gristmill_runtime::config::{ConfigError, Origin, Sources, load, resolve};
use gristmill_types::SecretRef;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    name: String,
    listen: Listen,
    workers: u32,
    token: Option<SecretRef>,
    title: Option<String>,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Listen {
    grpc: String,
    max_calls: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "a".into(),
            listen: Listen::default(),
            workers: 2,
            token: None,
            title: None,
            labels: BTreeMap::new(),
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self { grpc: "127.0.0.1:7700".into(), max_calls: 100 }
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn later_sources_win_and_each_value_knows_its_origin() {
    let file = file("workers: 3\nname: file\nlisten:\n  max_calls: 7\nlabels: {team: mill}\n");
    let loaded = load::<Config>(&Sources {
        file: Some(file.path()),
        environment: pairs(&[
            ("PATH", "/bin"),
            ("GRISTMILL_NAME", "12"),
            ("GRISTMILL_LISTEN__MAX_CALLS", "8"),
            ("GRISTMILL_CONFIG", "x.yaml"),
        ]),
        elsewhere: &["GRISTMILL_CONFIG"],
        flags: pairs(&[("listen.max_calls", "9")]),
    })
    .unwrap();
    assert_eq!(loaded.value.workers, 3);
    assert_eq!(loaded.value.name, "12", "a text key takes a number's text as it is");
    assert_eq!(loaded.value.listen.max_calls, 9);
    assert_eq!(loaded.value.listen.grpc, "127.0.0.1:7700");
    assert_eq!(loaded.value.labels["team"], "mill");
    let origin = |key: &str| loaded.explained.iter().find(|row| row.key == key).unwrap().origin.clone();
    assert_eq!(origin("listen.grpc"), Origin::Default);
    assert_eq!(origin("workers"), Origin::File(file.path().display().to_string()));
    assert_eq!(origin("name"), Origin::Environment("GRISTMILL_NAME".into()));
    assert_eq!(origin("listen.max_calls"), Origin::Flag("listen.max_calls".into()));
    let text = loaded.explain();
    assert!(text.contains("listen.max_calls = 9  (flag listen.max_calls)"), "{text}");
    assert_eq!(text.lines().count(), loaded.explained.len());
}

#[test]
fn an_unknown_key_is_refused_with_a_suggestion_wherever_it_stands() {
    let wrong = file("listen:\n  max_cals: 3\n");
    let in_file = load::<Config>(&Sources { file: Some(wrong.path()), ..Sources::default() }).unwrap_err();
    assert!(in_file.to_string().contains("did you mean `listen.max_calls`?"), "{in_file}");
    let environment = pairs(&[("GRISTMILL_WORKRES", "3")]);
    let in_environment = load::<Config>(&Sources { environment, ..Sources::default() }).unwrap_err();
    assert!(in_environment.to_string().contains("GRISTMILL_WORKRES"), "{in_environment}");
    assert!(in_environment.to_string().contains("did you mean `workers`?"), "{in_environment}");
    let flags = pairs(&[("zzzz", "3")]);
    let in_flag = load::<Config>(&Sources { flags, ..Sources::default() }).unwrap_err();
    assert!(in_flag.to_string().contains("known keys are name, listen, workers"), "{in_flag}");
    let flags = pairs(&[("workers.many", "3")]);
    let below = load::<Config>(&Sources { flags, ..Sources::default() }).unwrap_err();
    assert!(below.to_string().contains("nothing can be set below it"), "{below}");
}

#[test]
fn optional_keys_take_numbers_and_texts() {
    let flags = pairs(&[("title", "7"), ("token", "env:TOKEN")]);
    let loaded = load::<Config>(&Sources { flags, ..Sources::default() }).unwrap();
    assert_eq!(loaded.value.title.as_deref(), Some("7"));
    assert_eq!(loaded.value.token, Some(SecretRef::Env("TOKEN".into())));
}

#[test]
fn wrong_types_duplicates_and_missing_files_are_errors() {
    let flags = pairs(&[("workers", "many")]);
    let wrong = load::<Config>(&Sources { flags, ..Sources::default() }).unwrap_err();
    assert!(matches!(wrong, ConfigError::Type { .. }) && wrong.to_string().contains("workers"), "{wrong}");
    let twice = file("workers: 1\nworkers: 2\n");
    let twice = load::<Config>(&Sources { file: Some(twice.path()), ..Sources::default() }).unwrap_err();
    assert!(twice.to_string().contains("duplicate"), "{twice}");
    let list = file("- 1\n");
    let list = load::<Config>(&Sources { file: Some(list.path()), ..Sources::default() }).unwrap_err();
    assert!(list.to_string().contains("a mapping"), "{list}");
    let absent = std::path::Path::new("/nonexistent/gristmill.yaml");
    let absent = load::<Config>(&Sources { file: Some(absent), ..Sources::default() }).unwrap_err();
    assert!(matches!(absent, ConfigError::File { .. }), "{absent}");
    let empty = file("# nothing yet\n\n");
    let empty = load::<Config>(&Sources { file: Some(empty.path()), ..Sources::default() }).unwrap();
    assert_eq!(empty.value, Config::default());
}

#[test]
fn secrets_are_read_where_they_are_used_and_never_shown() {
    let kept = file("s3cret\n");
    let secret = resolve(&SecretRef::File(kept.path().display().to_string())).unwrap();
    assert_eq!(secret.expose(), "s3cret");
    assert!(!format!("{secret:?}").contains("s3cret"));
    let home = resolve(&SecretRef::Env("PATH".into())).unwrap();
    assert!(!home.expose().is_empty());
    let unset = resolve(&SecretRef::Env("GRISTMILL_SURELY_NOT_SET".into())).unwrap_err();
    assert!(unset.to_string().contains("env:GRISTMILL_SURELY_NOT_SET"), "{unset}");
    let empty = file("\n");
    let empty = resolve(&SecretRef::File(empty.path().display().to_string())).unwrap_err();
    assert!(empty.to_string().contains("it is empty"), "{empty}");
}
