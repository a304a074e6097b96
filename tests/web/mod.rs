//! The portal.

mod pages;
mod visit;
mod words;
