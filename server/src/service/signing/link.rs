//! What a signed URL says, and its one spelling.
//!
//! A link is the path and the query of a URL. Every value is made of characters
//! that need no encoding, the parameters stand in a fixed order, and the
//! signature comes last, over everything before it: there is exactly one
//! spelling of a link, and no other is read
//! ([ADR 5](../../../../docs/adr/0005-one-spelling-of-a-signed-url.md)).

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sluice_domain::{AccountId, Crc32c, Epoch, FileId, PartNumber, Timestamp, UploadId};

use crate::ports::SigningKeyId;

/// What the paths of all links begin with; the number is the version of their
/// form.
pub const PATH_PREFIX: &str = "/signed/v1/";

/// HMAC-SHA256 of a link.
pub type Signature = [u8; 32];

/// How a browser treats a download.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Disposition {
    /// It saves it.
    #[default]
    Attachment,
    /// It shows it, where that is harmless.
    Inline,
}

/// What whoever has the link may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// Download a file.
    Download(DownloadGrant),
    /// Send a part of an upload.
    Part(PartGrant),
}

impl Grant {
    /// The account that has signed.
    pub fn owner(&self) -> AccountId {
        match self {
            Self::Download(grant) => grant.owner,
            Self::Part(grant) => grant.owner,
        }
    }
}

/// The right to download a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadGrant {
    /// Who owns the file.
    pub owner: AccountId,
    /// The file.
    pub file: FileId,
    /// How a browser treats it.
    pub disposition: Disposition,
}

/// The right to send a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartGrant {
    /// Who owns the upload.
    pub owner: AccountId,
    /// The upload.
    pub upload: UploadId,
    /// The part.
    pub part: PartNumber,
    /// The writer's epoch.
    pub epoch: Epoch,
    /// How many bytes the part has.
    pub size: u64,
    /// The checksum of these bytes.
    pub crc32c: Crc32c,
}

/// A link before it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// What it allows.
    pub grant: Grant,
    /// Seconds since 1970 from which on it does not work any more.
    pub expires: u64,
    /// The key that signs it.
    pub key: SigningKeyId,
}

/// A link as it was received, read but not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedLink<'a> {
    /// What it says.
    pub link: Link,
    /// The text that the signature must be of.
    pub signed: &'a str,
    /// The signature that it has.
    pub signature: Signature,
}

/// The unsigned text: path and query without the signature.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.grant {
            Grant::Download(DownloadGrant { owner, file, disposition }) => {
                let disposition = disposition.as_str();
                write!(f, "{PATH_PREFIX}files/{file}?owner={owner}&disposition={disposition}")?;
            }
            Grant::Part(PartGrant { owner, upload, part, epoch, size, crc32c }) => {
                let epoch = epoch.0;
                write!(f, "{PATH_PREFIX}uploads/{upload}/parts/{part}?owner={owner}")?;
                write!(f, "&epoch={epoch}&size={size}&crc32c={crc32c}")?;
            }
        }
        write!(f, "&expires={}&key={}", self.expires, self.key)
    }
}

impl Link {
    /// The point from which on the link does not work any more.
    pub fn expire_time(&self) -> Timestamp {
        let micros = self.expires.saturating_mul(1_000_000);
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// The whole link.
    pub fn with_signature(&self, signature: &Signature) -> String {
        format!("{self}&signature={}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn parse(text: &str) -> Option<Self> {
        let (path, query) = text.strip_prefix(PATH_PREFIX)?.split_once('?')?;
        let (grant, expires, key) = match path.split('/').collect::<Vec<_>>()[..] {
            ["files", file] => {
                let [owner, disposition, expires, key] =
                    values(query, ["owner", "disposition", "expires", "key"])?;
                let grant = DownloadGrant {
                    owner: AccountId::parse(owner, "owner").ok()?,
                    file: FileId::parse(file, "file_id").ok()?,
                    disposition: Disposition::parse(disposition)?,
                };
                (Grant::Download(grant), expires, key)
            }
            ["uploads", upload, "parts", part] => {
                let [owner, epoch, size, crc32c, expires, key] =
                    values(query, ["owner", "epoch", "size", "crc32c", "expires", "key"])?;
                let grant = PartGrant {
                    owner: AccountId::parse(owner, "owner").ok()?,
                    upload: UploadId::parse(upload, "upload_id").ok()?,
                    part: PartNumber::new(part.parse().ok()?)?,
                    epoch: Epoch(epoch.parse().ok()?),
                    size: size.parse().ok()?,
                    crc32c: Crc32c(u32::from_str_radix(crc32c, 16).ok()?),
                };
                (Grant::Part(grant), expires, key)
            }
            _ => return None,
        };
        Some(Self { grant, expires: expires.parse().ok()?, key: SigningKeyId::parse(key)? })
    }
}

impl<'a> SignedLink<'a> {
    /// Reads the path and the query of a request. Nothing but the one spelling
    /// of a link is read.
    pub fn parse(path_and_query: &'a str) -> Option<Self> {
        let (signed, signature) = path_and_query.rsplit_once("&signature=")?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?.try_into().ok()?;
        let link = Link::parse(signed)?;
        // Leading zeros, signs, upper case: whatever else would read the same.
        (link.to_string() == signed).then_some(Self { link, signed, signature })
    }
}

impl Disposition {
    fn as_str(self) -> &'static str {
        match self {
            Self::Attachment => "attachment",
            Self::Inline => "inline",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Attachment, Self::Inline].into_iter().find(|it| it.as_str() == text)
    }
}

/// The values of exactly these parameters in exactly this order.
fn values<'a, const COUNT: usize>(
    query: &'a str,
    names: [&str; COUNT],
) -> Option<[&'a str; COUNT]> {
    let mut parameters = query.split('&');
    let mut values = [""; COUNT];
    for (value, name) in values.iter_mut().zip(names) {
        *value = parameters.next()?.strip_prefix(name)?.strip_prefix('=')?;
    }
    parameters.next().is_none().then_some(values)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const KEY: SigningKeyId = SigningKeyId([0xab; 8]);

    fn links() -> [Link; 2] {
        let uuid = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001);
        let owner = AccountId::from_uuid(uuid);
        let download = DownloadGrant {
            owner,
            file: FileId::from_uuid(uuid),
            disposition: Disposition::Inline,
        };
        let part = PartGrant {
            owner,
            upload: UploadId::from_uuid(uuid),
            part: PartNumber::new(10_000).unwrap(),
            epoch: Epoch(7),
            size: 1 << 32,
            crc32c: Crc32c(0xab),
        };
        [Grant::Download(download), Grant::Part(part)].map(|grant| Link {
            grant,
            expires: 1_780_000_000,
            key: KEY,
        })
    }

    #[test]
    fn what_was_written_is_read() {
        for link in links() {
            let text = link.with_signature(&[0xfb; 32]);
            let read = SignedLink::parse(&text).unwrap();
            assert_eq!(read.link, link);
            assert_eq!(read.signature, [0xfb; 32]);
            assert_eq!(read.signed, link.to_string());
            assert!(
                text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/?&=-_".contains(&byte)),
                "{text} has characters that somebody may encode"
            );
        }
    }

    #[test]
    fn another_spelling_is_not_read() {
        for link in links() {
            let text = link.with_signature(&[0xfb; 32]);
            let replaced = |from: &str, to: &str| {
                assert!(text.contains(from), "{text} has no {from}");
                text.replacen(from, to, 1)
            };
            let wrong = [
                replaced("expires=1", "expires=01"),
                replaced("expires=1", "expires=+1"),
                replaced("expires=1", "expires=%31"),
                replaced("&expires", "&&expires"),
                replaced("?owner", "?a=b&owner"),
                replaced("?owner", "??owner"),
                replaced("key=ab", "key=AB"),
                replaced("/signed", "//signed"),
                replaced("/v1/", "/v1/./"),
                replaced("/v1/", "/v2/"),
                replaced("/v1/", "/V1/"),
                replaced("&signature=", "&signature=&signature="),
                format!("{text}="),
                format!("{text}&"),
                format!("{text}&signature=AAAA"),
                // The last digit holds two bits that are not of the signature.
                format!("{}t", text.strip_suffix('s').unwrap()),
                text[..text.len() - 1].to_owned(),
                String::new(),
            ];
            for wrong in wrong {
                assert_eq!(SignedLink::parse(&wrong), None, "{wrong} was read");
            }
        }
    }
}
