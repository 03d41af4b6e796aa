//! The engine keeps every promise of the ports.

use sluice_server::promises;

promises! { blob_store,
    engine = crate::engine::Engine::new() => (&engine.blobs, &*engine.database)
}
promises! { small_files,
    engine = crate::engine::Engine::new() => (&engine.blobs, &*engine.database)
}

/// With room for one small part in memory: all others go by the disk.
mod on_disk {
    super::promises! { blob_store,
        engine = crate::engine::Engine::with("part_memory = 8192")
            => (&engine.blobs, &*engine.database)
    }
}

/// As with a store that knows no checksums, behind TLS.
mod unchecked {
    const SETTINGS: &str = "checksums = \"off\"\nsign_payloads = \"never\"";

    super::promises! { blob_store,
        engine = crate::engine::Engine::with(super::SETTINGS) => (&engine.blobs, &*engine.database)
    }
}
