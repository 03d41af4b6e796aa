//! What the caller wants measured.

use std::path::PathBuf;

use clap::{Args, ValueEnum, value_parser};

/// Bytes in a mebibyte.
pub(crate) const MIB: u64 = 1024 * 1024;

/// What to measure, and how often.
#[derive(Debug, Clone, Args)]
pub(crate) struct Choices {
    /// What to measure; may be repeated [default: everything but large]
    #[arg(long = "section", value_name = "SECTION")]
    sections: Vec<Section>,
    /// Rounds; the tables show medians
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Size of the large file, in MiB
    #[arg(long, default_value_t = 1024, value_parser = value_parser!(u64).range(1..))]
    size: u64,
    /// Files of 4 KiB in each round; of larger files there are fewer
    #[arg(long, default_value_t = 2000, value_parser = value_parser!(u32).range(1..))]
    pub(crate) small_files: u32,
    /// Leave out other upload servers, and S3
    #[arg(long)]
    pub(crate) no_peers: bool,
    /// Seed of the order of rows [default: a random one]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Folder on the disk to measure [default: the folder of temporary files]
    #[arg(long, env = "SLUICE_BENCH_DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// The sluice binary [default: the one beside this program]
    #[arg(long, env = "SLUICE_BIN")]
    pub(crate) sluice: Option<PathBuf>,
    /// Write every single number to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the medians into this file, as SVG
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
}

/// A part of the measurements that makes sense alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// What decides about a change: durable uploads of one file in one and in
    /// four streams, files of 4 KiB, and their limits
    Core,
    /// Bytes that nobody keeps
    Transport,
    /// One large file
    File,
    /// Files of 100 MiB for each GiB of the large one, and of its size; how long
    /// completion takes
    Sizes,
    /// 1, 4, 16 and 64 clients
    Clients,
    /// Many files of 4 KiB, 64 KiB, 1 MiB and 8 MiB
    Small,
    /// What is sent twice after connections are cut and clients killed
    Cuts,
    /// One large file by the SDK of each language
    Sdks,
    /// One large file to a store with S3's API, by its SDK and through the engine "aws"
    S3,
    /// A file of ten times the large one's size
    Large,
}

impl Choices {
    /// The sections to measure, each once.
    pub(crate) fn sections(&self) -> Vec<Section> {
        let mut sections = self.sections.clone();
        if sections.is_empty() {
            sections.extend(
                Section::value_variants()
                    .iter()
                    .filter(|section| !matches!(section, Section::Core | Section::Large)),
            );
        }
        sections
    }

    /// Bytes of the large file.
    pub(crate) fn size(&self) -> u64 {
        self.size * MIB
    }

    /// Whether a store with S3's API is needed.
    pub(crate) fn with_storage(&self) -> bool {
        !self.no_peers && self.sections().contains(&Section::S3)
    }

    /// Whether other upload servers are measured.
    pub(crate) fn with_peers(&self) -> bool {
        let alone = |section: &Section| {
            matches!(section, Section::Core | Section::Transport | Section::Large | Section::S3)
        };
        !self.no_peers && !self.sections().iter().all(alone)
    }
}
