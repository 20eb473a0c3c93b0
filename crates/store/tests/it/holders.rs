//! Who is registered in the store is asked, or nothing is deleted.

use async_trait::async_trait;
use gristmill_store::object_store::path::Path;
use gristmill_store::object_store::{ObjectStoreExt, PutPayload};
use gristmill_store::{Holder as Registered, Location, RootProvider, Roots, Store, StoreError};
use gristmill_types::{ErrorCode, Project};

use super::bench::{Bench, HOUR, write_one};
use super::sweeps::Holder;

fn holder(text: &str) -> Registered {
    text.parse().unwrap()
}

fn answering(who: &[&Registered]) -> Holder {
    Holder { registered: who.iter().map(|one| (*one).clone()).collect(), ..Holder::default() }
}

pub async fn a_registration_is_seen_by_whoever_opens_the_store(bench: Bench) {
    assert_eq!(bench.store.holders().await.unwrap(), []);
    let (training, ingestion) = (holder("training/a1"), holder("ingestion/a1"));
    for one in [&training, &ingestion, &training] {
        bench.store.register(one).await.unwrap();
    }
    let another = match bench.config.url {
        Location::Memory => Store::on(bench.objects.clone(), &bench.config, bench.clock.clone()).await.unwrap(),
        _ => Store::open(&bench.config, bench.clock.clone()).await.unwrap(),
    };
    assert_eq!(another.holders().await.unwrap(), [ingestion.clone(), training.clone()]);
    another.forget(&ingestion).await.unwrap();
    another.forget(&ingestion).await.unwrap();
    assert_eq!(bench.store.holders().await.unwrap(), [training]);
    assert_eq!((bench.count().await, bench.store.projects().await.unwrap()), (0, vec![]), "none is an artifact");
}

pub async fn a_registered_holder_that_is_not_asked_deletes_nothing(bench: Bench) {
    let (here, elsewhere) = (holder("ingestion/a1"), holder("ingestion/b2"));
    for one in [&here, &elsewhere] {
        bench.store.register(one).await.unwrap();
    }
    write_one(&bench.project(), b"held elsewhere", &[]).await;
    bench.advance(25 * HOUR);
    for dry in [true, false] {
        let refused = bench.store.sweep(&Project::default(), &[&answering(&[&here])], dry).await.unwrap_err();
        assert!(matches!(&refused, StoreError::HolderNotAsked(who) if *who == elsewhere), "{refused:?}");
        assert_eq!(refused.code(), ErrorCode::FailedPrecondition);
    }
    assert_eq!(bench.count().await, 2);
    let both = answering(&[&here, &elsewhere]);
    assert_eq!(bench.store.sweep(&Project::default(), &[&both], false).await.unwrap().deleted, 2);
    assert_eq!(bench.store.holders().await.unwrap(), [here, elsewhere], "an old registration is no garbage");
}

/// Another installation opens the store while this one is asked.
struct RegistersMeanwhile<'a>(&'a Bench, Registered);

#[async_trait]
impl RootProvider for RegistersMeanwhile<'_> {
    fn name(&self) -> &str {
        "registers meanwhile"
    }

    async fn roots(&self, _project: &Project) -> Result<Roots, String> {
        self.0.store.register(&self.1).await.unwrap();
        Ok(Roots::default())
    }
}

pub async fn who_registers_while_others_are_asked_counts(bench: Bench) {
    write_one(&bench.project(), b"rows", &[]).await;
    bench.advance(25 * HOUR);
    let late = RegistersMeanwhile(&bench, holder("training/late"));
    let refused = bench.store.sweep(&Project::default(), &[&late], false).await.unwrap_err();
    assert!(matches!(refused, StoreError::HolderNotAsked(who) if who == late.1));
    assert_eq!(bench.count().await, 2);
}

pub async fn a_holder_is_forgotten_only_by_a_real_sweep_and_when_silent(bench: Bench) {
    let (alive, gone) = (holder("ingestion/a1"), holder("ingestion/b2"));
    for one in [&alive, &gone] {
        bench.store.register(one).await.unwrap();
    }
    write_one(&bench.project(), b"held by nobody else", &[]).await;
    bench.advance(25 * HOUR);
    let (project, asked) = (Project::default(), answering(&[&alive]));
    let both = [alive.clone(), gone.clone()];
    let refused = bench.store.sweep_without(&project, &[&asked], &both, false).await.unwrap_err();
    assert!(matches!(refused, StoreError::HolderNotGone(who) if who == alive));
    let dry = bench.store.sweep_without(&project, &[&asked], std::slice::from_ref(&gone), true).await.unwrap();
    assert_eq!((dry.deleted, bench.store.holders().await.unwrap().len()), (2, 2));
    let done = bench.store.sweep_without(&project, &[&asked], &[gone], false).await.unwrap();
    assert_eq!((done, bench.store.holders().await.unwrap()), (dry, vec![alive]));
    assert_eq!(bench.count().await, 0);
}

pub async fn what_cannot_be_read_deletes_nothing(bench: Bench) {
    write_one(&bench.project(), b"rows", &[]).await;
    bench.advance(25 * HOUR);
    let newer = Path::from("holders/ingestion/a1/replica-1");
    bench.objects.put(&newer, PutPayload::from_static(b"written by a later version")).await.unwrap();
    let refused = bench.store.sweep(&Project::default(), &[&Holder::default()], false).await.unwrap_err();
    assert!(matches!(refused, StoreError::HolderUnknown(_)) && refused.to_string().contains("upgrade"));
    assert_eq!(bench.count().await, 2);
}
