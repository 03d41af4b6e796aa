//! The embedded engine, on a real disk, keeps every promise of the ports.

use std::{
    future::{Ready, ready},
    path::Path,
    sync::Arc,
};

use sluice_server::{
    adapters::embedded::{Database, DatabaseOptions, DiskBlobStore, disk::OsDisk},
    ports::BlobStore,
    promises,
    tasks::Tasks,
};
use tempfile::TempDir;

promises! { upload_store, engine = super::engine() => (&*engine.database) }
promises! { blob_records, engine = super::engine() => (&*engine.database, &*engine.database) }
promises! { file_store, engine = super::engine() => (&*engine.database, &*engine.database) }
promises! { event_queue, engine = super::engine() => (&*engine.database, &*engine.database) }
promises! { change_feed,
    engine = super::engine() => (&*engine.database, &*engine.database, &*engine.database)
}
promises! { account_store,
    engine = super::engine() => (&*engine.database, &*engine.database, &*engine.database)
}
promises! { quotas,
    engine = super::engine() => (&*engine.database, &*engine.database, &*engine.database)
}
promises! { credential_store, engine = super::engine() => (&*engine.database, &*engine.database) }
promises! { signing_key_store, engine = super::engine() => (&*engine.database) }
promises! { blob_store, engine = super::engine() => (&engine.blobs, &*engine.database) }
promises! { small_files, engine = super::engine() => (&engine.blobs, &*engine.database) }

struct Engine {
    database: Arc<Database>,
    blobs: Arc<dyn BlobStore>,
    _folder: TempDir,
}

fn engine() -> Ready<Engine> {
    let folder = TempDir::new().expect("a folder can be made");
    let tasks = Tasks::new();
    let options = DatabaseOptions::new(folder.path().join("sluice.db"));
    let database = Database::open(options, tasks.clone()).expect("the database opens");
    let database = Arc::new(database);
    let blobs = blobs(&folder.path().join("blobs"), database.clone(), tasks);
    ready(Engine { database, blobs, _folder: folder })
}

fn blobs(root: &Path, database: Arc<Database>, tasks: Tasks) -> Arc<dyn BlobStore> {
    let disk = Arc::new(OsDisk { direct_io: true });
    let store = DiskBlobStore::open(disk, database, root, 0, tasks);
    Arc::new(store.expect("the store opens"))
}
