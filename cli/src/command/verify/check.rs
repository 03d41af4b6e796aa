//! One file: its bytes here, its bytes there, and the checksums that were
//! recorded when it came.

use std::sync::Arc;

use sluice_sdk::{CancellationToken, Client, Crc32c, File, v1::file::State};

use crate::{
    exit::Exit,
    failure::Failure,
    gate::Gate,
    local_file::{Digest, digest_of},
    local_tree::LocalFile,
    progress::Board,
};

/// A file on one side or on both.
pub(super) struct Subject {
    pub(super) local: Option<LocalFile>,
    pub(super) file: Option<File>,
}

/// What was found out.
pub(super) enum Finding {
    /// Everything is as it should be.
    Sound {
        size: u64,
    },
    Wrong(Failure),
    /// The command was stopped meanwhile.
    Stopped,
}

#[derive(Clone)]
pub(super) struct Checker<'a> {
    pub(super) client: &'a Client,
    /// Whether to read what the server has.
    pub(super) deep: bool,
    pub(super) board: Arc<Board>,
    pub(super) gate: Arc<Gate>,
}

impl Subject {
    pub(super) fn name(&self) -> &str {
        match (&self.file, &self.local) {
            (Some(file), _) => &file.name,
            (None, Some(local)) => &local.name,
            (None, None) => "",
        }
    }
}

impl Checker<'_> {
    pub(super) async fn check(&self, subject: &Subject, stop: &CancellationToken) -> Finding {
        let check = self.compare(subject);
        match stop.run_until_cancelled(check).await {
            None => Finding::Stopped,
            Some(Ok(size)) => Finding::Sound { size },
            Some(Err(failure)) => Finding::Wrong(failure.about(subject.name())),
        }
    }

    async fn compare(&self, subject: &Subject) -> Result<u64, Failure> {
        let Some(file) = &subject.file else {
            let message = format!("{} is not on the server", subject.name());
            return Err(Failure::new(Exit::NotFound, message));
        };
        let mut pass = self.gate.enter().await;
        let size = file.size.cast_unsigned();
        self.board.expect(size);
        let row = self.board.row(&file.name, Some(size));
        match file.state() {
            State::Ready => {}
            State::Processing => {
                let message = "the server is still looking at its content";
                return Err(Failure::new(Exit::Temporary, message).hint("try again later"));
            }
            _ => {
                let why = file.error.as_ref().map_or("it cannot be read", |why| &why.message);
                return Err(Failure::new(Exit::Corrupt, format!("{}: {why}", file.name)));
            }
        }
        if let Some(local) = &subject.local {
            let here = digest_of(&local.path).await?;
            compare(&here, file).map_err(|what| {
                let path = local.path.display();
                differs(format!("{path} is not what the server has as {}: {what}", file.name))
            })?;
        }
        if self.deep {
            let there = self.read(file, |done| row.at(done)).await?;
            compare(&there, file).map_err(|what| {
                differs(format!("{}: what the server has is not what came: {what}", file.name))
            })?;
        }
        row.done(size);
        pass.moved(size);
        Ok(size)
    }

    async fn read(&self, file: &File, at: impl Fn(u64)) -> Result<Digest, Failure> {
        let mut reader = self.client.read(&file.id, ..);
        let (mut size, mut crc32c, mut hasher) = (0, Crc32c::EMPTY, blake3::Hasher::new());
        while let Some(chunk) = reader.chunk().await? {
            let length = chunk.len() as u64;
            crc32c = crc32c.combine(Crc32c::of(&chunk), length);
            hasher.update(&chunk);
            size += length;
            at(size);
        }
        Ok(Digest { size, crc32c, blake3: hasher.finalize() })
    }
}

/// What about these bytes is not what was recorded.
fn compare(digest: &Digest, file: &File) -> Result<(), String> {
    let size = file.size.cast_unsigned();
    if digest.size != size {
        return Err(format!("{} bytes instead of {size}", digest.size));
    }
    let recorded = file.checksums.clone().unwrap_or_default();
    let Some(crc32c) = recorded.crc32c else {
        return Err("the server has no checksum of it".into());
    };
    if Crc32c(crc32c) != digest.crc32c {
        return Err(format!("CRC-32C {:08x} instead of {crc32c:08x}", digest.crc32c.0));
    }
    if !recorded.blake3.is_empty() && recorded.blake3[..] != digest.blake3.as_bytes()[..] {
        return Err("another BLAKE3".into());
    }
    Ok(())
}

fn differs(message: String) -> Failure {
    Failure::new(Exit::Corrupt, message)
}

#[cfg(test)]
mod tests {
    use sluice_sdk::v1::ObjectChecksums;

    use super::*;

    #[test]
    fn each_checksum_counts() {
        let digest = |bytes: &[u8]| Digest {
            size: bytes.len() as u64,
            crc32c: Crc32c::of(bytes),
            blake3: blake3::hash(bytes),
        };
        let file = |blake3: &[u8]| File {
            size: 3,
            checksums: Some(ObjectChecksums {
                crc32c: Some(Crc32c::of(b"abc").0),
                blake3: blake3.to_vec().into(),
                ..Default::default()
            }),
            ..File::default()
        };
        let right = file(blake3::hash(b"abc").as_bytes());
        assert_eq!(compare(&digest(b"abc"), &right), Ok(()));
        assert_eq!(compare(&digest(b"abc"), &file(&[])), Ok(()));
        assert!(compare(&digest(b"abd"), &right).unwrap_err().starts_with("CRC-32C"));
        assert!(compare(&digest(b"abcd"), &right).unwrap_err().starts_with("4 bytes"));
        assert!(compare(&digest(b"abc"), &file(&[7; 32])).unwrap_err().contains("BLAKE3"));
        assert!(compare(&digest(b"abc"), &File { size: 3, ..File::default() }).is_err());
    }
}
