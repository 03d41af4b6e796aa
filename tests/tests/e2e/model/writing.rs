//! What a write stream does to the model.

use sluice_domain::Reason;
use sluice_proto::v1::upload::State;
use sluice_tests::{Frames, MIB};

use super::{
    operation::{End, Variant},
    world::World,
};

/// What the server must answer to a stream.
pub(super) enum Expected {
    /// The stream is taken.
    Taken,
    /// It is refused with this reason.
    Refused(Reason),
    /// It ends with a completion, which is judged on its own.
    Completion,
}

/// The frames of a stream.
pub(super) fn frames(
    world: &World,
    index: usize,
    stale: bool,
    parts: &[(u64, Variant)],
    end: &End,
) -> Frames {
    let upload = &world.uploads[index];
    let epoch = if stale { upload.epoch + 7 } else { upload.epoch };
    let mut frames = Frames::to_epoch(&upload.id, epoch);
    for (number, variant) in parts {
        let start = (number - 1) * MIB;
        let range = start..start + upload.part_length(*number);
        frames = frames.range(&world.content(index, *variant), range);
    }
    match end {
        End::HalfClose => frames,
        End::Damaged(number) => frames.damaged_frame((number - 1) * MIB, "damaged"),
        End::Displaced => frames.frame(1, "x"),
        End::Beyond => frames.frame(upload.size.unwrap_or(10_000 * MIB), "x"),
        End::MidPart(number) => {
            let start = (number - 1) * MIB;
            let some = upload.part_length(*number).saturating_sub(1).min(5000);
            frames.range(&world.content(index, 0), start..start + some)
        }
        End::FinalSize(size) => frames.final_size(*size),
        End::ShortLast(number, length, variant) => {
            let start = (number - 1) * MIB;
            let content = world.content(index, *variant);
            frames.range(&content, start..start + length).final_size(start + length)
        }
        End::Complete => frames.complete(),
    }
}

/// Changes the model as the stream must change the server; answers what the
/// server must say.
pub(super) fn apply(
    world: &mut World,
    index: usize,
    stale: bool,
    parts: &[(u64, Variant)],
    end: &End,
) -> Expected {
    let upload = &mut world.uploads[index];
    if upload.state != State::Active {
        return Expected::Refused(Reason::UploadNotActive);
    }
    if stale {
        return Expected::Refused(Reason::StaleWriter);
    }
    let mut highest = 0;
    for (number, variant) in parts {
        let length = upload.part_length(*number);
        if length == 0 {
            continue;
        }
        match upload.parts.get(number) {
            Some((persisted, _)) if persisted != variant => {
                return Expected::Refused(Reason::ContentConflict);
            }
            _ => upload.parts.insert(*number, (*variant, length)),
        };
        highest = highest.max((number - 1) * MIB + length);
    }
    let persisted_end = upload.end();
    let fits = |size: u64| upload.size.map_or(persisted_end <= size, |known| known == size);
    match end {
        End::HalfClose | End::MidPart(_) => Expected::Taken,
        End::Damaged(number) => {
            let end = (number - 1) * MIB + "damaged".len() as u64;
            if upload.size.is_some_and(|size| end > size) {
                return Expected::Refused(Reason::SizeExceeded);
            }
            Expected::Refused(Reason::ChecksumMismatch)
        }
        End::Displaced if upload.size.is_some_and(|size| size < 2) => {
            Expected::Refused(Reason::SizeExceeded)
        }
        End::Displaced => Expected::Refused(Reason::OffsetMismatch),
        End::Beyond => Expected::Refused(Reason::SizeExceeded),
        End::FinalSize(size) if !fits(*size) => Expected::Refused(Reason::SizeMismatch),
        End::FinalSize(size) => {
            upload.size = Some(*size);
            Expected::Taken
        }
        End::ShortLast(number, length, variant) => {
            short_last(world, index, *number, *length, *variant)
        }
        End::Complete => {
            if upload.size.is_none() && !fits(highest) {
                return Expected::Refused(Reason::SizeMismatch);
            }
            upload.size = upload.size.or(Some(highest));
            Expected::Completion
        }
    }
}

/// A part that is short, followed by the size that would make it whole.
fn short_last(
    world: &mut World,
    index: usize,
    number: u64,
    length: u64,
    variant: Variant,
) -> Expected {
    let upload = &mut world.uploads[index];
    let end = (number - 1) * MIB + length;
    let conflicts = |upload: &super::world::ModelUpload| {
        upload.parts.get(&number).is_some_and(|(persisted, _)| *persisted != variant)
    };
    match upload.size {
        Some(size) if end > size => Expected::Refused(Reason::SizeExceeded),
        Some(size) if end < size && length < upload.part_length(number) => {
            Expected::Refused(Reason::SizeMismatch)
        }
        Some(_) if conflicts(upload) => Expected::Refused(Reason::ContentConflict),
        Some(size) => {
            upload.parts.insert(number, (variant, length));
            if end == size { Expected::Taken } else { Expected::Refused(Reason::SizeMismatch) }
        }
        None if upload.end() > end => Expected::Refused(Reason::SizeMismatch),
        // Whatever is persisted lies in full parts before this one.
        None => {
            upload.size = Some(end);
            upload.parts.insert(number, (variant, length));
            Expected::Taken
        }
    }
}
