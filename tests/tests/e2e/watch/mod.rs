//! Events of uploads and files, as they happen.

mod changes;
mod resuming;
mod selection;
