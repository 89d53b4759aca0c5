//! How other codecs differ from ours, and who is right.

use quince_codec::{DecodeErrorKind, Version};

use crate::{Disagreement, Foreign, Way};

/// Who is right about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// We are.
    Ours,
    /// The specification leaves it open.
    Both,
}

/// A way in which codecs differ, settled.
#[derive(Debug)]
pub struct Difference {
    /// Its name.
    pub name: &'static str,
}

impl Difference {
    /// Whether the disagreement is of this kind.
    #[must_use]
    pub fn covers(&self, _found: &Disagreement<'_>) -> bool {
        false
    }
}

/// Every difference that is known.
pub const DIFFERENCES: &[Difference] = &[];
