//! The queue: ordered, affine, durable jobs on apalis' table. The only place in the product that names apalis.

pub(crate) mod enqueue;
mod statements;
