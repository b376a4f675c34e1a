//! Packages.

use crate::harness::cases::Case;

pub fn cases() -> Vec<Case> {
    Vec::new()
}
