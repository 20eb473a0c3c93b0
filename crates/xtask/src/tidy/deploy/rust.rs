//! What the Rust files declare: structs of settings, programs, commands. Read as syntax, not run.

use std::collections::BTreeMap;

use anyhow::anyhow;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Field, Fields, Item, Lit, Meta, Token, Type, UseTree};

use crate::tidy::source::Source;

/// One file as syntax, and where the names in it come from.
pub(super) struct File {
    /// The crate's folder.
    pub crate_name: String,
    pub items: Vec<Item>,
    /// Name in this file to the crate of ours it is from.
    imported: BTreeMap<String, String>,
}

impl File {
    pub(super) fn parse(source: &Source) -> anyhow::Result<Self> {
        let parsed = syn::parse_file(&source.text).map_err(|error| anyhow!("{}: {error}", source.path))?;
        let mut imported = BTreeMap::new();
        for item in &parsed.items {
            if let Item::Use(item) = item {
                import(&item.tree, None, &mut imported);
            }
        }
        Ok(Self { crate_name: source.crate_name().to_owned(), items: parsed.items, imported })
    }

    /// The crate that a type named here is from.
    fn home(&self, name: &str) -> String {
        self.imported.get(name).unwrap_or(&self.crate_name).clone()
    }
}

/// Notes the names of a `use`, by crate.
fn import(tree: &UseTree, from: Option<&str>, into: &mut BTreeMap<String, String>) {
    match tree {
        UseTree::Path(path) => {
            let name = path.ident.to_string();
            let found = from.map(str::to_owned).or_else(|| name.strip_prefix("gristmill_").map(str::to_owned));
            // `crate`, `self` and foreign crates are not ours to follow.
            import(&path.tree, Some(found.as_deref().unwrap_or("")), into);
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| import(tree, from, into)),
        UseTree::Name(name) => note(name.ident.to_string(), from, into),
        UseTree::Rename(name) => note(name.rename.to_string(), from, into),
        UseTree::Glob(_) => {}
    }
}

fn note(name: String, from: Option<&str>, into: &mut BTreeMap<String, String>) {
    if let Some(from) = from.filter(|from| !from.is_empty()) {
        into.insert(name, from.to_owned());
    }
}

/// What stands behind a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Below {
    /// Nothing more.
    Leaf,
    /// Any key.
    Open,
    /// The keys of a struct, by crate and name.
    Struct(String, String),
    /// The program's own keys, under its section's name.
    Own,
}

/// Structs that are read from settings, by crate and name: their keys in order.
pub(super) type Structs = BTreeMap<(String, String), Vec<(String, Below)>>;

/// Every struct of a file that serde reads.
pub(super) fn structs(file: &File, into: &mut Structs) {
    for item in &file.items {
        if let Item::Struct(item) = item
            && derives(&item.attrs, "Deserialize")
            && let Fields::Named(fields) = &item.fields
        {
            let keys = fields.named.iter().filter_map(|field| key(file, field)).collect();
            into.insert((file.crate_name.clone(), item.ident.to_string()), keys);
        }
    }
}

fn key(file: &File, field: &Field) -> Option<(String, Below)> {
    let name = field.ident.as_ref()?.to_string();
    let serde = words(&field.attrs, "serde");
    if serde.iter().any(|word| word == "skip") {
        return None;
    }
    let below = if serde.iter().any(|word| word == "flatten") { Below::Own } else { behind(file, &field.ty) };
    Some((name, below))
}

fn behind(file: &File, ty: &Type) -> Below {
    let Type::Path(path) = ty else { return Below::Leaf };
    let Some(last) = path.path.segments.last() else { return Below::Leaf };
    let name = last.ident.to_string();
    match (name.as_str(), &last.arguments) {
        ("BTreeMap" | "HashMap", _) => Below::Open,
        ("Option" | "Box", syn::PathArguments::AngleBracketed(inner)) => match inner.args.first() {
            Some(syn::GenericArgument::Type(inner)) => behind(file, inner),
            _ => Below::Leaf,
        },
        _ => {
            let first = path.path.segments.first().map(|first| first.ident.to_string()).unwrap_or_default();
            let home = first.strip_prefix("gristmill_").map_or_else(|| file.home(&name), str::to_owned);
            Below::Struct(home, name)
        }
    }
}

/// The words of an attribute's list, such as `flatten` and `with` of `#[serde(flatten, with = "x")]`.
fn words(attributes: &[Attribute], name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(name)) {
        if let Ok(list) = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) {
            found.extend(list.iter().filter_map(|meta| meta.path().get_ident()).map(ToString::to_string));
        }
    }
    found
}

fn derives(attributes: &[Attribute], name: &str) -> bool {
    let lists = attributes.iter().filter(|attribute| attribute.path().is_ident("derive"));
    lists
        .filter_map(|list| list.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated).ok())
        .any(|paths| paths.iter().any(|path| path.segments.last().is_some_and(|last| last.ident == name)))
}

/// Commands and flags that clap is told of in a file, as they are typed.
pub(super) fn command_line(file: &File, verbs: &mut Vec<String>, flags: &mut Vec<String>) {
    for item in &file.items {
        match item {
            Item::Enum(item) if derives(&item.attrs, "Subcommand") => {
                let own = item.variants.iter().filter(|one| !words(&one.attrs, "command").contains(&"flatten".into()));
                verbs.extend(own.map(|variant| kebab(&variant.ident.to_string())));
            }
            Item::Struct(item) if derives(&item.attrs, "Args") || derives(&item.attrs, "Parser") => {
                let long = item.fields.iter().filter(|field| words(&field.attrs, "arg").contains(&"long".into()));
                flags.extend(long.filter_map(|field| field.ident.as_ref()).map(|name| kebab(&name.to_string())));
            }
            _ => {}
        }
    }
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.chars().enumerate() {
        if c.is_uppercase() && at > 0 {
            out.push('-');
        }
        out.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
    }
    out
}

/// A text literal.
pub(super) fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// The last name of a path, such as `TRAINING` of `serve::TRAINING`.
pub(super) fn last_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        Expr::Field(field) => last_name(&field.base),
        _ => None,
    }
}

/// Two numbers in brackets.
pub(super) fn pair(expr: &Expr) -> Option<(u16, u16)> {
    let number = |expr: &Expr| match expr {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    };
    match expr {
        Expr::Tuple(tuple) if tuple.elems.len() == 2 => {
            Some((number(tuple.elems.first()?)?, number(tuple.elems.last()?)?))
        }
        _ => None,
    }
}
