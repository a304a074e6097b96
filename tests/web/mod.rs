//! The portal.

mod pages;
mod queue_pages;
mod visit;
mod words;
