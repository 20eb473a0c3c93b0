//! Programs of the workspace: their names, ports, settings, commands and whom they call.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::ensure;
use syn::{Expr, ImplItem, Item};

use super::rust::{self, Below, File, Structs};
use super::yaml;
use crate::tidy::source::Source;

/// The all-in-one: its crate, and the struct of its settings.
const ALL: (&str, &str) = ("gristmill", "UpConfig");
/// The crate of what all stages' programs share, and the struct of their settings.
const STAGE: (&str, &str) = ("stage", "Config");

/// What stands in files that declare something that is looked for here; no other file is read as syntax.
const MARKS: [&str; 6] = ["Deserialize", "Keys for", ": Peer =", "Subcommand", "Args", "Parser"];

/// A stage as others know it.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub stage: String,
    /// Default ports of gRPC and HTTP.
    pub ports: (u16, u16),
}

/// What all programs share.
#[derive(Debug, Default)]
struct Shared {
    structs: Structs,
    peers: BTreeMap<String, Peer>,
}

/// One program, or one way to run it.
#[derive(Debug)]
pub(super) struct Program {
    pub binary: String,
    /// Default ports; none for workers.
    pub ports: Option<(u16, u16)>,
    /// The struct of its settings.
    root: (String, String),
    /// The key above its own settings and their struct.
    own: Option<(String, (String, String))>,
    calls: Vec<Peer>,
    verbs: Vec<String>,
    flags: Vec<String>,
    shared: Rc<Shared>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Programs {
    all: Vec<Program>,
    shared: Rc<Shared>,
}

/// `impl Keys for …`, as it is written.
#[derive(Default)]
struct Keys {
    crate_name: String,
    name: String,
    binary: Option<String>,
    section: Option<String>,
    /// The constant of the stage whose ports it has.
    ports: Option<String>,
    peers: Vec<String>,
}

impl Programs {
    /// Reads them from all files outside tests.
    pub(super) fn read<'a>(sources: impl Iterator<Item = &'a Source>) -> anyhow::Result<Self> {
        let declaring = sources.filter(|source| MARKS.iter().any(|mark| source.code.contains(mark)));
        let files = declaring.map(File::parse).collect::<anyhow::Result<Vec<_>>>()?;
        let mut shared = Shared::default();
        let mut keys = Vec::new();
        let mut up = Vec::new();
        let mut lines: BTreeMap<&str, (Vec<String>, Vec<String>)> = BTreeMap::new();
        for file in &files {
            if file.crate_name == ALL.0 {
                up.extend(default_ports(file));
            }
            rust::structs(file, &mut shared.structs);
            let (verbs, flags) = lines.entry(&file.crate_name).or_default();
            rust::command_line(file, verbs, flags);
            for item in &file.items {
                match item {
                    Item::Const(item) => {
                        shared.peers.extend(peer(&item.expr).map(|peer| (item.ident.to_string(), peer)))
                    }
                    Item::Impl(item) => keys.extend(keys_of(file, item)),
                    _ => {}
                }
            }
        }
        let shared = Rc::new(shared);
        let line = |names: &[&str]| {
            let mut both = (Vec::new(), Vec::new());
            for name in names {
                let (verbs, flags) = lines.get(name).cloned().unwrap_or_default();
                both.0.extend(verbs);
                both.1.extend(flags);
            }
            both
        };
        let mut all = Vec::new();
        for one in &keys {
            let (verbs, flags) = line(&[STAGE.0, &one.crate_name]);
            all.push(one.program(&keys, verbs, flags, &shared)?);
        }
        ensure!(!all.is_empty(), "no stage's program (`impl Keys for …`) was found");
        let (verbs, flags) = line(&[ALL.0]);
        let owned = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
        all.push(Program {
            binary: ALL.0.to_owned(),
            ports: up.first().copied(),
            root: owned(ALL),
            own: None,
            calls: Vec::new(),
            verbs,
            flags,
            shared: Rc::clone(&shared),
        });
        Ok(Self { all, shared })
    }

    /// Every program once.
    pub(super) fn binaries(&self) -> impl Iterator<Item = &Program> {
        self.all.iter().filter(|program| program.ports.is_some())
    }

    /// The program that an image runs with a verb.
    pub(super) fn of(&self, image: &str, verb: &str) -> Option<&Program> {
        let name = image.rsplit('/').next()?.split(':').next()?;
        let worker = verb == "work";
        self.all.iter().find(|program| program.binary == name && program.ports.is_none() == worker)
    }

    /// Programs of stages and workers.
    pub(super) fn stages(&self) -> impl Iterator<Item = &Program> {
        self.all.iter().filter(|program| program.binary != ALL.0)
    }

    /// A stage's default ports.
    pub(super) fn ports(&self, stage: &str) -> Option<(u16, u16)> {
        self.shared.peers.values().find(|peer| peer.stage == stage).map(|peer| peer.ports)
    }
}

impl Keys {
    fn program(
        &self,
        all: &[Self],
        verbs: Vec<String>,
        flags: Vec<String>,
        shared: &Rc<Shared>,
    ) -> anyhow::Result<Program> {
        // A worker takes its name from the stage's own program in the same crate.
        let named = |one: &&Self| one.crate_name == self.crate_name && one.binary.is_some();
        let binary = self.binary.clone().or_else(|| all.iter().find(named)?.binary.clone());
        let (Some(binary), Some(section)) = (binary, &self.section) else {
            anyhow::bail!(
                "crates/{}: `Keys` of `{}` has no BINARY or SECTION as a literal",
                self.crate_name,
                self.name
            );
        };
        let known = |constant: &String| {
            let peer = shared.peers.get(constant);
            peer.cloned().ok_or_else(|| anyhow::anyhow!("crates/{}: `{constant}` is no stage", self.crate_name))
        };
        // Settings of workers have no ports; their verb is the section's name.
        let verbs = match self.ports {
            Some(_) => verbs.into_iter().filter(|verb| verb != "work").collect(),
            None => vec![section.clone()],
        };
        Ok(Program {
            binary,
            ports: self.ports.as_ref().map(|ports| known(ports).map(|peer| peer.ports)).transpose()?,
            root: (STAGE.0.to_owned(), STAGE.1.to_owned()),
            own: Some((section.clone(), (self.crate_name.clone(), self.name.clone()))),
            calls: self.peers.iter().map(known).collect::<anyhow::Result<_>>()?,
            verbs,
            flags,
            shared: Rc::clone(shared),
        })
    }
}

impl Program {
    /// The stage's name, or `training-worker` and the like.
    pub(super) fn role(&self) -> String {
        let stage = self.binary.strip_prefix("gristmill-").unwrap_or(&self.binary);
        if self.ports.is_some() { stage.to_owned() } else { format!("{stage}-worker") }
    }

    pub(super) fn verbs(&self) -> impl Iterator<Item = &str> {
        self.verbs.iter().map(String::as_str)
    }

    pub(super) fn flags(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().map(String::as_str)
    }

    /// Stages that it calls, be it for work or to ask what they hold.
    pub(super) fn peers(&self) -> impl Iterator<Item = &str> {
        self.calls.iter().map(|peer| peer.stage.as_str())
    }

    /// Whether a dotted key is one of its settings.
    pub(super) fn knows(&self, key: &str) -> Result<(), String> {
        // The all-in-one's command line reads its folder itself.
        if self.own.is_none() && key == "data_dir" {
            return Ok(());
        }
        let mut at = Below::Struct(self.root.0.clone(), self.root.1.clone());
        for part in key.split('.') {
            at = self.step(&at, part).ok_or_else(|| format!("`{key}` is no setting of {}", self.role()))?;
        }
        Ok(())
    }

    fn step(&self, at: &Below, part: &str) -> Option<Below> {
        match at {
            Below::Open => Some(Below::Open),
            Below::Leaf | Below::Own => None,
            Below::Struct(home, name) => {
                let keys = self.shared.structs.get(&(home.clone(), name.clone()))?;
                let found = keys.iter().find(|(key, below)| key == part && *below != Below::Own);
                match (found, &self.own) {
                    (Some((_, below)), _) => Some(below.clone()),
                    (None, Some((section, own))) if section == part && keys.iter().any(|(_, b)| *b == Below::Own) => {
                        Some(Below::Struct(own.0.clone(), own.1.clone()))
                    }
                    (None, _) => None,
                }
            }
        }
    }

    /// Whether it calls `stage`, and `endpoint` is where that is.
    pub(super) fn peer(&self, stage: &str, endpoint: &str) -> Result<(), String> {
        let stage = stage.split('.').next().unwrap_or(stage);
        let Some(peer) = self.calls.iter().find(|peer| peer.stage == stage) else {
            return Err(format!("{} does not call {stage}", self.role()));
        };
        let host = endpoint.split("://").nth(1).unwrap_or(endpoint).split(':').next().unwrap_or_default();
        if host != stage || yaml::port(endpoint) != Some(peer.ports.0) {
            return Err(format!("`{endpoint}` is not where {stage} is: {stage}:{}", peer.ports.0));
        }
        Ok(())
    }
}

/// The ports in `impl Default for UpConfig`.
fn default_ports(file: &File) -> Option<(u16, u16)> {
    let item = file.items.iter().find_map(|item| match item {
        Item::Impl(item) if matches!(&*item.self_ty, syn::Type::Path(ty) if ty.path.is_ident(ALL.1)) => Some(item),
        _ => None,
    })?;
    let text = quote::quote!(#item).to_string();
    let mut ports = text.split('"').filter_map(|part| part.strip_prefix("127.0.0.1:")?.parse().ok());
    Some((ports.next()?, ports.next()?))
}

/// `Peer { stage: "…", ports: (…, …), … }`.
fn peer(expr: &Expr) -> Option<Peer> {
    let Expr::Struct(made) = expr else { return None };
    let field =
        |name: &str| made.fields.iter().find(|field| matches!(&field.member, syn::Member::Named(n) if n == name));
    Some(Peer { stage: rust::literal(&field("stage")?.expr)?, ports: rust::pair(&field("ports")?.expr)? })
}

fn keys_of(file: &File, item: &syn::ItemImpl) -> Option<Keys> {
    let (_, path, _) = item.trait_.as_ref()?;
    path.segments.last().filter(|last| last.ident == "Keys")?;
    let syn::Type::Path(ty) = &*item.self_ty else { return None };
    let name = ty.path.segments.last()?.ident.to_string();
    let mut keys = Keys { crate_name: file.crate_name.clone(), name, ..Keys::default() };
    for part in &item.items {
        let ImplItem::Const(constant) = part else { continue };
        match constant.ident.to_string().as_str() {
            "BINARY" => keys.binary = rust::literal(&constant.expr),
            "SECTION" => keys.section = rust::literal(&constant.expr),
            "PORTS" => {
                if let Expr::Call(some) = &constant.expr {
                    keys.ports = some.args.first().and_then(rust::last_name);
                }
            }
            "PEERS" | "HOLDERS" => {
                if let Expr::Reference(list) = &constant.expr
                    && let Expr::Array(list) = &*list.expr
                {
                    keys.peers.extend(list.elems.iter().filter_map(rust::last_name));
                }
            }
            _ => {}
        }
    }
    Some(keys)
}
