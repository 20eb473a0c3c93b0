//! Compiles `proto/` without protoc: messages of the model file into `crates/model`, everything else
//! with clients and servers into `crates/proto`, and the permission of every rpc as a table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use prost::Message;
use prost_reflect::{DescriptorPool, Value};

/// Fully qualified name of the method option that names an rpc's permission.
const PERMISSION: &str = "gristmill.options.v1alpha1.permission";
const MODEL_PACKAGE: &str = "gristmill.model.v1alpha1";

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

/// Writes the generated files, or with `check` fails if one differs.
pub fn run(check: bool) -> anyhow::Result<()> {
    let root = root();
    let files = generate(&root)?;
    let mut stale = Vec::new();
    for (path, content) in &files {
        let path = root.join(path);
        if std::fs::read(&path).ok().as_deref() == Some(content) {
            continue;
        }
        if check {
            stale.push(path.display().to_string());
        } else {
            std::fs::create_dir_all(path.parent().context("a generated file has a folder")?)?;
            std::fs::write(&path, content)?;
            println!("wrote {}", path.display());
        }
    }
    if stale.is_empty() { Ok(()) } else { bail!("generated code is stale, run `cargo xtask codegen`: {stale:?}") }
}

/// Every generated file by its path from the root.
pub fn generate(root: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let proto = root.join("proto");
    let mut sources = Vec::new();
    collect(&proto, &mut sources)?;
    sources.sort();
    let bytes = protox::Compiler::new([&proto])?
        .include_imports(true)
        .include_source_info(true)
        .open_files(&sources)?
        .encode_file_descriptor_set();
    let all = prost_types::FileDescriptorSet::decode(bytes.as_slice())?;
    let (model, services): (Vec<_>, Vec<_>) = all.file.into_iter().partition(|file| file.package() == MODEL_PACKAGE);

    let mut out = BTreeMap::new();
    emit(model, "crates/model/src/generated", &mut out)?;
    emit(services, "crates/proto/src/generated", &mut out)?;
    // Without source info: the set is what reflection serves.
    let reflected =
        protox::Compiler::new([&proto])?.include_imports(true).open_files(&sources)?.encode_file_descriptor_set();
    out.insert("crates/proto/src/generated/permissions.rs".into(), permissions(&reflected)?.into_bytes());
    out.insert("crates/proto/src/generated/descriptors.bin".into(), reflected);
    Ok(out)
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            into.push(path);
        }
    }
    Ok(())
}

fn emit(
    file: Vec<prost_types::FileDescriptorProto>,
    into: &str,
    out: &mut BTreeMap<PathBuf, Vec<u8>>,
) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut config = prost_build::Config::new();
    config.btree_map(["."]).out_dir(scratch.path()).enable_type_names();
    tonic_prost_build::configure()
        .out_dir(scratch.path())
        .compile_fds_with_config(prost_types::FileDescriptorSet { file }, config)?;
    for entry in std::fs::read_dir(scratch.path())? {
        let path = entry?.path();
        let name = path.file_name().context("a generated file has a name")?;
        // Descriptor and option packages carry no message that we use.
        if name.to_string_lossy().starts_with("google.") || name.to_string_lossy().starts_with("gristmill.options") {
            continue;
        }
        out.insert(Path::new(into).join(name), std::fs::read(&path)?);
    }
    Ok(())
}

/// A const table of (rpc path, permission), sorted; an rpc without a permission is an error (I9).
fn permissions(descriptors: &[u8]) -> anyhow::Result<String> {
    let pool = DescriptorPool::decode(descriptors)?;
    let Some(option) = pool.get_extension_by_name(PERMISSION) else {
        return Ok(table(&BTreeMap::new()));
    };
    let mut rows = BTreeMap::new();
    for service in pool.services() {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            let value = method.options().get_extension(&option).into_owned();
            let Value::EnumNumber(number) = value else { bail!("{path}: the permission option is not an enum") };
            let name = option.kind().as_enum().and_then(|e| e.get_value(number)).map(|v| v.name().to_owned());
            match name.as_deref().and_then(|name| name.strip_prefix("PERMISSION_")) {
                Some("UNSPECIFIED") | None => match third_party(service.full_name(), method.name()) {
                    Some(permission) => rows.insert(path, permission.to_owned()),
                    None => {
                        bail!("{path} declares no permission: add `option (gristmill.options.v1alpha1.permission)`")
                    }
                },
                Some(name) => rows.insert(path, camel(name)),
            };
        }
    }
    Ok(table(&rows))
}

/// Permissions of contracts whose files are not ours to annotate.
fn third_party(service: &str, method: &str) -> Option<&'static str> {
    match (service, method) {
        ("inference.GRPCInferenceService", "ModelInfer") => Some("Predict"),
        ("inference.GRPCInferenceService", "ModelMetadata" | "ModelReady") => Some("Read"),
        ("inference.GRPCInferenceService", _) => Some("Public"),
        // An autoscaler has no token to show; it learns how many trials there are, and of nobody's.
        ("externalscaler.ExternalScaler", _) => Some("Public"),
        _ => None,
    }
}

fn camel(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_owned() + &rest.to_lowercase()
        })
        .collect()
}

fn table(rows: &BTreeMap<String, String>) -> String {
    let mut text = String::from(
        "// @generated by `cargo xtask codegen`.\n\nuse gristmill_types::Permission;\n\n\
         /// Every rpc with the permission it needs, sorted by path.\n\
         pub const PERMISSIONS: &[(&str, Permission)] = &[\n",
    );
    for (path, permission) in rows {
        text.push_str(&format!("    (\"{path}\", Permission::{permission}),\n"));
    }
    text.push_str("];\n");
    text
}
