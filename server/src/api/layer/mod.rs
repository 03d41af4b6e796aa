//! What surrounds every request; from the outside in: [`log`], [`grpc_only`],
//! [`plain_status`], [`access`]. The stack is put together in `app`.

pub mod access;
pub mod grpc_only;
pub mod log;
pub mod plain_status;
