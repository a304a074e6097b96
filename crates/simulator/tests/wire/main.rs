//! The simulator over its real sockets: MTProto through grammers and through raw bytes, the control API through HTTP, and the binary
//! through being killed.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, its helpers too")]

mod client;
mod control;
mod keys;
mod logins;
mod raw;
mod restart;
