//! SQLite's view of the simulated disks: a virtual file system like that of
//! SQLite for Unix, which syncs the same things at the same time.

#![expect(unsafe_code, reason = "SQLite's interface for file systems is one of C")]

use std::{
    ffi::{CStr, OsStr, c_char, c_int, c_void},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr, slice,
    sync::{
        Arc, Once,
        atomic::{AtomicU64, Ordering, fence},
    },
};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_vfs};

use super::{
    coordination::{Busy, Coordination, Holder},
    disk::{Held, SimulatedDisk, lock},
    world::Handle,
};

/// The file system's name.
pub(crate) const VFS: &str = "simulated";
const VFS_C: &CStr = c"simulated";

/// Makes the file system known to SQLite.
pub(crate) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: The structure is never freed, and everything in it is valid.
        // What has nothing to do with files is that of the default file system,
        // which ignores its first argument.
        let outcome = unsafe {
            let default = *ffi::sqlite3_vfs_find(ptr::null());
            ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs(&default))), 0)
        };
        assert_eq!(outcome, ffi::SQLITE_OK, "SQLite takes the file system");
    });
}

fn vfs(default: &sqlite3_vfs) -> sqlite3_vfs {
    sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<OpenFile>() as c_int,
        mxPathname: 512,
        pNext: ptr::null_mut(),
        zName: VFS_C.as_ptr(),
        pAppData: ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
        ..*default
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock_file),
    xUnlock: Some(unlock_file),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(map_index),
    xShmLock: Some(lock_index),
    xShmBarrier: Some(barrier),
    xShmUnmap: Some(unmap_index),
    xFetch: None,
    xUnfetch: None,
};

/// What SQLite allocates for an open file.
#[repr(C)]
struct OpenFile {
    base: sqlite3_file,
    state: *mut State,
}

struct State {
    disk: Arc<SimulatedDisk>,
    file: Handle,
    path: PathBuf,
    holder: Holder,
    shared: Arc<Coordination>,
    /// A new journal: its name is made durable with its first sync.
    is_new_journal: bool,
}

/// The state of a file that SQLite passes in.
///
/// # Safety
/// `file` was opened by [`open`] and not closed yet; SQLite uses no file in two
/// threads at once.
unsafe fn state<'a>(file: *mut sqlite3_file) -> &'a mut State {
    // SAFETY: `open` left a valid state there, which only `close` takes away.
    unsafe { &mut *(*file.cast::<OpenFile>()).state }
}

/// # Safety
/// `name` is a string that ends with a zero.
unsafe fn path<'a>(name: *const c_char) -> &'a Path {
    // SAFETY: as above.
    let name = unsafe { CStr::from_ptr(name) };
    Path::new(OsStr::from_bytes(name.to_bytes()))
}

fn code(outcome: io::Result<()>, failure: c_int) -> c_int {
    match outcome {
        Ok(()) => ffi::SQLITE_OK,
        Err(error) if error.kind() == io::ErrorKind::StorageFull => match failure {
            ffi::SQLITE_IOERR_WRITE => ffi::SQLITE_FULL,
            _ => failure,
        },
        Err(_) => failure,
    }
}

fn busy(outcome: Result<(), Busy>) -> c_int {
    outcome.map_or(ffi::SQLITE_BUSY, |()| ffi::SQLITE_OK)
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    static HOLDERS: AtomicU64 = AtomicU64::new(0);
    const JOURNALS: c_int =
        ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
    let create = flags & ffi::SQLITE_OPEN_CREATE != 0;
    // SAFETY: SQLite gives room for an `OpenFile`, and a name or null.
    unsafe {
        (*file).pMethods = ptr::null();
        let opened = if name.is_null() {
            // A temporary file, which no power failure is interested in.
            let disk = SimulatedDisk::new();
            let file = disk.world().open_temporary();
            Ok((disk, PathBuf::from("temporary"), file))
        } else {
            SimulatedDisk::holding(path(name)).and_then(|(disk, path)| {
                let file = disk.world().open(&path, create)?;
                Ok((disk, path, file))
            })
        };
        let Ok((disk, path, handle)) = opened else { return ffi::SQLITE_CANTOPEN };
        let shared = Arc::clone(lock(&disk.databases).entry(path.clone()).or_default());
        let holder = HOLDERS.fetch_add(1, Ordering::Relaxed);
        let is_new_journal = create && flags & JOURNALS != 0;
        let state = State { disk, file: handle, path, holder, shared, is_new_journal };
        (*file.cast::<OpenFile>()).state = Box::into_raw(Box::new(state));
        (*file).pMethods = &raw const METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, durably: c_int) -> c_int {
    // SAFETY: SQLite passes a name.
    let name = unsafe { path(name) };
    let Ok((disk, path)) = SimulatedDisk::holding(name) else { return ffi::SQLITE_IOERR_DELETE };
    let mut world = disk.world();
    match world.remove(&path) {
        Ok(()) if durably & 1 != 0 => {
            code(world.sync_directory(parent(&path)), ffi::SQLITE_IOERR_DIR_FSYNC)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => ffi::SQLITE_IOERR_DELETE_NOENT,
        outcome => code(outcome, ffi::SQLITE_IOERR_DELETE),
    }
}

unsafe extern "C" fn access(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    _: c_int,
    answer: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes a name and room for the answer.
    unsafe {
        let Ok((disk, path)) = SimulatedDisk::holding(path(name)) else {
            return ffi::SQLITE_IOERR_ACCESS;
        };
        // An empty file counts as none, as it does for SQLite for Unix.
        *answer = disk.world().has_bytes(&path).into();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    size: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite passes a name and room of this size.
    unsafe {
        let length = CStr::from_ptr(name).to_bytes_with_nul().len();
        if length > size as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        ptr::copy_nonoverlapping(name, out, length);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: the state came from a box, and SQLite closes a file once.
    let state = unsafe { Box::from_raw((*file.cast::<OpenFile>()).state) };
    state.shared.unlock(state.holder, ffi::SQLITE_LOCK_NONE);
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    buffer: *mut c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite passes an open file and a buffer of this size.
    let (state, buffer) =
        unsafe { (state(file), slice::from_raw_parts_mut(buffer.cast::<u8>(), amount as usize)) };
    let world = state.disk.world();
    let Ok(content) = world.read(state.file) else { return ffi::SQLITE_IOERR_READ };
    let start = content.len().min(offset as usize);
    let bytes = &content[start..content.len().min(start + buffer.len())];
    let (filled, rest) = buffer.split_at_mut(bytes.len());
    filled.copy_from_slice(bytes);
    rest.fill(0);
    if rest.is_empty() { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite passes an open file and this many bytes.
    let (state, bytes) =
        unsafe { (state(file), slice::from_raw_parts(bytes.cast::<u8>(), amount as usize)) };
    let written = state.disk.world().write(state.file, bytes, offset as u64);
    code(written, ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: SQLite passes an open file.
    let state = unsafe { state(file) };
    let cut = state.disk.world().set_length(state.file, size as u64);
    code(cut, ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: SQLite passes an open file.
    let state = unsafe { state(file) };
    if state.path.to_string_lossy().ends_with("-wal") {
        state.disk.wait_while_held(Held::Log);
    }
    let mut world = state.disk.world();
    let synced = world.sync(state.file);
    if synced.is_ok() && std::mem::take(&mut state.is_new_journal) {
        // SQLite for Unix does not look at the outcome either.
        let _ = world.sync_directory(parent(&state.path));
    }
    code(synced, ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    // SAFETY: SQLite passes an open file and room for the answer.
    unsafe {
        let state = state(file);
        let world = state.disk.world();
        let Ok(content) = world.read(state.file) else { return ffi::SQLITE_IOERR_FSTAT };
        *size = content.len() as sqlite3_int64;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock_file(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite passes an open file.
    let state = unsafe { state(file) };
    busy(state.shared.lock(state.holder, level))
}

unsafe extern "C" fn unlock_file(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite passes an open file.
    let state = unsafe { state(file) };
    state.shared.unlock(state.holder, level);
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, answer: *mut c_int) -> c_int {
    // SAFETY: SQLite passes an open file and room for the answer.
    unsafe { *answer = state(file).shared.is_reserved().into() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn device_characteristics(_: *mut sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn map_index(
    file: *mut sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: SQLite passes an open file and room for the answer. A region
    // stays where it is until the last connection has unmapped it.
    unsafe {
        let state = state(file);
        let region = state.shared.map(state.holder, region as usize, size as usize, extend != 0);
        *out = region.map_or(ptr::null_mut(), |region| region.cast());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock_index(
    file: *mut sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: SQLite passes an open file.
    let state = unsafe { state(file) };
    let slots = first as usize..(first + count) as usize;
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        state.shared.unlock_slots(state.holder, slots);
        return ffi::SQLITE_OK;
    }
    busy(state.shared.lock_slots(state.holder, slots, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0))
}

unsafe extern "C" fn barrier(_: *mut sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn unmap_index(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: SQLite passes an open file.
    let state = unsafe { state(file) };
    state.shared.unmap(state.holder);
    ffi::SQLITE_OK
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
