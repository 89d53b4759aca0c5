//! How far an exploration came, as a file: what `--resume` goes on from.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Journal {
    /// The version of the format.
    pub schema: u32,
    /// What was explored.
    pub target: String,
    /// The first seed that was not played.
    pub next_seed: u64,
    /// How many programs were played.
    pub played: u64,
    /// How many failures did not come again.
    pub unstable: u64,
    /// What was found; failures of these kinds are not looked into again.
    pub findings: Vec<Found>,
}

/// One kind of failure that was found.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Found {
    /// The rule that was broken.
    pub kind: String,
    /// The seed that showed it.
    pub seed: u64,
    /// The file of its program.
    pub file: String,
}

impl Journal {
    /// The journal of an exploration that has not begun.
    #[must_use]
    pub fn new(target: String, seed: u64) -> Self {
        Self {
            schema: 1,
            target,
            next_seed: seed,
            played: 0,
            unstable: 0,
            findings: Vec::new(),
        }
    }

    /// Reads a file; `None` if there is none yet.
    ///
    /// # Errors
    /// A file that cannot be read, or is no journal of this format.
    pub fn read(file: &Path) -> Result<Option<Self>, String> {
        let told = |why: String| format!("{}: {why}", file.display());
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(told(error.to_string())),
        };
        let journal: Self =
            serde_json::from_str(&text).map_err(|error| told(format!("no journal: {error}")))?;
        if journal.schema != 1 {
            return Err(told(format!("schema {} is not known", journal.schema)));
        }
        Ok(Some(journal))
    }
}
