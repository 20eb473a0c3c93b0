//! The invariants as far as text shows them; each finding cites its number.

use super::Finding;
use super::graph::STAGES;
use super::source::Source;

/// Rooms of a stage that may speak protobuf (I3): the edge of the stage, not its domain.
const PROTO_ROOMS: [&str; 12] = [
    "service",
    "artifact_service",
    "convert",
    "run",
    "worker",
    "stage",
    "clients",
    "lib",
    "error",
    "grpc",
    "http",
    "inference",
];

/// Files that are such a room under another name.
const ALSO_ROOMS: [(&str, &str); 8] = [
    ("training/src/scaler.rs", "the autoscaler's service"),
    ("training/src/study.rs", "the run of a study"),
    ("training/src/study/trials.rs", "submits the study's trials as jobs"),
    ("training/src/trial.rs", "the run of a trial"),
    ("training/src/board.rs", "writes the study's result message"),
    ("serving/src/follow.rs", "client of the registry's alias moves"),
    ("serving/src/models.rs", "client of the registry's versions"),
    ("pipeline/src/steps.rs", "keeps what stages answered, as they answered it"),
];

/// Functions whose last bits differ between C libraries and CPUs (I8).
const INEXACT: [&str; 22] = [
    "exp", "exp2", "exp_m1", "ln", "ln_1p", "log", "log2", "log10", "powf", "powi", "sin", "cos", "tan", "asin",
    "acos", "atan", "atan2", "sinh", "cosh", "tanh", "cbrt", "mul_add",
];

/// Checks one file against I3, I4 and I8.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in source.product_code() {
        if speaks_proto(source, line) {
            let message =
                "I3: protobuf types stop at service.rs, convert.rs, run.rs and wiring; hand the domain its own type";
            findings.push(Finding::at(source, at, message));
        }
        if exact_crate(source) && INEXACT.iter().any(|name| calls(line, name)) {
            let message = "I8: these bits differ between machines; call `libm::…`";
            findings.push(Finding::at(source, at, message));
        }
    }
    findings.extend(foreign_state(source));
    findings
}

fn speaks_proto(source: &Source, line: &str) -> bool {
    STAGES.contains(&source.crate_name()) && !in_proto_room(&source.path) && line.contains("gristmill_proto::")
}

/// `src/convert.rs`, `src/batch/service.rs`, anything in `src/convert/`, or a file listed with its reason.
fn in_proto_room(path: &str) -> bool {
    let inside = path.split_once("/src/").map(|(_, inside)| inside).unwrap_or_default();
    let room = |part: &str| PROTO_ROOMS.contains(&part.trim_end_matches(".rs"));
    inside.split('/').any(room) || ALSO_ROOMS.iter().any(|(file, _)| path.strip_prefix("crates/") == Some(file))
}

fn exact_crate(source: &Source) -> bool {
    matches!(source.crate_name(), "model" | "stats")
}

/// Whether `line` calls the method `name`, as `x.exp()` or as `f64::exp`.
fn calls(line: &str, name: &str) -> bool {
    let method = format!(".{name}(");
    let paths = [format!("f64::{name}"), format!("f32::{name}")];
    let ends = |after: &str| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    line.contains(&method) || paths.iter().any(|path| line.split(path.as_str()).skip(1).any(ends))
}

/// I4: only `store` builds object keys, only `jobs` writes the tables of jobs.
fn foreign_state(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (name, checked) = (source.crate_name(), !source.is_test());
    if !checked || name == "xtask" {
        return findings;
    }
    for (at, line) in source.text.lines().enumerate() {
        if name != "store" && line.contains("blobs/sha256") {
            findings.push(Finding::at(source, at + 1, "I4: only `store` builds object keys"));
        }
        let lower = line.to_lowercase();
        let writes = ["insert into ", "update ", "delete from "];
        let tables = ["{s}job ", "{s}attempt ", "{s}event ", "{s}pin "];
        let pairs = writes.iter().flat_map(|verb| tables.iter().map(move |table| format!("{verb}{table}")));
        if name != "jobs" && pairs.into_iter().any(|pair| lower.contains(&pair)) {
            findings.push(Finding::at(source, at + 1, "I4: only `jobs` writes job state"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path.into(), text.into())).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn protobuf_stays_in_its_rooms() {
        let line = "use gristmill_proto::job::Job;\n";
        assert!(messages("crates/training/src/convert.rs", line).is_empty());
        assert!(messages("crates/training/src/service/watch.rs", line).is_empty());
        assert!(messages("crates/rpc/src/server.rs", line).is_empty());
        assert!(messages("crates/training/src/lag.rs", line)[0].starts_with("I3"));
        assert!(messages("crates/training/src/lag.rs", "// gristmill_proto::x\n").is_empty());
    }

    #[test]
    fn inexact_functions_are_found_where_bits_matter() {
        assert!(messages("crates/stats/src/a.rs", "let y = x.exp();\n")[0].starts_with("I8"));
        assert!(messages("crates/model/src/a.rs", "xs.map(f64::ln);\n")[0].starts_with("I8"));
        for fine in ["let y = libm::exp(x);", "x.sqrt();", "f64::ln_gamma(x);", "self.expect(1);", "x.logit();"] {
            assert!(messages("crates/stats/src/a.rs", fine).is_empty(), "{fine}");
        }
        assert!(messages("crates/bench/src/a.rs", "let y = x.exp();\n").is_empty());
        assert!(messages("crates/stats/src/a.rs", "#[cfg(test)]\nmod tests { fn a() { x.exp(); } }\n").is_empty());
    }

    #[test]
    fn state_has_one_writer() {
        let write = "let sql = \"update {s}job set state = 1\";\n";
        assert!(messages("crates/training/src/run.rs", write)[0].starts_with("I4"));
        assert!(messages("crates/jobs/src/sql.rs", write).is_empty());
        assert!(messages("crates/gristmill/src/gc.rs", "format!(\"blobs/sha256/{x}\")\n")[0].starts_with("I4"));
    }
}
