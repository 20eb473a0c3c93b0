//! The allocator, and when it gives memory back: kept while jobs run, returned when they are done.
//!
//! Touching fresh pages costs more than most of what is then computed on them (zeroing them was 40 % of the CPU time of
//! preparing 300,000 rows), so freed pages stay with the process while it works and leave it when it rests.
//!
//! Pages are small ones: the allocator asks for huge pages where the system leaves that to programs, and the system then
//! zeroes two megabytes for the first byte of them. On the flights that doubled the time spent in the kernel (0.5 to 0.8 s
//! became 1.2 to 1.5 s before and after training) and gained training nothing.
#![allow(unsafe_code)] // Calls into the allocator and the system that have no safe interface here.

use std::time::Duration;

use gristmill_runtime::slots::Slots;
use libmimalloc_sys::{mi_collect, mi_option_set};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// How long freed pages may stay in a process that does not rest. Longer than the steps of a job are apart.
const KEPT: Duration = Duration::from_secs(60);
/// How often to look whether there is work.
const LOOK: Duration = Duration::from_secs(1);
/// Looks without work after which the process rests; by then threads that only waited have ended ([`THREADS_WAIT`]),
/// and their heaps with them.
const REST: u32 = 3;
/// How long a thread for blocking calls waits for another one.
pub const THREADS_WAIT: Duration = Duration::from_secs(1);

/// Sets what pages are taken, for this process and its children, and how long freed ones are kept. Call it first in
/// `main`.
pub fn keep_while_busy() {
    // SAFETY: sets a flag of the process and touches no memory of ours. Where it is refused, nothing is lost but time.
    #[cfg(target_os = "linux")]
    let _ = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    let millis = std::ffi::c_long::try_from(KEPT.as_millis()).unwrap_or(std::ffi::c_long::MAX);
    // SAFETY: sets one number of the allocator's options; any thread may do so at any time.
    unsafe { mi_option_set(PURGE_DELAY, millis) };
}

/// Runs its argument once on every thread of an engine that keeps threads of its own.
pub type InEngineThreads = fn(&(dyn Fn() + Sync));

/// Gives memory back each time jobs have run and none runs any more; never ends. `engine` reaches threads that
/// are not of `slots`.
pub(crate) async fn release_at_rest(slots: Slots, engine: InEngineThreads) {
    let mut seen = slots.granted();
    let mut quiet = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = slots.granted();
        if now == seen && quiet == 0 {
            continue;
        }
        quiet = if now == seen && slots.all_free() { quiet + 1 } else { 1 };
        seen = now;
        if quiet > REST {
            quiet = 0;
            let slots = slots.clone();
            // Threads are waited for, and the system is asked to unmap.
            let released = tokio::task::spawn_blocking(move || release(&slots, engine)).await;
            tracing::debug!(done = released.is_ok(), "memory released");
        }
    }
}

/// Every thread that computes first empties its own heap; what is then free leaves the process.
fn release(slots: &Slots, engine: InEngineThreads) {
    // SAFETY: frees no block that is in use; each thread collects its own heap.
    let collect = || unsafe { mi_collect(true) };
    slots.in_idle_pools(collect);
    engine(&collect);
    collect();
}
