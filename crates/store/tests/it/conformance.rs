//! The one suite, run on every backend: another backend is one more line at the end.

use super::bench::Bench;
use super::{holders, races, reads, sweeps, writes};

macro_rules! suite {
    ($backend:ident: $($room:ident::$case:ident),* $(,)?) => {
        mod $backend {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $room::$case(Bench::$backend().await).await;
                }
            )*
        }
    };
}

macro_rules! on_every_backend {
    ($($backend:ident),*) => {
        $(suite! { $backend:
            writes::every_way_in_comes_out_the_same,
            writes::the_digest_depends_on_content_alone,
            writes::a_dropped_writer_leaves_nothing,
            writes::an_empty_part_is_kept,
            writes::part_names_cannot_be_paths,
            writes::odd_files_are_refused,
            writes::nothing_is_visible_before_it_is_pinned,
            writes::a_lost_lease_publishes_nothing,
            writes::a_failing_source_publishes_nothing,
            writes::projects_are_apart,
            writes::an_upload_is_checked,
            writes::a_wrong_upload_is_refused,
            reads::tampered_bytes_are_named,
            reads::truncated_and_grown_parts_are_named,
            reads::a_missing_part_is_named,
            reads::a_tampered_manifest_is_named,
            reads::unknown_things_are_not_found,
            reads::a_damaged_chunk_is_found_where_it_is,
            reads::maps_are_shared_and_outlive_the_artifact,
            sweeps::only_old_garbage_goes,
            sweeps::what_roots_were_made_from_stays,
            sweeps::a_dry_run_counts_and_deletes_nothing,
            sweeps::silence_of_one_provider_deletes_nothing,
            sweeps::a_lost_root_deletes_nothing,
            sweeps::pins_are_kept_before_and_after_publication,
            holders::a_registration_is_seen_by_whoever_opens_the_store,
            holders::a_registered_holder_that_is_not_asked_deletes_nothing,
            holders::who_registers_while_others_are_asked_counts,
            holders::a_holder_is_forgotten_only_by_a_real_sweep_and_when_silent,
            holders::what_cannot_be_read_deletes_nothing,
            races::identical_puts_at_once,
            races::a_deduplicated_put_races_a_sweep,
            races::puts_and_sweeps_at_random_lose_nothing,
        })*
    };
}

on_every_backend!(local, memory, s3, s3_unconditional);
