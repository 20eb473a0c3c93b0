//! From the tree to the sections, by serde, with a line and a path for every error.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::node::{Entry, Node, Tree};
use super::{FileError, hint};

/// Reads a section of the tree.
pub(super) fn read<'a, T: Deserialize<'a>>(tree: &'a Node) -> Result<T, FileError> {
    T::deserialize(De(tree)).map_err(|error| error.on(tree.line).into())
}

/// An error on its way up: knows its line once it has passed a node, and collects the path.
#[derive(Debug)]
struct Error {
    line: u64,
    path: String,
    message: String,
}

impl Error {
    fn on(self, line: u64) -> Self {
        if self.line == 0 { Self { line, ..self } } else { self }
    }

    fn under(self, key: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        Self { path: format!("{key}{dot}{}", self.path), ..self }
    }
}

impl From<Error> for FileError {
    fn from(error: Error) -> Self {
        Self { line: error.line, path: error.path, message: error.message }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { line: 0, path: String::new(), message: message.to_string() }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format!("`{field}` is not a key here: {}", hint(field, expected.iter().copied())))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format!("`{variant}` is not known here: {}", hint(variant, expected.iter().copied())))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("`{field}` is required"))
    }
}

/// A node as serde sees it.
#[derive(Clone, Copy)]
struct De<'a>(&'a Node);

impl De<'_> {
    fn describe(&self) -> de::Unexpected<'_> {
        match &self.0.value {
            Tree::Null => de::Unexpected::Unit,
            Tree::Bool(value) => de::Unexpected::Bool(*value),
            Tree::Int(value) => de::Unexpected::Signed(*value),
            Tree::Float(value) => de::Unexpected::Float(*value),
            Tree::Text(value) => de::Unexpected::Str(value),
            Tree::List(_) => de::Unexpected::Seq,
            Tree::Map(_) => de::Unexpected::Map,
        }
    }

    fn text<'a, V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Tree::Text(text) => visitor.visit_str(text),
            Tree::Int(value) => visitor.visit_string(value.to_string()),
            Tree::Bool(value) => visitor.visit_string(value.to_string()),
            // `1.10` has become 1.1: only the writer knows what was meant.
            Tree::Float(_) => Err(de::Error::custom("a number stands where a text is needed: put it in quotes")),
            _ => Err(de::Error::invalid_type(self.describe(), &visitor)),
        }
    }
}

impl<'de> Deserializer<'de> for De<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let answer = match &self.0.value {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(*value),
            Tree::Int(value) => visitor.visit_i64(*value),
            Tree::Float(value) => visitor.visit_f64(*value),
            Tree::Text(value) => visitor.visit_str(value),
            Tree::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Tree::Map(entries) => visitor.visit_map(Entries { entries, next: 0 }),
        };
        answer.map_err(|error| error.on(self.0.line))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor).map_err(|error| error.on(self.0.line))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.value == Tree::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let answer = match &self.0.value {
            Tree::Map(entries) => match entries.as_slice() {
                [(entry, node)] => visitor.visit_enum(Variant { name: &entry.name, value: Some(node) }),
                _ => Err(de::Error::custom(format!("write exactly one of the keys {}", variants.join(", ")))),
            },
            Tree::Text(name) => visitor.visit_enum(Variant { name, value: None }),
            // YAML reads a bare `off` or `on` as text, but `true` is a boolean.
            Tree::Bool(value) => visitor.visit_enum(Variant { name: if *value { "on" } else { "off" }, value: None }),
            _ => Err(de::Error::custom(format!("write one of {}", variants.join(", ")))),
        };
        answer.map_err(|error| error.on(self.0.line))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a> {
    items: &'a [Node],
    next: usize,
}

impl<'a> de::SeqAccess<'a> for Items<'a> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let at = self.next;
        self.next += 1;
        let value = seed.deserialize(De(item));
        value.map(Some).map_err(|error| error.on(item.line).under(&format!("[{at}]")))
    }
}

struct Entries<'a> {
    entries: &'a [(Entry, Node)],
    next: usize,
}

impl<'a> de::MapAccess<'a> for Entries<'a> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((entry, _)) = self.entries.get(self.next) else { return Ok(None) };
        let key = seed.deserialize(entry.name.as_str().into_deserializer());
        key.map(Some).map_err(|error: Error| error.on(entry.line))
    }

    fn next_value_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let Some((entry, node)) = self.entries.get(self.next) else {
            return Err(de::Error::custom("a value without a key"));
        };
        self.next += 1;
        seed.deserialize(De(node)).map_err(|error| error.on(entry.line).under(&entry.name))
    }
}

struct Variant<'a> {
    name: &'a str,
    value: Option<&'a Node>,
}

impl<'a> EnumAccess<'a> for Variant<'a> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let name = seed.deserialize(self.name.into_deserializer())?;
        Ok((name, self))
    }
}

impl<'a> VariantAccess<'a> for Variant<'a> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(de::Error::custom(format!("`{}` takes no value: write the word alone", self.name))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, Error> {
        match self.value {
            Some(node) => seed.deserialize(De(node)).map_err(|error| error.on(node.line).under(self.name)),
            None => Err(de::Error::custom(format!("`{}` needs a value", self.name))),
        }
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        Err(de::Error::invalid_type(de::Unexpected::TupleVariant, &visitor))
    }

    fn struct_variant<V: Visitor<'a>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Some(node) => De(node).deserialize_any(visitor).map_err(|error| error.under(self.name)),
            None => Err(de::Error::custom(format!("`{}` needs a mapping", self.name))),
        }
    }
}
