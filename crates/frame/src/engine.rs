//! The engine's own threads.

use polars_core::runtime::RAYON;

/// Runs `work` once on every thread that the engine computes on. Blocks.
pub fn in_engine_threads(work: impl Fn() + Sync) {
    RAYON.install(|| {
        rayon::broadcast(|_| work());
    });
}
