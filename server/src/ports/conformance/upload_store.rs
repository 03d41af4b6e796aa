//! Promises of [`UploadStore`](crate::ports::UploadStore).

mod completion;
mod creation;
mod ending;
mod listing;
mod parts;

pub use completion::*;
pub use creation::*;
pub use ending::*;
pub use listing::*;
pub use parts::*;
