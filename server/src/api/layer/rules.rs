//! What each RPC needs. An RPC without a rule is refused, and a test asks for
//! one for each RPC of the contract.

use sluice_domain::{Error, Reason, Result, Scope};

use crate::service::{Caller, Credential, caller::scope_missing};

/// What a caller must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Nothing.
    Open,
    /// A credential with these scopes.
    Scopes(&'static [Scope]),
    /// The same, or a token for the upload that the call is about, which the
    /// service checks.
    Upload(&'static [Scope]),
}

/// What has other names than the contract's services and needs no credential:
/// whether the server is well, and what it can be asked.
const OPEN: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

impl Rule {
    /// The rule for a path, if there is one.
    pub fn of(path: &str) -> Option<Self> {
        use Scope::{
            AccountRead, AccountWrite, Admin, FilesRead, FilesWrite, UploadsRead, UploadsWrite,
        };
        if OPEN.iter().any(|open| path.starts_with(open)) {
            return Some(Self::Open);
        }
        let (service, method) = path.strip_prefix("/sluice.v1.")?.split_once('/')?;
        Some(match (service, method) {
            ("CapabilitiesService", "GetCapabilities") => Self::Open,
            (
                "AuthService",
                "Register" | "Login" | "RefreshSession" | "Logout" | "StartOAuth" | "CompleteOAuth",
            ) => Self::Open,
            ("AuthService", "IntrospectToken") => Self::Scopes(&[AccountRead]),
            ("AccountService", "GetAccount" | "ListSessions" | "ListApiKeys" | "GetUsage") => {
                Self::Scopes(&[AccountRead])
            }
            (
                "AccountService",
                "UpdateAccount" | "ChangePassword" | "DeleteAccount" | "RevokeSession"
                | "CreateApiKey" | "RevokeApiKey",
            ) => Self::Scopes(&[AccountWrite]),
            (
                "AdminService",
                "ListAccounts" | "SuspendAccount" | "ReinstateAccount" | "SetQuota"
                | "CreateInvitation",
            ) => Self::Scopes(&[Admin]),
            ("UploadService", "CreateUpload" | "ResumeUpload" | "CancelUpload") => {
                Self::Scopes(&[UploadsWrite])
            }
            (
                "UploadService",
                "WriteUpload" | "BidiWriteUpload" | "SignUploadParts" | "ConfirmUploadParts"
                | "CompleteUpload",
            ) => Self::Upload(&[UploadsWrite]),
            ("UploadService", "GetUpload" | "ListUploadParts") => Self::Upload(&[UploadsRead]),
            ("UploadService", "ListUploads") => Self::Scopes(&[UploadsRead]),
            ("FileService", "GetFile" | "ListFiles" | "ReadFile" | "SignDownloadUrl") => {
                Self::Scopes(&[FilesRead])
            }
            ("FileService", "UpdateFile" | "DeleteFile") => Self::Scopes(&[FilesWrite]),
            ("EventService", "WatchEvents") => Self::Scopes(&[UploadsRead, FilesRead]),
            _ => return None,
        })
    }

    /// Refuses a caller who does not have what is needed.
    pub fn check(self, caller: Caller) -> Result<()> {
        let scopes = match (self, caller.credential) {
            (Self::Open, _) | (Self::Upload(_), Credential::UploadToken(..)) => return Ok(()),
            (Self::Scopes(scopes) | Self::Upload(scopes), _) => scopes,
        };
        match scopes.iter().find(|scope| !caller.scopes.has(**scope)) {
            None => Ok(()),
            Some(missing) => Err(scope_missing(*missing)),
        }
    }
}

/// The refusal of what nobody has made a rule for.
pub(super) fn not_offered(path: &str) -> Error {
    let path: String = path.chars().take(200).collect();
    Error::new(Reason::NotSupported, format!("this server has no method {path}"))
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;
    use sluice_proto::FILE_DESCRIPTOR_SET;

    use super::*;

    #[test]
    fn every_rpc_of_the_contract_has_a_rule() {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let mut count = 0;
        for file in set.file.iter().filter(|file| file.package() == "sluice.v1") {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/sluice.v1.{}/{}", service.name(), method.name());
                    assert!(Rule::of(&path).is_some(), "{path} has no rule");
                    count += 1;
                }
            }
        }
        assert!(count > 35, "only {count} methods were found");
        assert_eq!(Rule::of("/sluice.v1.FileService/DeleteEverything"), None);
        assert_eq!(Rule::of("/metrics"), None);
    }
}
