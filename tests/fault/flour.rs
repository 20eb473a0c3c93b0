//! Prepared data and studies of it: made once by the all-in-one, by the programs that users run.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gristmill_proto::training::training_service_client::TrainingServiceClient;
use gristmill_proto::training::{ListStudyJobsRequest, Refit, StudySpec};
use gristmill_tests::{Desk, small_csv};
use tonic::transport::{Channel, Endpoint};

use crate::runtime;

/// What every study starts from.
pub struct Flour {
    /// A study of a few trials that take a second or so each, so that a fault finds them at work.
    pub spec: StudySpec,
    /// The store's files, each at its place.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Flour {
    /// The one of this test binary.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Flour> = OnceLock::new();
        SHARED.get_or_init(Self::make)
    }

    fn make() -> Self {
        let desk = Desk::new();
        desk.write("d.csv", small_csv(1_500));
        desk.ok(&["run", "d.csv", "--target", "y", "--trials", "2", "--output", "json"]);
        let up = desk.up();
        let asked = runtime().block_on(async {
            client(&format!("http://{}", up.grpc)).list_study_jobs(ListStudyJobsRequest::default()).await
        });
        let spec = asked.unwrap().into_inner().jobs.remove(0).spec.unwrap();
        let spec = StudySpec {
            learners: vec!["boosting".into()],
            trials: 4,
            lag: 0,
            max_rounds: ROUNDS,
            early_stopping_rounds: ROUNDS,
            refit: Refit::Off.into(),
            ..spec
        };
        let mut files = Vec::new();
        read(&desk.path().join(".gristmill/store"), Path::new(""), &mut files);
        Self { spec, files }
    }

    /// Puts the prepared data into a store's folder.
    pub fn pour(&self, store: &Path) {
        for (place, bytes) in &self.files {
            let path = store.join(place);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
}

/// Boosting rounds of a trial.
const ROUNDS: u32 = 1_500;

fn read(folder: &Path, place: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let place = place.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => read(&entry.path(), &place, files),
            false => files.push((place, std::fs::read(entry.path()).unwrap())),
        }
    }
}

/// Calls the training stage at an endpoint, on a connection of its own that is made when it is used.
pub fn client(endpoint: &str) -> TrainingServiceClient<Channel> {
    let _within = runtime().enter();
    TrainingServiceClient::new(Endpoint::from_shared(endpoint.to_owned()).unwrap().connect_lazy())
}
