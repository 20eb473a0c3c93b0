//! Keys of objects: built and read only here (I4).

use gristmill_types::{Digest, Project};
use object_store::path::Path;

use crate::Holder;

/// What an object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Room {
    /// Bytes of a part, named by their digest.
    Blob,
    /// A manifest, named by its digest.
    Manifest,
}

/// Names one object of one project:
/// `projects/{project}/blobs/sha256/ab/abcdef…` or `projects/{project}/artifacts/{digest}`.
///
/// Blobs are fanned out by their first byte, so that no folder of a local store holds millions of files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) project: Project,
    pub(crate) room: Room,
    pub(crate) digest: Digest,
}

const PROJECTS: &str = "projects";
const PROBES: &str = "probes";
const HOLDERS: &str = "holders";

impl Key {
    pub(crate) fn new(project: &Project, room: Room, digest: Digest) -> Self {
        Self { project: project.clone(), room, digest }
    }

    /// The object's path.
    pub(crate) fn path(&self) -> Path {
        let digest = self.digest.to_string();
        let room = Self::room(&self.project, self.room);
        match self.room {
            Room::Blob => room.join(digest.get(..2).unwrap_or_default()).join(digest),
            Room::Manifest => room.join(digest),
        }
    }

    /// Reads a path; `None` if it is not one that [`Self::path`] makes.
    pub(crate) fn parse(path: &Path) -> Option<Self> {
        let segments: Vec<&str> = path.as_ref().split('/').collect();
        let (project, room, digest) = match segments.as_slice() {
            [PROJECTS, project, "blobs", "sha256", fan, digest] if digest.get(..2) == Some(*fan) => {
                (project, Room::Blob, digest)
            }
            [PROJECTS, project, "artifacts", digest] => (project, Room::Manifest, digest),
            _ => return None,
        };
        Some(Self { project: project.parse().ok()?, room, digest: digest.parse().ok()? })
    }

    /// Where all objects of a room are listed.
    pub(crate) fn room(project: &Project, room: Room) -> Path {
        let project = Path::from(PROJECTS).join(project.as_str());
        match room {
            Room::Blob => project.join("blobs").join("sha256"),
            Room::Manifest => project.join("artifacts"),
        }
    }

    /// Where objects are written to see whether that works, and at what time; none of them is kept.
    pub(crate) fn probes() -> Path {
        Path::from(PROBES)
    }

    /// Where those who hold artifacts are registered, each by an object `holders/{stage}/{id}`.
    pub(crate) fn holders() -> Path {
        Path::from(HOLDERS)
    }

    /// Where one holder is registered.
    pub(crate) fn holder(holder: &Holder) -> Path {
        Self::holders().join(holder.stage.as_str()).join(holder.id.as_str())
    }

    /// Reads a path below [`Self::holders`]; `None` if it is not one that [`Self::holder`] makes.
    pub(crate) fn parse_holder(path: &Path) -> Option<Holder> {
        path.as_ref().strip_prefix(HOLDERS)?.strip_prefix('/')?.parse().ok()
    }

    /// Where all projects are listed.
    pub(crate) fn projects() -> Path {
        Path::from(PROJECTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_have_the_documented_form() {
        let project = Project::new("fraud-1").unwrap();
        let digest = Digest::of(b"abc");
        assert_eq!(
            Key::new(&project, Room::Blob, digest).path().as_ref(),
            "projects/fraud-1/blobs/sha256/ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            Key::new(&project, Room::Manifest, digest).path().as_ref(),
            "projects/fraud-1/artifacts/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn foreign_paths_are_no_keys() {
        let digest = Digest::of(b"abc").to_string();
        for path in [
            format!("projects/p/blobs/sha256/00/{digest}"),
            format!("projects/P/artifacts/{digest}"),
            format!("projects/p/artifacts/{}", digest.to_uppercase()),
            format!("projects/p/artifacts/{digest}/more"),
            "projects/p/artifacts/abc".to_owned(),
            format!("elsewhere/p/artifacts/{digest}"),
        ] {
            assert_eq!(Key::parse(&Path::from(path.as_str())), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn the_parser_reads_what_the_constructor_writes(project in "[a-z][a-z0-9_-]{0,62}", bytes: [u8; 32], blob: bool) {
            let room = if blob { Room::Blob } else { Room::Manifest };
            let key = Key::new(&Project::new(project).unwrap(), room, Digest::from_bytes(bytes));
            prop_assert_eq!(Key::parse(&key.path()), Some(key.clone()));
            prop_assert!(key.path().as_ref().starts_with(Key::room(&key.project, key.room).as_ref()));
        }
    }
}
