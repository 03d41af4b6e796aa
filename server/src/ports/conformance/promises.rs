//! The promises as tests, listed once for all engines.

/// Makes a module, named for a port, with a test for each of the port's promises:
///
/// ```ignore
/// promises! { quotas, records = super::records() => (&records, &records, &records) }
/// ```
///
/// Each test awaits, in that module, what makes the stores, and gives them to the promise.
#[macro_export]
macro_rules! promises {
    (upload_store, $($stores:tt)+) => {
        $crate::promises! { @ upload_store, $($stores)+;
            a_created_upload_reads_back
            a_repeated_request_answers_the_first_upload
            a_request_id_names_one_request
            a_request_id_belongs_to_its_owner
            a_taken_name_is_refused_at_creation
            an_upload_of_another_owner_is_not_found
            persisted_are_the_recorded_parts
            a_part_is_recorded_once
            a_recorded_part_reads_back
            an_unread_part_is_a_part
            what_reading_finds_is_recorded_once
            parts_are_listed_by_number
            a_part_of_another_epoch_is_refused
            only_an_active_upload_takes_parts
            a_part_of_the_wrong_length_is_refused
            a_recorded_part_slides_the_expiry
            every_writer_gets_an_epoch_of_its_own
            the_size_is_fixed_once
            freezing_needs_every_part
            freezing_needs_the_right_size
            an_empty_upload_can_be_frozen
            an_upload_is_frozen_once
            freezing_is_for_the_current_writer
            freezing_keeps_what_was_decided
            freezing_refuses_a_taken_name
            a_reopened_upload_takes_lost_parts_again
            only_a_completion_is_reopened
            an_upload_becomes_one_file
            an_upload_can_become_a_file_at_once
            publishing_needs_a_freeze
            a_declared_sha256_is_checked_first
            a_file_of_unread_parts_is_read_first
            the_last_completion_keeps_the_name
            a_cancelled_upload_stays_cancelled
            a_frozen_upload_cannot_be_cancelled
            cancelling_and_freezing_exclude_each_other
            only_an_overdue_upload_expires
            overdue_uploads_are_found
            abandoned_completions_are_found
            a_failed_upload_keeps_its_reason
            only_ended_uploads_are_forgotten
            bytes_are_in_use_while_a_record_needs_them
            uploads_are_listed_newest_first
            several_uploads_are_read_at_once
        }
    };
    (blob_records, $($stores:tt)+) => {
        $crate::promises! { @ blob_records, $($stores)+;
            one_place_is_kept
            a_place_without_parts_is_forgotten
            parts_keep_their_tags
            a_file_with_other_tags_is_verified_first
        }
    };
    (file_store, $($stores:tt)+) => {
        $crate::promises! { @ file_store, $($stores)+;
            a_file_of_another_owner_is_not_found
            a_change_leaves_the_rest
            an_old_etag_is_refused
            a_taken_name_is_refused
            a_deleted_file_is_gone
            a_checked_file_becomes_ready
            a_failed_file_says_why
            a_replacement_waits_until_it_is_ready
            files_are_listed_newest_first
            names_are_folded_at_the_delimiter
            files_are_listed_by_state
            several_files_are_read_at_once
        }
    };
    (event_queue, $($stores:tt)+) => {
        $crate::promises! { @ event_queue, $($stores)+;
            what_a_change_causes_is_delivered
            a_delivered_event_is_hidden_for_its_lease
            an_event_is_held_by_one
            at_most_the_limit_is_delivered
            an_acknowledged_event_is_gone
            an_old_receipt_is_worthless
            an_extended_lease_hides_longer
            a_retried_event_comes_again
            a_hopeless_event_is_put_aside
            waiting_ends
        }
    };
    (change_feed, $($stores:tt)+) => {
        $crate::promises! { @ change_feed, $($stores)+;
            every_change_of_an_upload_is_told
            every_change_of_a_file_is_told
            a_file_that_is_gone_is_told
            what_was_refused_is_not_told
            a_record_is_told_once_at_its_newest_change
            each_account_has_a_feed_of_its_own
            waiting_ends
            an_unknown_place_is_refused
            a_place_before_what_is_forgotten_is_refused
        }
    };
    (account_store, $($stores:tt)+) => {
        $crate::promises! { @ account_store, $($stores)+;
            the_operator_has_one_account
            an_address_belongs_to_one_account
            an_invitation_is_good_once
            an_expired_invitation_is_no_good
            the_operators_invitation_gives_an_address
            accounts_are_listed_newest_first
            an_old_etag_is_refused
            a_new_password_ends_other_sessions
            a_suspended_account_has_no_sessions
            a_deleted_account_is_gone
            a_purge_leaves_nothing
            a_deleted_account_opens_nothing
            nothing_is_purged_of_others
        }
    };
    (quotas, $($stores:tt)+) => {
        $crate::promises! { @ quotas, $($stores)+;
            the_last_place_is_taken_once
            the_last_bytes_are_taken_once
            what_ends_gives_its_bytes_back
            a_file_holds_its_size_until_it_is_gone
            a_replaced_file_gives_its_bytes_back
            unknown_sizes_take_bytes_as_they_come
            a_small_quota_is_used_to_its_last_byte
            an_own_limit_comes_first
            a_large_file_is_refused
        }
    };
    (credential_store, $($stores:tt)+) => {
        $crate::promises! { @ credential_store, $($stores)+;
            an_unknown_key_is_nobodys
            the_operator_has_one_key
            a_key_reads_back_and_ends
            an_account_has_so_many_keys
            a_session_is_good_until_it_ends
            a_refresh_token_is_good_once
            parallel_refreshes_make_one_generation
            a_late_reuse_ends_the_session
            an_expired_session_cannot_be_refreshed
            others_sessions_are_out_of_reach
            expired_sessions_are_forgotten
        }
    };
    (signing_key_store, $($stores:tt)+) => {
        $crate::promises! { @ signing_key_store, $($stores)+;
            keys_read_back_newest_first
            a_fresh_key_is_not_followed
            one_of_many_rotates
            superseded_keys_are_forgotten
        }
    };
    (blob_store, $($stores:tt)+) => {
        $crate::promises! { @ blob_store, $($stores)+;
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
    (small_files, $($stores:tt)+) => {
        $crate::promises! { @ small_files, $($stores)+;
            a_small_file_is_like_any_other
            a_file_may_turn_out_to_be_small
            what_needs_no_sealing_is_whole
        }
    };
    (@ $port:ident, $stores:ident = $make:expr => $given:tt; $($promise:ident)+) => {
        mod $port {
            $(
                #[tokio::test]
                async fn $promise() {
                    let $stores = $make.await;
                    $crate::ports::conformance::$port::$promise $given.await;
                }
            )+
        }
    };
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs,
        path::{Path, PathBuf},
    };

    /// A port's module and the name of one of its promises.
    type Promise = (String, String);

    #[test]
    fn every_promise_is_listed() {
        let checked = checked();
        assert!(!checked.is_empty());
        assert_eq!(listed(), checked);
    }

    /// The promises that have a function.
    fn checked() -> BTreeSet<Promise> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ports/conformance");
        let mut promises = BTreeSet::new();
        for source in sources(&folder) {
            let place = source.strip_prefix(&folder).unwrap().with_extension("");
            let port = place.iter().next().unwrap().to_str().unwrap();
            for line in fs::read_to_string(&source).unwrap().lines() {
                if let Some(function) = line.strip_prefix("pub async fn ") {
                    let name = function.split(['(', '<']).next().unwrap();
                    promises.insert((port.to_owned(), name.to_owned()));
                }
            }
        }
        promises
    }

    /// The promises that the macro makes tests of.
    fn listed() -> BTreeSet<Promise> {
        let mut port = "";
        let mut promises = BTreeSet::new();
        for line in include_str!("promises.rs").lines().map(str::trim) {
            if let Some(arm) = line.strip_prefix('(') {
                port = arm.split(',').next().unwrap();
            } else if line.contains('_') && line.chars().all(|c| c == '_' || c.is_alphanumeric()) {
                promises.insert((port.to_owned(), line.to_owned()));
            }
        }
        promises
    }

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let mut sources = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources.extend(self::sources(&path));
            } else {
                sources.push(path);
            }
        }
        sources
    }
}
