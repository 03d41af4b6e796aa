//! Looking at files and changing their records.

use sluice_domain::{Error, File, FileId, Result};

use super::{Caller, Context};
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
