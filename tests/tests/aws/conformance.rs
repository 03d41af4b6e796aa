//! The engine keeps every promise of the ports.

use sluice_server::ports::conformance;

/// A test for each promise of a port, called with the engine's stores.
macro_rules! promises {
    ($module:ident, $port:ident, $engine:ident = $make:expr => $stores:tt: $($promise:ident)+) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $promise() {
                    let $engine = $make.await;
                    super::conformance::$port::$promise $stores.await;
                }
            )+
        }
    };
}

macro_rules! blob_store_promises {
    ($module:ident, $make:expr) => {
        promises! { $module, blob_store, engine = $make => (&engine.blobs, &*engine.database):
            persisted_bytes_read_back
            frames_of_any_size_make_a_part
            found_parts_are_what_was_asked_for
            missing_bytes_are_corrupt
            sealing_is_idempotent
            an_abandoned_part_can_be_written_anew
            deleted_bytes_are_gone
            a_sound_store_is_healthy
            other_parts_are_free
            a_second_writer_waits_for_the_first
            a_busy_part_is_refused
            a_silent_writer_is_taken_over
            a_persisted_part_is_not_taken_over
            a_newer_epoch_takes_over_at_once
            a_fence_ends_older_writers
            a_fence_waits_for_a_commit
            a_dropped_writer_holds_its_part_until_its_write_is_over
        }
    };
}

blob_store_promises! { blob_store, crate::engine::Engine::new() }

// With room for one small part in memory: all others go by the disk.
blob_store_promises! { blob_store_on_disk, crate::engine::Engine::with("part_memory = 8192") }

// As with a store that knows no checksums, behind TLS.
blob_store_promises! {
    blob_store_unchecked,
    crate::engine::Engine::with("checksums = \"off\"\nsign_payloads = \"never\"")
}

promises! { small_files, small_files,
    engine = crate::engine::Engine::new() => (&engine.blobs, &*engine.database):
    a_small_file_is_like_any_other
    a_file_may_turn_out_to_be_small
    what_needs_no_sealing_is_whole
}
