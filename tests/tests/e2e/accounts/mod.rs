//! Accounts: nobody gets in where they do not belong.

mod deletion;
mod keys;
mod limits;
mod registration;
mod secrets;
mod sessions;
mod sign_in;
mod standing;
mod tenancy;
mod tokens;
mod upload_tokens;
mod usage;
