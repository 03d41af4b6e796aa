//! The way of a file from its first byte to the record that names it.

mod bidi;
mod conflicts;
mod creation;
mod digests;
mod foreign;
mod life;
mod sizes;
mod streams;
