//! Running it: settings, start, health, the doctor, poolers, containers, and that nothing tells a secret.

mod confined;
mod doctor;
mod poolers;
mod secrets;
mod settings;
mod waiting;
