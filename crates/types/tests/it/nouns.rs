//! Digests, names, ids, secrets and the role matrix.

use gristmill_types::{
    ArtifactKind, Clock, Digest, Hasher, JobId, JobState, ManualClock, Name, Permission, Project, RequestId, Role,
    Secret, SecretRef,
};

#[test]
fn a_digest_is_what_sha256sum_prints() {
    // printf abc | sha256sum
    let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let mut hasher = Hasher::new();
    hasher.update(b"a");
    hasher.update(b"bc");
    assert_eq!(hasher.finish(), Digest::of(b"abc"));
    assert_eq!(Digest::of(b"abc").to_string(), text);
    assert_eq!(text.parse::<Digest>().unwrap(), Digest::of(b"abc"));
    assert_eq!(Digest::of(b"abc").short(), "ba7816bf8f01");
    for bad in [&text[1..], &text.to_uppercase(), "zz", ""] {
        assert!(bad.parse::<Digest>().unwrap_err().to_string().contains("64 lower-case"));
    }
}

#[test]
fn names_cannot_be_mistaken_for_paths() {
    for good in ["a", "flights-late_2", "z9"] {
        assert!(Name::new(good).is_ok() && Project::new(good).is_ok());
    }
    for bad in ["", "../a", "a/b", "A", "9a", "-a", "a b", "a.b", "ä", "a\0", &"a".repeat(64)] {
        assert!(Name::new(bad).is_err(), "{bad:?}");
    }
    assert_eq!(Project::default().as_str(), "default");
    assert!(serde_json::from_str::<Name>("\"../etc\"").is_err());
}

#[test]
fn ids_sort_by_creation_and_come_back() {
    let (early, late) = (JobId::new(1, u128::MAX), JobId::new(2, 0));
    assert!(early < late && early.to_string() < late.to_string());
    assert_eq!(late.to_string().parse::<JobId>().unwrap(), late);
    assert!("nonsense".parse::<JobId>().unwrap_err().contains("26 characters"));
    assert!(RequestId::new("").is_err() && RequestId::new("a b").is_err() && RequestId::new("a-1").is_ok());
    assert_eq!(RequestId::new("x".repeat(129)).unwrap_err(), "a request id is 1 to 128 visible ASCII characters");
}

#[test]
fn kinds_and_states_are_read_as_they_are_written() {
    for kind in ArtifactKind::ALL {
        assert_eq!(kind.to_string().parse::<ArtifactKind>().unwrap(), kind);
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
    }
    assert!(JobState::Cancelled.is_terminal() && !JobState::Running.is_terminal());
    assert_eq!("running".parse::<JobState>().unwrap(), JobState::Running);
}

#[test]
fn a_secret_prints_nowhere() {
    let secret = Secret::new("hunter2");
    assert!(!format!("{secret:?}").contains("hunter2"));
    assert_eq!(secret.expose(), "hunter2");
    assert_eq!("env:TOKEN".parse::<SecretRef>().unwrap(), SecretRef::Env("TOKEN".into()));
    assert!("hunter2".parse::<SecretRef>().unwrap_err().contains("env:NAME"));
}

#[test]
fn a_manual_clock_moves_when_told() {
    let clock = ManualClock::at(5);
    clock.advance(10);
    assert_eq!(clock.now(), 15);
}

/// The matrix as it was decided, role by role; a change here is a change of who may do what.
#[test]
fn roles_grant_what_the_matrix_says() {
    use Permission as P;
    let all = [
        P::Read,
        P::WriteData,
        P::WritePreparation,
        P::WriteTraining,
        P::WriteEvaluation,
        P::WriteModel,
        P::PromoteModel,
        P::Deploy,
        P::Predict,
        P::WriteMonitoring,
        P::RunPipeline,
        P::Work,
        P::Administer,
    ];
    let rows = [
        (Role::DataScientist, "1.1111..1.1.."),
        (Role::MlEngineer, "1.111111111.."),
        (Role::SoftwareEngineer, "1......111..."),
        (Role::DataEngineer, "111.........."),
        (Role::Admin, "1111111111111"),
    ];
    for (role, expected) in rows {
        let granted: String = all.iter().map(|p| if role.grants(*p) { '1' } else { '.' }).collect();
        assert_eq!(granted, expected, "{role}");
        assert!(role.grants(P::Public));
        assert_eq!(role.to_string().parse::<Role>().unwrap(), role);
    }
}
