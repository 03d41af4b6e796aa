//! What every refusal promises, whatever was refused.

use sluice_domain::{Error, Reason};
use sluice_server::api::fuzzing;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Details and message together must fit into a caller's header list, of which
/// gRPC libraries take 8 KiB.
const MOST_BYTES: usize = 4096;

/// Checks a refusal by a rule; answers its reason.
pub(crate) fn check_error(error: Error) -> Reason {
    let reason = error.reason;
    let named = !error.violations.is_empty();
    assert_eq!(
        named,
        reason == Reason::InvalidField,
        "fields are named for INVALID_FIELD: {error}"
    );
    assert!(error.violations.iter().all(|it| !it.field.is_empty() && !it.description.is_empty()));
    assert_eq!(check_status(&fuzzing::status(error)), reason);
    reason
}

/// Checks a refusal as the caller sees it; answers its reason.
pub(crate) fn check_status(status: &Status) -> Reason {
    assert!(
        !matches!(status.code(), Code::Ok | Code::Internal | Code::Unknown),
        "no refusal is {:?}: {status:?}",
        status.code()
    );
    assert!(!status.message().is_empty(), "nothing said to people");
    let size = status.details().len() + status.message().len();
    assert!(size < MOST_BYTES, "a refusal of {size} bytes");
    let info = status.get_details_error_info().expect("a refusal has ErrorInfo");
    assert_eq!(info.domain, "sluice.v1");
    Reason::parse(&info.reason).expect("a reason of the contract")
}
