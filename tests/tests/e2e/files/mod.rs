//! Files once they are there: found, listed, renamed and deleted.

mod changes;
mod listing;
