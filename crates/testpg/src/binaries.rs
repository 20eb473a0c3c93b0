//! Finding the server's programs, and a user to run them as.

use std::path::{Path, PathBuf};

/// Set to `1`, a missing server fails the tests instead of leaving them out.
pub const REQUIRE: &str = "GRISTMILL_REQUIRE_POSTGRES";

/// Folders whose subfolders are versions with a `bin`.
const VERSIONED: [&str; 3] = ["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/postgresql"];
/// Folders that distributions use for the newest version.
const FIXED: [&str; 4] = ["/usr/local/pgsql/bin", "/usr/pgsql/bin", "/opt/homebrew/bin", "/usr/local/bin"];

/// A folder with `initdb`, `postgres`, `psql` and `pg_isready`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// The first complete folder: on `PATH`, then the newest version of those in the usual places.
    pub fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(&path).collect::<Vec<_>>();
        let versioned = VERSIONED.iter().flat_map(|folder| versions(Path::new(folder)));
        let fixed = FIXED.iter().map(PathBuf::from);
        on_path.into_iter().chain(versioned).chain(fixed).find(|folder| is_complete(folder)).map(Self)
    }

    /// The path of one program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres", "psql", "pg_isready"].iter().all(|name| folder.join(name).is_file())
}

/// `FOLDER/<version>/bin`, the newest first.
fn versions(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, path)| path).collect()
}

/// Whom to run the server as: user and group of `postgres`, else of `nobody`; none if we are not root.
pub(crate) fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    ["postgres", "nobody"].iter().find_map(|name| ids(&users, name))
}

/// `name:x:uid:gid:…`.
fn ids(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_by_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:n:/:/bin/false\n";
        assert_eq!(ids(users, "nobody"), Some((65_534, 65_533)));
        assert_eq!(ids(users, "postgres"), None);
    }

    #[test]
    fn the_newest_version_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["9", "15", "16", "notes"] {
            std::fs::create_dir(folder.path().join(version)).unwrap();
        }
        let found = versions(folder.path());
        let expected = ["16/bin", "15/bin", "9/bin"].map(|version| folder.path().join(version));
        assert_eq!(found, expected);
    }
}
