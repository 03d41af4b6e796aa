//! Looking at files and changing their records.

use std::time::Duration;

use sluice_domain::{Error, File, FileId, Result, Timestamp};

use super::{
    Caller, Context,
    signing::{
        MAX_TTL,
        link::{Disposition, DownloadGrant, Grant},
    },
};
use crate::ports::{FileChange, FileOrder, FilePage, FileQuery};

/// Reads a file's record.
pub async fn get(context: &Context, caller: Caller, id: FileId) -> Result<File> {
    context.files.file(caller.owner, id).await
}

/// Lists files, in the orders that every engine serves from an index.
pub async fn list(context: &Context, caller: Caller, query: FileQuery) -> Result<FilePage> {
    let needs = |field: &str, order: &str| {
        Err(Error::invalid_field(field, format!("needs order_by {order}")))
    };
    match query.order {
        FileOrder::CreateTime if !query.name_prefix.is_empty() => needs("name_prefix", "NAME"),
        FileOrder::CreateTime if !query.delimiter.is_empty() => needs("delimiter", "NAME"),
        FileOrder::Name if query.created_after.is_some() => needs("created_after", "CREATE_TIME"),
        FileOrder::Name if query.created_before.is_some() => needs("created_before", "CREATE_TIME"),
        _ => context.files.list_files(caller.owner, query).await,
    }
}

/// Changes a file's record.
pub async fn update(
    context: &Context,
    caller: Caller,
    id: FileId,
    etag: String,
    change: FileChange,
) -> Result<File> {
    context.files.update_file(caller.owner, id, etag, change).await
}

/// Removes a file; its bytes follow soon.
pub async fn delete(context: &Context, caller: Caller, id: FileId, etag: String) -> Result<()> {
    context.files.delete_file(caller.owner, id, etag, context.clock.now()).await
}

/// Signs a URL with which anybody can download a readable file for `ttl`.
/// Answers when it stops working, too.
pub async fn sign_download(
    context: &Context,
    caller: Caller,
    id: FileId,
    ttl: Duration,
    disposition: Disposition,
) -> Result<(String, Timestamp)> {
    if ttl.is_zero() || ttl > MAX_TTL {
        let days = MAX_TTL.as_secs() / (24 * 60 * 60);
        let rule = format!("must be more than zero and at most {days} days");
        return Err(Error::invalid_field("ttl", rule));
    }
    context.files.file(caller.owner, id).await?.check_ready()?;
    let grant = DownloadGrant { owner: caller.owner, file: id, disposition };
    context.signing.sign(Grant::Download(grant), ttl).await
}
