//! Whether a booted server still has everything that was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use rusqlite::{Connection, OpenFlags};
use sluice_domain::{
    BLOCK_SIZE, ByteRange, Crc32c, Error, File, FileState, Part, PartPlan, RangeSet, Reason,
    UploadId, UploadState,
};
use sluice_server::{
    ports::{FileOrder, FileQuery, UploadQuery},
    service::{files, reading, uploads},
};
use uuid::Uuid;

use crate::{
    ledger::{Declared, Entry, Ledger, Stop, broken, lock},
    server::{CALLER, Server},
    simulation::VFS,
};

/// How far the server has come since its boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// It has just been booted.
    Boot,
    /// Its worker has nothing left to do.
    Settled,
}

/// Checks everything.
pub(crate) async fn check(server: &Server, ledger: &Ledger, since: Since) -> Result<(), Stop> {
    check_database(server)?;
    for entry in ledger.entries() {
        let mut snapshot = lock(&entry).clone();
        check_entry(server, &mut snapshot, since).await?;
    }
    if since == Since::Settled {
        check_names(server, ledger).await?;
        check_leftovers(server).await?;
    }
    Ok(())
}

/// Reads every file that must be readable.
pub(crate) async fn check_readable(server: &Server, ledger: &Ledger) -> Result<(), Stop> {
    for entry in ledger.entries() {
        let snapshot = lock(&entry).clone();
        if let Some(file) = snapshot.completed.as_ref().filter(|_| !snapshot.may_be_gone()) {
            let file = server.context.files.file(CALLER.owner, file.id).await;
            let file = expect(server, "a file", file)?;
            if file.state == FileState::Ready {
                read_whole(server, &snapshot, &file).await?;
            }
        }
    }
    Ok(())
}

/// The answer, unless the machine is off or the server has refused what it must
/// not refuse.
pub(crate) fn expect<T>(server: &Server, what: &str, outcome: Result<T, Error>) -> Result<T, Stop> {
    match outcome {
        Ok(value) => Ok(value),
        Err(_) if server.disk.is_off() => Err(Stop::Off),
        Err(error) => broken(format!("{what}: {error}")),
    }
}

fn check_database(server: &Server) -> Result<(), Stop> {
    let flags = OpenFlags::default();
    let verdict = Connection::open_with_flags_and_vfs(server.disk.database(), flags, VFS).and_then(
        |database| {
            database.pragma_query_value(None, "integrity_check", |row| row.get::<_, String>(0))
        },
    );
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(()),
        _ if server.disk.is_off() => Err(Stop::Off),
        verdict => broken(format!("the database is damaged: {verdict:?}")),
    }
}

async fn check_entry(server: &Server, entry: &mut Entry, since: Since) -> Result<(), Stop> {
    let Some(id) = entry.id else { return Ok(()) };
    let store = &server.context.uploads;
    let read = store.persisted(CALLER.owner, id).await;
    let (upload, persisted) = expect(server, "an acknowledged upload", read)?;
    let repeated = uploads::create(&server.context, CALLER, entry.request.clone()).await;
    let repeated = expect(server, "a repeated creation", repeated)?;
    if repeated.upload.id != id {
        return broken(format!("the request of {id} has made {} as well", repeated.upload.id));
    }
    let state = upload.state;
    let contradicted = match state {
        UploadState::Active => {
            entry.check_persisted(&persisted)?;
            entry.completed.is_some() || entry.is_cancelled
        }
        UploadState::Completing => since == Since::Settled || entry.completed.is_some(),
        UploadState::Completed => !entry.tried.complete || entry.is_cancelled,
        UploadState::Cancelled => !entry.tried.cancel || entry.completed.is_some(),
        UploadState::Expired | UploadState::Failed => true,
    };
    if contradicted {
        return broken(format!("{id} is {state:?} ({since:?}), which contradicts {entry:?}"));
    }
    match state {
        UploadState::Active | UploadState::Completing => {
            check_parts(server, id, upload.plan, &persisted, entry).await
        }
        UploadState::Completed => {
            let file = server.context.files.file(CALLER.owner, upload.file_id).await;
            check_file(server, entry, file, since).await
        }
        _ => Ok(()),
    }
}

/// Every recorded part has the bytes that its record says, and that were sent.
async fn check_parts(
    server: &Server,
    id: UploadId,
    plan: PartPlan,
    persisted: &RangeSet,
    entry: &Entry,
) -> Result<(), Stop> {
    let parts = server.context.uploads.parts(CALLER.owner, id, None, u32::MAX).await;
    let parts = expect(server, "the records of parts", parts)?;
    let total: u64 = parts.iter().map(|part| part.size).sum();
    if total != persisted.total() {
        return broken(format!("{id} has {total} bytes in parts and reports {persisted:?}"));
    }
    if parts.is_empty() {
        return Ok(());
    }
    let opened = server.context.blobs.open(id).await;
    let reader = expect(server, "the bytes of a recorded part", opened)?;
    for part in parts {
        let start = plan.start(part.number);
        let range = ByteRange { start, end: start + part.size };
        let bytes = expect(server, "the bytes of a recorded part", reader.read(range).await)?;
        check_record(&part, &bytes).or_else(|()| {
            broken(format!("part {} of {id} is stored with other bytes", part.number))
        })?;
        entry.check_part(part.number, &bytes)?;
    }
    Ok(())
}

fn check_record(part: &Part, bytes: &[u8]) -> Result<(), ()> {
    let blocks: Vec<_> =
        bytes.chunks(usize::try_from(BLOCK_SIZE).expect("small")).map(Crc32c::of).collect();
    let recorded = part.detail.as_ref().map(|detail| &detail.blocks);
    if part.crc32c == Crc32c::of(bytes) && recorded == Some(&blocks) { Ok(()) } else { Err(()) }
}

/// A file is what was sent, and is gone only if somebody wanted that.
async fn check_file(
    server: &Server,
    entry: &Entry,
    file: Result<File, Error>,
    since: Since,
) -> Result<(), Stop> {
    let file = match file {
        Err(error) if error.reason == Reason::FileNotFound && entry.may_be_gone() => return Ok(()),
        file => expect(server, "an acknowledged file", file)?,
    };
    let right = match file.state {
        _ if entry.is_deleted => false,
        FileState::Ready => entry.declared != Declared::Wrong,
        FileState::Processing => since == Since::Boot && entry.declared != Declared::Nothing,
        FileState::Failed => return check_failed(entry, &file),
        FileState::Quarantined => false,
    };
    if !right {
        return broken(format!("{:?} is {:?} ({since:?}): {entry:?}", file.id, file.state));
    }
    if file.state == FileState::Ready { read_whole(server, entry, &file).await } else { Ok(()) }
}

fn check_failed(entry: &Entry, file: &File) -> Result<(), Stop> {
    let reason = file.error.as_ref().map(|failure| failure.reason);
    // A confused stream may have made the file another one than was declared.
    let other_content = entry.parts.values().any(|content| *content == Some(1));
    let wrong = entry.declared == Declared::Wrong
        || entry.declared == Declared::Right && (other_content || entry.has_unknown_content());
    if wrong && reason == Some(Reason::FileChecksumMismatch) {
        return Ok(());
    }
    broken(format!("{:?} has failed with {reason:?}: {entry:?}", file.id))
}

async fn read_whole(server: &Server, entry: &Entry, file: &File) -> Result<(), Stop> {
    let opened = reading::read(&server.context, CALLER, file.id, 0, 0).await;
    let (_, chunks) = expect(server, "opening a file", opened)?;
    let read = chunks.map_ok(|chunk| chunk.data).try_collect::<Vec<_>>().await;
    let bytes = bytes::Bytes::from(expect(server, "reading a file", read)?.concat());
    if bytes.len() as u64 != entry.size || file.size != entry.size {
        return broken(format!("{:?} has {} bytes, not {}", file.id, bytes.len(), entry.size));
    }
    for part in entry.part_numbers() {
        let range = entry.plan().range(part);
        let at = |offset: u64| usize::try_from(offset).expect("small");
        entry.check_part(part, &bytes.slice(at(range.start)..at(range.end)))?;
    }
    let blake3 = *blake3::hash(&bytes).as_bytes();
    if file.checksums.crc32c != Some(Crc32c::of(&bytes)) || file.checksums.blake3 != Some(blake3) {
        return broken(format!("{:?} is recorded with other checksums", file.id));
    }
    Ok(())
}

/// Of several files that wanted one name, the last one has it.
async fn check_names(server: &Server, ledger: &Ledger) -> Result<(), Stop> {
    let mut groups: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in ledger.entries() {
        let entry = lock(&entry).clone();
        groups.entry(entry.request.name.to_string()).or_default().push(entry);
    }
    let query = FileQuery {
        order: FileOrder::Name,
        name_prefix: String::new(),
        delimiter: String::new(),
        states: vec![FileState::Ready],
        created_after: None,
        created_before: None,
        after: None,
        limit: u32::MAX - 1,
    };
    let listed = expect(server, "a list", files::list(&server.context, CALLER, query).await)?;
    let mut readable = BTreeMap::new();
    for file in listed.files {
        let name = file.name.to_string();
        if let Some(other) = readable.insert(name.clone(), file.sequence) {
            return broken(format!("two files are called {name}: {other} and {}", file.sequence));
        }
    }
    for (name, group) in groups {
        let certain = group.iter().all(|e| !e.tried.delete && e.declared == Declared::Nothing);
        let last = group.iter().filter_map(|entry| Some(entry.completed.as_ref()?.sequence)).max();
        if certain && last > readable.get(&name).copied() {
            return broken(format!("completion {last:?} of {name} is not there: {readable:?}"));
        }
    }
    Ok(())
}

/// Nothing is left half done, and no bytes are left without a record.
async fn check_leftovers(server: &Server) -> Result<(), Stop> {
    let context = &server.context;
    let query = UploadQuery { states: vec![UploadState::Completing], after: None, limit: 1 };
    let stuck = uploads::list(context, CALLER, query).await;
    if let [stuck, ..] = expect(server, "a list", stuck)?.uploads.as_slice() {
        return broken(format!("{:?} was not finished", stuck.id));
    }
    if expect(server, "the queue", context.events.dead_count().await)? > 0 {
        return broken("an event could never be handled");
    }
    let files = server.disk.blob_names();
    let files = files.iter().map(|name| Uuid::try_parse(name).expect("the name of a blob"));
    let rows = match server.disk.rows_with_bytes() {
        Ok(rows) => rows,
        Err(_) if server.disk.is_off() => return Err(Stop::Off),
        Err(error) => return broken(format!("the rows of bytes: {error}")),
    };
    let stored: BTreeSet<_> = files.chain(rows).collect();
    for id in stored {
        let id = UploadId::from_uuid(id);
        if !expect(server, "a look-up", context.uploads.blob_in_use(CALLER.owner, id).await)? {
            return broken(format!("the bytes of {id} were left behind"));
        }
    }
    Ok(())
}
