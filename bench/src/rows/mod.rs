//! The rows of the tables: which there are, and how each is measured.

pub(crate) mod transport;

pub(crate) mod file;
pub(crate) mod sizes;

mod clients;
pub(crate) mod small;

mod cuts;
pub(crate) mod s3;
pub(crate) mod sdks;

use crate::{
    case::Case,
    choices::{Choices, Section},
    peers::Peers,
};

/// The rows to measure, in the order of the tables.
pub(crate) fn chosen(choices: &Choices, peers: Option<&Peers>) -> Vec<Case> {
    let installed = peers;
    let peers = peers.map(Peers::all).unwrap_or_default();
    let size = choices.size();
    let mut chosen: Vec<Case> = Vec::new();
    for section in choices.sections() {
        let cases = match section {
            Section::Core => file::core(size).into_iter().chain(small::core(choices)).collect(),
            Section::Transport => transport::all(size),
            Section::File => file::all(size, &peers),
            Section::Sizes => sizes::all(size),
            Section::Clients => clients::all(choices, &peers),
            Section::Small => small::all(choices, &peers),
            Section::Cuts => cuts::all(size, &peers),
            Section::Sdks => sdks::all(size, installed),
            Section::S3 if choices.no_peers => Vec::new(),
            Section::S3 => s3::all(size),
            Section::Large => sizes::large(size),
        };
        for case in cases {
            // Sections overlap.
            if !chosen.iter().any(|other| other.group == case.group && other.name == case.name) {
                chosen.push(case);
            }
        }
    }
    chosen
}
