//! What a sequence is made of.

use rand::{RngExt, rngs::SmallRng, seq::IndexedRandom};
use sluice_proto::v1::OnConflict;
use sluice_tests::MIB;

/// One of the contents that an upload may get: bytes of another variant are
/// other bytes.
pub(super) type Variant = u8;

/// Sizes that lie around part boundaries.
pub(super) const SIZES: [u64; 7] = [0, 1, 1000, MIB, MIB + 1, 2 * MIB, 2 * MIB + 5];

/// How many names the uploads of a sequence compete for.
pub(super) const NAMES: usize = 3;

/// Something that a client does. Uploads and files are counted in the order of
/// their appearance.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Create(Creation),
    Write { upload: usize, stale: bool, parts: Vec<(u64, Variant)>, end: End },
    Resume { upload: usize },
    Complete(Completion),
    Cancel { upload: usize },
    Update { file: usize, name: Option<usize>, label: Option<u32>, stale: bool },
    Delete { file: usize, stale: bool },
    Read { file: usize, offset: u64, limit: u64 },
    List,
    Restart,
}

/// The body of a creation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Creation {
    pub(super) name: usize,
    pub(super) size: Option<u64>,
    pub(super) request: Option<usize>,
    pub(super) on_conflict: OnConflict,
    /// The variant whose BLAKE3 is declared; only with a size.
    pub(super) declared: Option<Variant>,
}

/// The body of a completion.
#[derive(Debug, Clone)]
pub(super) struct Completion {
    pub(super) upload: usize,
    pub(super) stale: bool,
    pub(super) name: Option<usize>,
    pub(super) on_conflict: Option<OnConflict>,
    pub(super) size: Option<u64>,
    /// Whether a wrong checksum is declared.
    pub(super) wrong_checksum: bool,
}

/// How a stream ends after its whole parts.
#[derive(Debug, Clone)]
pub(super) enum End {
    HalfClose,
    /// A frame at the start of this part with a wrong checksum.
    Damaged(u64),
    /// A frame that is at no boundary.
    Displaced,
    /// A frame after the last possible byte.
    Beyond,
    /// Some bytes of a part, but not all.
    MidPart(u64),
    /// The final size.
    FinalSize(u64),
    /// The beginning of a part and the size that makes it whole.
    ShortLast(u64, u64, Variant),
    Complete,
}

impl Operation {
    /// Draws an operation.
    pub(super) fn draw(rng: &mut SmallRng) -> Self {
        let upload = rng.random_range(0..100);
        let file = rng.random_range(0..100);
        match rng.random_range(0..100) {
            0..20 => Self::Create(Creation::draw(rng)),
            20..52 => Self::Write {
                upload,
                stale: rng.random_ratio(1, 12),
                parts: (0..rng.random_range(0..4)).map(|_| part(rng)).collect(),
                end: End::draw(rng),
            },
            52..57 => Self::Resume { upload },
            57..72 => Self::Complete(Completion::draw(rng, upload)),
            72..76 => Self::Cancel { upload },
            76..82 => Self::Update {
                file,
                name: maybe(rng, |rng| rng.random_range(0..NAMES)),
                label: maybe(rng, |rng| rng.random_range(1..1000)),
                stale: rng.random_ratio(1, 6),
            },
            82..86 => Self::Delete { file, stale: rng.random_ratio(1, 6) },
            86..93 => Self::Read {
                file,
                offset: rng.random_range(0..2 * MIB + 100),
                limit: if rng.random() { 0 } else { rng.random_range(1..3 * MIB) },
            },
            93..97 => Self::List,
            _ => Self::Restart,
        }
    }
}

impl Creation {
    fn draw(rng: &mut SmallRng) -> Self {
        let size = maybe(rng, |rng| *SIZES.choose(rng).expect("not empty"));
        Self {
            name: rng.random_range(0..NAMES),
            size,
            request: maybe(rng, |rng| rng.random_range(0..4)),
            on_conflict: on_conflict(rng),
            // All variants of no bytes are one.
            declared: size
                .filter(|_| rng.random_ratio(1, 4))
                .map(|size| variant(rng) * u8::from(size > 0)),
        }
    }
}

impl Completion {
    fn draw(rng: &mut SmallRng, upload: usize) -> Self {
        let mut rarely = |one_in| rng.random_ratio(1, one_in);
        let (stale, renamed, decided, sized, wrong_checksum) =
            (rarely(12), rarely(5), rarely(5), rarely(5), rarely(12));
        Self {
            upload,
            stale,
            name: renamed.then(|| rng.random_range(0..NAMES)),
            on_conflict: decided.then(|| on_conflict(rng)),
            size: sized.then(|| *SIZES.choose(rng).expect("not empty")),
            wrong_checksum,
        }
    }
}

impl End {
    fn draw(rng: &mut SmallRng) -> Self {
        match rng.random_range(0..16) {
            0..5 => Self::HalfClose,
            5 => Self::Damaged(rng.random_range(1..4)),
            6 => Self::Displaced,
            7 => Self::Beyond,
            8 => Self::MidPart(rng.random_range(1..4)),
            9 => Self::FinalSize(*SIZES.choose(rng).expect("not empty")),
            10..12 => {
                Self::ShortLast(rng.random_range(1..4), rng.random_range(1..2000), variant(rng))
            }
            _ => Self::Complete,
        }
    }
}

fn part(rng: &mut SmallRng) -> (u64, Variant) {
    (rng.random_range(1..4), variant(rng))
}

/// Mostly the same, so that many uploads become files.
fn variant(rng: &mut SmallRng) -> Variant {
    u8::from(rng.random_ratio(1, 8))
}

fn on_conflict(rng: &mut SmallRng) -> OnConflict {
    if rng.random() { OnConflict::Fail } else { OnConflict::Replace }
}

fn maybe<T>(rng: &mut SmallRng, draw: impl FnOnce(&mut SmallRng) -> T) -> Option<T> {
    if rng.random() { Some(draw(rng)) } else { None }
}
