//! The simulated disk, as the server's port for disks and as the home of a
//! database.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use sluice_server::adapters::embedded::disk::{Disk, DiskFile, Space};
use uuid::Uuid;

use super::{
    coordination::Coordination,
    power::{Fault, Lie, Strike},
    vfs::{self, VFS},
    world::{Handle, Loss, World},
};

/// Every disk has a root of its own, `/simulated-<number>`, so that SQLite, which
/// only knows paths, finds the disk that is meant.
static DISKS: LazyLock<Mutex<HashMap<PathBuf, Weak<SimulatedDisk>>>> =
    LazyLock::new(Mutex::default);

/// Bytes of a disk.
const ROOM: u64 = 1 << 40;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Operations that can be held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Syncs of the database's log, and with them all changes.
    Log,
    /// Creating the files of parts, and writing them.
    Parts,
}

/// A disk with a folder for the server's data. It lasts as long as one boot of
/// its machine.
pub(crate) struct SimulatedDisk {
    root: PathBuf,
    world: Mutex<World>,
    /// Bytes that the disk says it has left.
    room: AtomicU64,
    held: Mutex<Option<Held>>,
    released: Condvar,
    /// What the connections to each database share beside its bytes.
    pub(super) databases: Mutex<HashMap<PathBuf, Arc<Coordination>>>,
}

impl SimulatedDisk {
    /// An empty disk.
    pub(crate) fn new() -> Arc<Self> {
        Self::of(World::new())
    }

    fn of(world: World) -> Arc<Self> {
        vfs::register();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = PathBuf::from(format!("/simulated-{number}"));
        let disk = Arc::new(Self {
            root: root.clone(),
            world: world.into(),
            room: AtomicU64::new(ROOM / 2),
            held: Mutex::default(),
            released: Condvar::new(),
            databases: Mutex::default(),
        });
        lock(&DISKS).insert(root, Arc::downgrade(&disk));
        disk
    }

    /// The disk that holds a path, and the path on it.
    pub(super) fn holding(path: &Path) -> io::Result<(Arc<Self>, PathBuf)> {
        let root: PathBuf = path.iter().take(2).collect();
        let disk =
            lock(&DISKS).get(&root).and_then(Weak::upgrade).ok_or(io::ErrorKind::NotFound)?;
        let path = disk.relative(path)?.to_owned();
        Ok((disk, path))
    }

    /// The database file.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("sluice.db")
    }

    /// The folder of the bytes.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Lets the power fail when this many more operations were done.
    pub(crate) fn fail_power_after(&self, operations: u64) {
        self.world().power.fail_after(operations);
    }

    /// Whether the power has failed, or the process was killed.
    pub(crate) fn is_off(&self) -> bool {
        self.world().power.is_off()
    }

    /// Ends every process and answers the disk as the next boot finds it.
    pub(crate) fn crash(&self, loss: Loss) -> Arc<Self> {
        let next = self.world().crash(loss);
        Self::of(next)
    }

    /// Lets operations fail from now on.
    pub(crate) fn set_fault(&self, fault: Fault) {
        self.world().power.set_fault(Some(fault));
    }

    /// Mends the disk. Answers whether the fault's turn had come.
    pub(crate) fn clear_fault(&self) -> bool {
        let mut world = self.world();
        let was_due = world.power.fault_is_due();
        world.power.set_fault(None);
        was_due
    }

    /// What faults have hit.
    pub(crate) fn strikes(&self) -> Vec<Strike> {
        self.world().power.strikes().to_vec()
    }

    /// Lets the disk say that it has so many bytes left.
    pub(crate) fn set_room(&self, bytes: u64) {
        self.room.store(bytes, Ordering::Relaxed);
    }

    /// Leaves out some syncs, on this boot and all later ones.
    pub(crate) fn set_lie(&self, lie: Lie) {
        self.world().power.set_lie(Some(lie));
    }

    /// The names of the files that hold bytes.
    pub(crate) fn blob_names(&self) -> Vec<String> {
        self.world().files_below(Path::new("blobs"))
    }

    /// The uploads whose bytes are in rows of the database.
    pub(crate) fn rows_with_bytes(&self) -> rusqlite::Result<Vec<Uuid>> {
        let flags = OpenFlags::default();
        let database = Connection::open_with_flags_and_vfs(self.database(), flags, VFS)?;
        let mut rows = database.prepare("SELECT upload_id FROM small_contents")?;
        let ids = rows.query_map([], |row| row.get(0).map(Uuid::from_bytes))?;
        ids.collect()
    }

    /// Changes one bit of a file behind everybody's back.
    pub(crate) fn flip_bit(&self, name: &str, bit: u64) {
        let path = Path::new("blobs").join(&name[name.len() - 2..]).join(name);
        self.world().flip_bit(&path, bit).expect("the file is there");
    }

    /// Lets some operations wait.
    pub(crate) fn hold(&self, what: Held) {
        *lock(&self.held) = Some(what);
    }

    /// Lets all operations go on.
    pub(crate) fn release(&self) {
        *lock(&self.held) = None;
        self.released.notify_all();
    }

    pub(super) fn wait_while_held(&self, what: Held) {
        let mut held = lock(&self.held);
        while *held == Some(what) {
            held = self.released.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until every connection to the database is closed: the last one
    /// folds the log in.
    pub(crate) fn wait_until_closed(&self) {
        while lock(&self.databases).values().any(|shared| Arc::strong_count(shared) > 1) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    fn relative<'a>(&self, path: &'a Path) -> io::Result<&'a Path> {
        path.strip_prefix(&self.root).map_err(|_| io::ErrorKind::NotFound.into())
    }

    fn opened(self: Arc<Self>, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let handle = self.world().open(self.relative(path)?, create)?;
        Ok(Arc::new(SimulatedFile { disk: self, handle }))
    }
}

impl Drop for SimulatedDisk {
    fn drop(&mut self) {
        lock(&DISKS).remove(&self.root);
    }
}

/// The port speaks of a shared disk, whose files keep it alive.
pub(crate) struct Port(pub(crate) Arc<SimulatedDisk>);

impl Disk for Port {
    fn open_or_create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.wait_while_held(Held::Parts);
        Arc::clone(&self.0).opened(path, true)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Arc::clone(&self.0).opened(path, false)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.0.world().create_directory(self.0.relative(path)?)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.0.world().sync_directory(self.0.relative(path)?)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.world().remove(self.0.relative(path)?)
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        self.0.world().power.check()?;
        Ok(Space { total: ROOM, available: self.0.room.load(Ordering::Relaxed) })
    }
}

struct SimulatedFile {
    disk: Arc<SimulatedDisk>,
    handle: Handle,
}

impl DiskFile for SimulatedFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.wait_while_held(Held::Parts);
        self.disk.world().write(self.handle, bytes, offset)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let world = self.disk.world();
        let content = world.read(self.handle)?;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let bytes = content.get(start..start + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.world().sync(self.handle)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.world().set_length(self.handle, length)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.world().read(self.handle)?.len() as u64)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
