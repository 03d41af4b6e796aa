//! The file of scenarios, as types.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value};

/// What an SDK must do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// Environment of the server.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, String>,
    /// The client acts for this person, not for the operator.
    pub(crate) person: Option<Person>,
    /// What is there before.
    #[serde(default)]
    pub(crate) files: Vec<ExistingFile>,
    /// Only in long runs.
    #[serde(default)]
    pub(crate) large: bool,
    pub(crate) steps: Vec<Step>,
}

/// Limits of an account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Person {
    pub(crate) max_bytes: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExistingFile {
    pub(crate) name: String,
    pub(crate) size: u64,
}

/// One run of the driver.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) command: Map<String, Value>,
    pub(crate) content: Option<LocalFile>,
    /// Bytes a second in each direction of a connection; 0 is no limit.
    #[serde(default)]
    pub(crate) rate: u64,
    #[serde(default)]
    pub(crate) wait_ms: u64,
    /// The RPC whose first answer is lost.
    pub(crate) lose_answer_of: Option<String>,
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
    pub(crate) expect: Expectation,
}

/// What the local file holds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocalFile {
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) variant: u8,
    /// The same few bytes again and again, so that a frame can be recognised.
    #[serde(default)]
    pub(crate) repeats: bool,
}

/// What happens while the driver runs, counted from the end of the fault before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) after_sent: Option<u64>,
    pub(crate) after_received: Option<u64>,
    /// By what the driver says.
    pub(crate) after_persisted: Option<u64>,
    #[serde(rename = "do")]
    pub(crate) act: Act,
    #[serde(default = "once")]
    pub(crate) times: u32,
    #[serde(default)]
    pub(crate) ms: u64,
    pub(crate) name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    Cut,
    Kill,
    End,
    Stall,
    Damage,
    TakeOver,
    ChangeSource,
    Upload,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    pub(crate) done: Option<Done>,
    pub(crate) error: Option<Refusal>,
    /// Bytes above the size of the content, counted at the network.
    pub(crate) resent_at_most: Option<u64>,
    /// Bytes in all, counted at the network.
    pub(crate) sent_at_most: Option<u64>,
}

/// What a driver says that has done it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Done {
    pub(crate) sent: Option<u64>,
    pub(crate) resumed: Option<u64>,
    pub(crate) resumed_at_least: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) names: Option<Vec<String>>,
    /// Name of the file that is answered.
    pub(crate) file: Option<String>,
    /// The answered link leads to an existing file of this size.
    pub(crate) link_to: Option<u64>,
}

/// What a driver says that was refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refusal {
    pub(crate) kind: String,
    pub(crate) code: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) fields: Option<Vec<String>>,
    pub(crate) transient: Option<bool>,
    /// Whether it names an upload.
    pub(crate) upload_id: Option<bool>,
}

fn once() -> u32 {
    1
}

/// All scenarios that this run plays: the long ones only with `SLUICE_SOAK=1`,
/// and with `SLUICE_SCENARIO` those whose names hold it.
pub(crate) fn all() -> Vec<Scenario> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/scenarios.json");
    let file = fs::read(&path).expect("the scenarios are there");
    let mut all: Vec<Scenario> = serde_json::from_slice(&file).expect("scenarios.json is right");
    let soak = std::env::var("SLUICE_SOAK").is_ok_and(|value| value == "1");
    let wanted = std::env::var("SLUICE_SCENARIO").unwrap_or_default();
    all.retain(|scenario| (soak || !scenario.large) && scenario.name.contains(&wanted));
    assert!(!all.is_empty(), "no scenario has {wanted:?} in its name");
    all
}
