//! YAML as a tree that knows its lines.

use std::fmt;

use gristmill_types::Limits;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::{FILE_BYTES, FileError};

/// A value and its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Tree,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Entry, Node)>),
}

/// A key and its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) line: u64,
}

/// Reads one YAML document, bounded in size and depth.
pub(super) fn parse(text: &str) -> Result<Node, FileError> {
    if text.len() > FILE_BYTES {
        let message = format!("a pipeline file may have at most {FILE_BYTES} bytes, this has {}", text.len());
        return Err(FileError::at("", message));
    }
    // YAML 1.2: only `true` and `false` are truth values, so a column may be called `y`.
    let options = serde_saphyr::options! { strict_booleans: true };
    let node: Node = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let error = error.without_snippet().to_string();
        FileError { line, path: String::new(), message: format!("this is not YAML that can be read: {error}") }
    })?;
    if node.depth() > Limits::DEFAULT.depth {
        let message = format!("keys may be nested {} deep at most", Limits::DEFAULT.depth);
        return Err(FileError::at("", message));
    }
    match node.value {
        Tree::Map(_) => Ok(node),
        _ => Err(FileError { line: 1, path: String::new(), message: "a pipeline file is a mapping of keys".into() }),
    }
}

impl Node {
    /// The value of key `name` of a mapping.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Tree::Map(entries) => entries.iter().find(|(entry, _)| entry.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The line of the deepest part of `path` (`a.b[2].c`) that is there; 0 if nothing is.
    pub(super) fn line_of(&self, path: &str) -> u64 {
        let mut node = self;
        let mut line = 0;
        for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
            let next = match (&node.value, part.trim_end_matches(']').parse::<usize>()) {
                (Tree::List(items), Ok(at)) => items.get(at).map(|item| (item.line, item)),
                (Tree::Map(entries), _) => {
                    entries.iter().find(|(entry, _)| entry.name == part).map(|(entry, node)| (entry.line, node))
                }
                _ => None,
            };
            let Some((at, inner)) = next else { break };
            (line, node) = (at, inner);
        }
        line
    }

    fn depth(&self) -> usize {
        match &self.value {
            Tree::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Tree::Map(entries) => 1 + entries.iter().map(|(_, node)| node.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Tree>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Tree, E> {
        i64::try_from(value).map(Tree::Int).map_err(|_| E::custom("the number is larger than 9223372036854775807"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let entry = Entry { name: key.value, line: key.referenced.line() };
            map.push((entry, entries.next_value()?));
        }
        Ok(Tree::Map(map))
    }
}
