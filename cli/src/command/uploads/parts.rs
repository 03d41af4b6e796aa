//! The parts of a file here, as an open upload has them.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use sluice_domain::{ByteRange, PartNumber, PartPlan, RangeSet};
use sluice_sdk::{Client, Crc32c, Upload, v1::DeclaredPart};

use crate::{exit::Exit, failure::Failure, local_tree::unreadable};

/// The most that one call can be about.
pub(super) const AT_A_TIME: usize = 100;

const READ_SIZE: usize = 1024 * 1024;

/// A file whose parts go to an upload.
pub(super) struct PartsHere {
    pub(super) upload: Upload,
    pub(super) size: u64,
    path: PathBuf,
    plan: PartPlan,
}

impl PartsHere {
    /// Finds the upload, and refuses a file of another size.
    pub(super) async fn of(client: &Client, id: &str, path: &Path) -> Result<Self, Failure> {
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if !metadata.is_file() {
            let message = format!("{} has no parts: it is no file", path.display());
            return Err(Failure::usage(message));
        }
        let upload = client.get_upload(id).await.map_err(|error| Failure::from(error).about(id))?;
        let size = metadata.len();
        if let Some(expected) = upload.size.map(i64::cast_unsigned)
            && expected != size
        {
            let path = path.display();
            let message = format!("{path} has {size} bytes, and the upload shall have {expected}");
            return Err(Failure::new(Exit::Corrupt, message));
        }
        let plan = PartPlan { part_size: upload.part_size.cast_unsigned(), size: Some(size) };
        Ok(Self { upload, size, path: path.to_owned(), plan })
    }

    /// The numbers of all parts.
    pub(super) fn all(&self) -> Vec<PartNumber> {
        let numbers = 1..=u32::try_from(self.plan.count(self.size)).unwrap_or(u32::MAX);
        numbers.map_while(PartNumber::new).collect()
    }

    /// The numbers of those that the server lacks.
    pub(super) fn missing(&self) -> Vec<PartNumber> {
        let persisted = self.upload.persisted_ranges.iter().map(|range| ByteRange {
            start: range.start.cast_unsigned(),
            end: range.end.cast_unsigned(),
        });
        let persisted = RangeSet::from_sorted(persisted);
        let mut missing = self.all();
        missing.retain(|part| !persisted.contains(self.range(*part)));
        missing
    }

    /// One part that the command line names.
    pub(super) fn named(&self, number: u32) -> Result<PartNumber, Failure> {
        let all = self.plan.count(self.size);
        PartNumber::new(number).filter(|it| u64::from(it.get()) <= all).ok_or_else(|| {
            let message = format!("there is no part {number}: this upload has {all} in all");
            Failure::usage(message)
        })
    }

    /// Where in the file a part is.
    pub(super) fn range(&self, part: PartNumber) -> ByteRange {
        self.plan.range(part)
    }

    /// Reads parts, to say what their bytes are.
    #[expect(clippy::disallowed_methods, reason = "reading; nothing has to wait for it")]
    pub(super) async fn declare(&self, parts: &[PartNumber]) -> Result<Vec<DeclaredPart>, Failure> {
        let parts: Vec<_> = parts.iter().map(|part| (part.get(), self.range(*part))).collect();
        let path = self.path.clone();
        let read = move || {
            let mut file = File::open(path)?;
            let declared = parts.into_iter().map(|(number, range)| {
                Ok(DeclaredPart {
                    part_number: number.cast_signed(),
                    size: range.len().cast_signed(),
                    crc32c: Some(checksum(&mut file, range)?.0),
                })
            });
            declared.collect::<io::Result<_>>()
        };
        let read = tokio::task::spawn_blocking(read).await;
        let read = read.unwrap_or_else(|error| Err(error.into()));
        read.map_err(|error| unreadable(&self.path, &error))
    }
}

fn checksum(file: &mut File, range: ByteRange) -> io::Result<Crc32c> {
    file.seek(SeekFrom::Start(range.start))?;
    let mut buffer = vec![0; usize::try_from(range.len()).unwrap_or(READ_SIZE).min(READ_SIZE)];
    let (mut crc32c, mut left) = (Crc32c::EMPTY, range.len());
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(READ_SIZE).min(READ_SIZE);
        file.read_exact(&mut buffer[..count])?;
        crc32c = crc32c.combine(Crc32c::of(&buffer[..count]), count as u64);
        left -= count as u64;
    }
    Ok(crc32c)
}

#[cfg(test)]
mod tests {
    use sluice_sdk::v1;

    use super::*;

    const SIZE: u64 = 2 * 1024 * 1024 + 5;

    fn parts(path: &Path) -> PartsHere {
        let persisted = v1::ByteRange { start: 1 << 20, end: 2 << 20 };
        let upload = Upload { persisted_ranges: vec![persisted], ..Upload::default() };
        let plan = PartPlan { part_size: 1 << 20, size: Some(SIZE) };
        PartsHere { upload, size: SIZE, path: path.to_owned(), plan }
    }

    fn numbers(parts: Vec<PartNumber>) -> Vec<u32> {
        parts.into_iter().map(PartNumber::get).collect()
    }

    #[tokio::test]
    async fn parts_are_told_by_number_place_and_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let bytes: Vec<_> = (0..SIZE).map(|at| (at % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        let parts = parts(&path);
        assert_eq!(numbers(parts.all()), [1, 2, 3]);
        assert_eq!(numbers(parts.missing()), [1, 3]);
        assert!(parts.named(0).is_err() && parts.named(4).is_err());
        let last = parts.named(3).unwrap();
        let declared = parts.declare(&[last, PartNumber::FIRST]).await.unwrap();
        let part = |part_number, size, bytes: &[u8]| DeclaredPart {
            part_number,
            size,
            crc32c: Some(Crc32c::of(bytes).0),
        };
        assert_eq!(declared, [part(3, 5, &bytes[2 << 20..]), part(1, 1 << 20, &bytes[..1 << 20])]);
        fs::write(&path, b"short").unwrap();
        assert!(parts.declare(&[last]).await.is_err());
    }
}
