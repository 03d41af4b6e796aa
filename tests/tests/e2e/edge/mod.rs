//! What slow, hostile or too many peers can do to the server: nothing.

mod connections;
mod load;
mod memory;
mod overload;
mod pace;
mod slow;
