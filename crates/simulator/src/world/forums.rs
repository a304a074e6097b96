//! Supergroups with topics.

use serde::{Deserialize, Serialize};

/// All forums.
#[derive(Default, Serialize, Deserialize)]
pub struct Forums {}
