//! The rows of the tables: which there are, and how each is measured.

mod file;
mod small;

pub(crate) use file::{FOUR_STREAMS, ONE_STREAM, TCP_TO_FILE};
pub(crate) use small::{safely, sluice};

use crate::{
    case::Case,
    choices::{Choices, Section},
};

/// The rows to measure, in the order of the tables.
pub(crate) fn chosen(choices: &Choices) -> Vec<Case> {
    let mut chosen: Vec<Case> = Vec::new();
    for section in choices.sections() {
        let cases = match section {
            Section::Core => file::core(choices).into_iter().chain(small::core(choices)).collect(),
            Section::File => file::all(choices),
            Section::Small => small::all(choices),
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
