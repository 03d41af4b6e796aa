//! Signed URLs: what anybody may send, before the signature is checked.

use sluice_domain::{AccountId, Crc32c, Epoch, FileId, PartNumber, UploadId};
use sluice_server::{
    ports::SigningKeyId,
    service::signing::link::{
        Disposition, DownloadGrant, Grant, Link, PartGrant, Signature, SignedLink,
    },
};
use uuid::Uuid;

use crate::input::take;

/// Takes any text as a link, and makes links of anything.
pub fn check(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && let Some(read) = SignedLink::parse(text)
    {
        assert_eq!(read.link.with_signature(&read.signature), text, "a second spelling");
        assert!(text.starts_with(read.signed), "signed is what was sent");
    }
    make(input);
}

/// Any link is read as what it was made of, and no text beside it is.
fn make(mut input: &[u8]) {
    let [kind] = take(&mut input);
    let owner = AccountId::from_uuid(Uuid::from_bytes(take(&mut input)));
    let id = Uuid::from_bytes(take(&mut input));
    let number = u32::from_le_bytes(take(&mut input));
    let grant = match PartNumber::new(number) {
        Some(part) if kind & 1 == 1 => Grant::Part(PartGrant {
            owner,
            upload: UploadId::from_uuid(id),
            part,
            epoch: Epoch(u64::from_le_bytes(take(&mut input))),
            size: u64::from_le_bytes(take(&mut input)),
            crc32c: Crc32c(u32::from_le_bytes(take(&mut input))),
        }),
        _ => Grant::Download(DownloadGrant {
            owner,
            file: FileId::from_uuid(id),
            disposition: match kind & 2 {
                0 => Disposition::Attachment,
                _ => Disposition::Inline,
            },
        }),
    };
    let expires = u64::from_le_bytes(take(&mut input));
    let link = Link { grant, expires, key: SigningKeyId(take(&mut input)) };
    let signature: Signature = take(&mut input);
    let text = link.with_signature(&signature);
    let Some(read) = SignedLink::parse(&text) else {
        // Ids of other versions are nobody's.
        return;
    };
    assert_eq!((read.link, read.signature), (link, signature), "{text}");
    let [at, other] = take(&mut input);
    let mut changed = text.clone().into_bytes();
    let at = usize::from(at) % changed.len();
    if changed[at] != other
        && let Ok(changed) = String::from_utf8({
            changed[at] = other;
            changed
        })
        && let Some(read) = SignedLink::parse(&changed)
    {
        assert_ne!((read.link, read.signature), (link, signature), "{changed} says the same");
    }
}
