//! Tests of the artifact store on every backend.

mod it {
    pub mod bench;
    mod cache;
    mod conformance;
    mod folder;
    mod races;
    mod reads;
    mod sweeps;
    mod writes;
}
