//! Settings over their sources, for a program made up here.

use serde::{Deserialize, Serialize};

use super::{Flags, Keys, Peer, REGISTRY};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Mill {
    stones: u64,
    names: Vec<String>,
}

impl Default for Mill {
    fn default() -> Self {
        Self { stones: 2, names: Vec::new() }
    }
}

impl Keys for Mill {
    const BINARY: &'static str = "gristmill-mill";
    const ABOUT: &'static str = "Grinds";
    const SECTION: &'static str = "mill";
    const PORTS: Option<(u16, u16)> = Some((1, 2));
    const PEERS: &'static [Peer] = &[REGISTRY];
}

fn flags(set: &[(&str, &str)]) -> Flags {
    let set = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Flags { set, ..Flags::default() }
}

#[test]
fn a_programs_own_keys_have_their_section() {
    let environment = vec![("GRISTMILL_MILL__STONES".to_owned(), "3".to_owned())];
    let loaded = flags(&[("mill.names", "[a, b]")]).load::<Mill>(environment).unwrap();
    assert_eq!(loaded.value.own, Mill { stones: 3, names: vec!["a".into(), "b".into()] });
    let explained = loaded.explain();
    assert!(explained.contains("environment variable GRISTMILL_MILL__STONES"), "{explained}");
    assert_eq!(loaded.value.grpc, "127.0.0.1:1");
    assert_eq!(loaded.value.peers["registry"], "http://127.0.0.1:7705");
    assert!(loaded.value.data_dir.ends_with("mill"));
}

#[test]
fn what_is_wrong_is_named() {
    let refused = |key, value| flags(&[(key, value)]).load::<Mill>(Vec::new()).unwrap_err().message;
    assert!(refused("mill.stone", "3").contains("did you mean `mill.stones`"));
    assert!(refused("mill.stones", "many").contains("mill"));
    assert!(refused("milk.stones", "3").contains("did you mean `mill`"));
    assert!(refused("peers.training", "http://a:1").contains("peers.training"));
    let bare = refused("token", "hush");
    assert!(bare.contains("env:NAME") && !bare.contains("hush"), "{bare}");
}

#[test]
fn a_file_lies_between_defaults_and_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.yaml");
    std::fs::write(&path, "slots: 4\nmill:\n  stones: 7\nstore:\n  cache_bytes: 9000000\n").unwrap();
    let environment = vec![
        ("GRISTMILL_SLOTS".to_owned(), "5".to_owned()),
        ("GRISTMILL_ENDPOINT".to_owned(), "http://for.the.command.line:1".to_owned()),
    ];
    let told = Flags { config: Some(path), ..flags(&[]) };
    let config = told.load::<Mill>(environment).unwrap().value;
    assert_eq!((config.slots, config.own.stones, config.store.cache_bytes), (5, 7, 9_000_000));
    assert_eq!(config.store.grace_seconds, 24 * 3600, "the rest of a section keeps its defaults");
}
