//! What slow, hostile or too many peers can do to the server: nothing.

mod admission;
mod connections;
mod pace;
