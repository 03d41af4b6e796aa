//! Accounts, sessions, keys and tokens.

use std::time::Duration;

use sluice_domain::{
    Account, AccountStatus, DisplayName, Error, Quota, Result, Scope, Scopes, Usage,
};
use sluice_proto::v1;

use super::{int64, optional_size, time_span, timestamp};
use crate::{
    ports::{ApiKey, Session},
    service::identity::sessions::{IntrospectedKind, Introspection, SessionTokens},
};

/// An account for the caller.
pub(in crate::api) fn account(account: &Account) -> v1::Account {
    let status = match account.status {
        AccountStatus::Active => v1::account::Status::Active,
        AccountStatus::Suspended => v1::account::Status::Suspended,
        AccountStatus::Deleted => v1::account::Status::Unspecified,
    };
    v1::Account {
        id: account.id.to_string(),
        email: account.email.as_ref().map_or_else(String::new, |email| email.as_str().to_owned()),
        display_name: account.display_name.as_str().to_owned(),
        status: status.into(),
        etag: account.etag(),
        create_time: Some(timestamp(account.create_time)),
    }
}

/// A session for the caller.
pub(in crate::api) fn session(session: &Session, is_current: bool) -> v1::Session {
    v1::Session {
        id: session.id.to_string(),
        user_agent: session.user_agent.clone(),
        address: session.address.clone(),
        create_time: Some(timestamp(session.create_time)),
        refresh_time: Some(timestamp(session.refresh_time)),
        expire_time: Some(timestamp(session.expire_time)),
        current: is_current,
    }
}

/// A key for the caller.
pub(in crate::api) fn api_key(key: &ApiKey) -> v1::ApiKey {
    v1::ApiKey {
        id: key.id.to_string(),
        name: key.name.as_str().to_owned(),
        scopes: scope_values(key.scopes),
        create_time: Some(timestamp(key.create_time)),
        expire_time: key.expire_time.map(timestamp),
        last_use_time: key.last_use_time.map(timestamp),
    }
}

/// The tokens of a session for the caller.
pub(in crate::api) fn tokens(tokens: SessionTokens) -> v1::Tokens {
    v1::Tokens {
        access_token: tokens.access_token,
        access_expire_time: Some(timestamp(tokens.access_expire_time)),
        refresh_token: tokens.refresh_token,
        refresh_expire_time: Some(timestamp(tokens.refresh_expire_time)),
        session_id: tokens.session.to_string(),
    }
}

/// What an account holds, for the caller.
pub(in crate::api) fn usage(usage: Usage, quota: Quota) -> v1::Usage {
    v1::Usage {
        stored_bytes: int64(usage.stored_bytes),
        reserved_bytes: int64(usage.reserved_bytes),
        active_uploads: int64(usage.active_uploads),
        quota: Some(v1::Quota {
            max_bytes: quota.max_bytes.map(int64),
            max_active_uploads: quota.max_active_uploads.map(int64),
            max_file_size: quota.max_file_size.map(int64),
        }),
    }
}

/// Limits that the caller sent.
pub(in crate::api) fn quota(quota: Option<v1::Quota>) -> Result<Quota> {
    let quota = quota.unwrap_or_default();
    Ok(Quota {
        max_bytes: optional_size(quota.max_bytes, "quota.max_bytes")?,
        max_active_uploads: optional_size(quota.max_active_uploads, "quota.max_active_uploads")?,
        max_file_size: optional_size(quota.max_file_size, "quota.max_file_size")?,
    })
}

/// What is known of a token, for the caller.
pub(in crate::api) fn introspection(known: Option<Introspection>) -> v1::IntrospectTokenResponse {
    use v1::introspect_token_response::Kind;
    let Some(known) = known else { return v1::IntrospectTokenResponse::default() };
    let kind = match known.kind {
        IntrospectedKind::Access => Kind::AccessToken,
        IntrospectedKind::Refresh => Kind::RefreshToken,
        IntrospectedKind::Upload => Kind::UploadToken,
        IntrospectedKind::ApiKey => Kind::ApiKey,
    };
    v1::IntrospectTokenResponse {
        active: true,
        kind: kind.into(),
        scopes: scope_values(known.scopes),
        expire_time: known.expire_time.map(timestamp),
        subject_id: known.subject,
    }
}

/// Scopes that the caller sent; at least one.
pub(in crate::api) fn scopes(values: &[i32]) -> Result<Scopes> {
    let scope = |(index, value): (usize, &i32)| {
        let known = v1::Scope::try_from(*value).ok().and_then(scope);
        known.ok_or_else(|| Error::invalid_field(format!("scopes[{index}]"), "is not a scope"))
    };
    let scopes: Scopes = values.iter().enumerate().map(scope).collect::<Result<_>>()?;
    if scopes.is_empty() {
        return Err(Error::invalid_field("scopes", "must name at least one scope"));
    }
    Ok(scopes)
}

fn scope(value: v1::Scope) -> Option<Scope> {
    Some(match value {
        v1::Scope::Unspecified => return None,
        v1::Scope::UploadsRead => Scope::UploadsRead,
        v1::Scope::UploadsWrite => Scope::UploadsWrite,
        v1::Scope::FilesRead => Scope::FilesRead,
        v1::Scope::FilesWrite => Scope::FilesWrite,
        v1::Scope::AccountRead => Scope::AccountRead,
        v1::Scope::AccountWrite => Scope::AccountWrite,
        v1::Scope::Admin => Scope::Admin,
    })
}

fn scope_values(scopes: Scopes) -> Vec<i32> {
    let value = |scope| match scope {
        Scope::UploadsRead => v1::Scope::UploadsRead,
        Scope::UploadsWrite => v1::Scope::UploadsWrite,
        Scope::FilesRead => v1::Scope::FilesRead,
        Scope::FilesWrite => v1::Scope::FilesWrite,
        Scope::AccountRead => v1::Scope::AccountRead,
        Scope::AccountWrite => v1::Scope::AccountWrite,
        Scope::Admin => v1::Scope::Admin,
    };
    scopes.iter().map(|scope| value(scope).into()).collect()
}

/// A name that must be there.
pub(in crate::api) fn required_name(text: &str, field: &str) -> Result<DisplayName> {
    let name = DisplayName::parse(text, field)?;
    if name.as_str().is_empty() {
        return Err(Error::invalid_field(field, "must not be empty"));
    }
    Ok(name)
}

/// A span of time that the caller sent: more than zero and at most `most`.
pub(in crate::api) fn ttl(
    value: Option<prost_types::Duration>,
    most: Duration,
) -> Result<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    let span = time_span(value).filter(|span| !span.is_zero() && *span <= most);
    span.map(Some).ok_or_else(|| {
        let most = humantime::format_duration(most);
        Error::invalid_field("ttl", format!("must be more than zero and at most {most}"))
    })
}
