//! Parameters and the data interval, put in where `${name}` stands.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::node::{Node, Tree};
use super::{FileError, Given, Interval, de, hint};

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Scalar;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, a text, true or false")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::Int(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Scalar {
    /// Reads a given text as the type of the default.
    fn given(text: &str, default: Option<&Self>) -> Result<Self, &'static str> {
        match default {
            Some(Self::Bool(_)) => text.parse().map(Self::Bool).map_err(|_| "true or false"),
            Some(Self::Int(_)) => text.parse().map(Self::Int).map_err(|_| "a whole number"),
            Some(Self::Float(_)) => match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Self::Float(value)),
                _ => Err("a number"),
            },
            Some(Self::Text(_)) => Ok(Self::Text(text.to_owned())),
            None => Ok(Self::guess(text)),
        }
    }

    /// A text whose type nobody has told.
    fn guess(text: &str) -> Self {
        let float = || text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Self::Float);
        let number = || text.parse().ok().map(Self::Int).or_else(float);
        text.parse().ok().map(Self::Bool).or_else(number).unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    fn tree(&self) -> Tree {
        match self {
            Self::Bool(value) => Tree::Bool(*value),
            Self::Int(value) => Tree::Int(*value),
            Self::Float(value) => Tree::Float(*value),
            Self::Text(value) => Tree::Text(value.clone()),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(value) => value.clone(),
        }
    }
}

/// Puts the values in everywhere but in the sections that declare them; answers the values.
pub(super) fn substitute(tree: &mut Node, given: &Given) -> Result<(BTreeMap<String, Scalar>, Interval), FileError> {
    let parameters = resolve(tree, given)?;
    let mut interval: Interval = tree.get("interval").map(de::read).transpose()?.unwrap_or_default();
    for (own, told) in [(&mut interval.start, &given.interval.start), (&mut interval.end, &given.interval.end)] {
        if !told.is_empty() {
            own.clone_from(told);
        }
    }
    let mut values = parameters.clone();
    values.insert("interval.start".into(), Scalar::Text(interval.start.clone()));
    values.insert("interval.end".into(), Scalar::Text(interval.end.clone()));
    if let Tree::Map(entries) = &mut tree.value {
        for (entry, node) in entries.iter_mut().filter(|(e, _)| !matches!(e.name.as_str(), "parameters" | "interval")) {
            put_in(node, &values).map_err(|(line, message)| FileError { line, path: entry.name.clone(), message })?;
        }
    }
    Ok((parameters, interval))
}

fn resolve(tree: &Node, given: &Given) -> Result<BTreeMap<String, Scalar>, FileError> {
    let declared: BTreeMap<String, Option<Scalar>> = tree
        .get("parameters")
        .map(de::read)
        .transpose()
        .map_err(|error| under(error, "parameters"))?
        .unwrap_or_default();
    for name in given.parameters.keys() {
        if !declared.contains_key(name) {
            let hint = hint(name, declared.keys().map(String::as_str));
            let message = format!("`{name}` is not a parameter of this pipeline: {hint}");
            return Err(FileError::at("parameters", message));
        }
    }
    let mut values = BTreeMap::new();
    for (name, default) in declared {
        let path = format!("parameters.{name}");
        let line = tree.line_of(&path);
        let refused = |message| FileError { line, path: path.clone(), message };
        let value = match (given.parameters.get(&name), default) {
            (Some(text), default) => Scalar::given(text, default.as_ref())
                .map_err(|expected| refused(format!("`{text}` was given where {expected} is needed")))?,
            (None, Some(default)) => default,
            (None, None) => return Err(refused(format!("it has no default: give it, as in `--param {name}=…`"))),
        };
        values.insert(name, value);
    }
    Ok(values)
}

fn under(error: FileError, section: &str) -> FileError {
    let dot = if error.path.is_empty() { "" } else { "." };
    FileError { path: format!("{section}{dot}{}", error.path), ..error }
}

fn put_in(node: &mut Node, values: &BTreeMap<String, Scalar>) -> Result<(), (u64, String)> {
    match &mut node.value {
        Tree::Text(text) if text.contains('$') => {
            node.value = filled(text, values).map_err(|message| (node.line, message))?;
        }
        Tree::List(items) => items.iter_mut().try_for_each(|item| put_in(item, values))?,
        Tree::Map(entries) => entries.iter_mut().try_for_each(|(_, node)| put_in(node, values))?,
        _ => {}
    }
    Ok(())
}

/// The text with its parameters; `${name}` alone keeps the parameter's type.
fn filled(text: &str, values: &BTreeMap<String, Scalar>) -> Result<Tree, String> {
    let find = |name: &str| {
        values.get(name).ok_or_else(|| {
            format!("`${{{name}}}` is not a parameter: {}", hint(name, values.keys().map(String::as_str)))
        })
    };
    if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|n| !n.contains('}')) {
        return find(name).map(Scalar::tree);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, dollar) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = dollar.strip_prefix("$$") {
            out.push('$');
            rest = after;
        } else if let Some(after) = dollar.strip_prefix("${") {
            let (name, after) =
                after.split_once('}').ok_or("`${` has no `}`: close it, or write `$$` for a dollar sign")?;
            out.push_str(&find(name)?.text());
            rest = after;
        } else {
            out.push('$');
            rest = dollar.strip_prefix('$').unwrap_or("");
        }
    }
    out.push_str(rest);
    Ok(Tree::Text(out))
}

/// Writes every dollar sign so that reading gives it back; the sections that declare values are left.
pub(super) fn escape(value: &mut serde_json::Value) {
    if let Some(sections) = value.as_object_mut() {
        for (_, section) in sections.iter_mut().filter(|(name, _)| !matches!(name.as_str(), "parameters" | "interval"))
        {
            escape_all(section);
        }
    }
}

fn escape_all(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = text.replace('$', "$$"),
        serde_json::Value::Array(items) => items.iter_mut().for_each(escape_all),
        serde_json::Value::Object(entries) => entries.values_mut().for_each(escape_all),
        _ => {}
    }
}
