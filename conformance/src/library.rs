//! The scenarios that are part of the binary.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    catalogue::Catalogue,
    runner::Job,
    scenario::{self, FileError, Scenario},
};

/// Every file below `conformance/scenarios`: name and text, in the order of the names.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// The scenarios, in the order of their files.
#[derive(Clone, Debug)]
pub struct Library {
    scenarios: Vec<Arc<Scenario>>,
}

/// Why the scenarios cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file is broken.
    #[error("{0}")]
    File(Box<FileError>),
    /// Two scenarios have one slug.
    #[error("the scenario `{slug}` stands in {first} and in {second}")]
    Twice {
        /// The slug.
        slug: String,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
}

impl Library {
    /// Reads the scenarios that are part of the binary.
    ///
    /// # Errors
    /// [`LibraryError`] for the first file that is broken.
    pub fn embedded() -> Result<Self, LibraryError> {
        Self::from_files(FILES.iter().copied())
    }

    /// Reads scenarios from files, given by name and text.
    ///
    /// # Errors
    /// [`LibraryError`] for the first file that is broken.
    pub fn from_files<'a>(
        files: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, LibraryError> {
        let mut by_slug: BTreeMap<String, String> = BTreeMap::new();
        let mut scenarios = Vec::new();
        for (file, text) in files {
            let parsed = scenario::parse(file, text, Catalogue::embedded())
                .map_err(|error| LibraryError::File(Box::new(error)))?;
            for scenario in parsed {
                if let Some(first) = by_slug.insert(scenario.slug.clone(), file.to_owned()) {
                    let slug = scenario.slug;
                    return Err(LibraryError::Twice {
                        slug,
                        first,
                        second: file.to_owned(),
                    });
                }
                scenarios.push(Arc::new(scenario));
            }
        }
        Ok(Self { scenarios })
    }

    /// The scenarios, in the order of their files.
    pub fn scenarios(&self) -> &[Arc<Scenario>] {
        &self.scenarios
    }

    /// The scenario with that slug, or the one that has this case.
    pub fn scenario(&self, id: &str) -> Option<&Arc<Scenario>> {
        self.scenarios.iter().find(|scenario| {
            scenario.slug == id || scenario.cases.iter().any(|case| scenario.id(case) == id)
        })
    }

    /// The text of the file that a scenario stands in.
    pub fn source(&self, scenario: &Scenario) -> Option<&'static str> {
        FILES
            .iter()
            .find(|(name, _)| *name == scenario.file)
            .map(|(_, text)| *text)
    }

    /// The ids of all cases.
    pub fn ids(&self) -> impl Iterator<Item = String> {
        let cases = |scenario: &Arc<Scenario>| -> Vec<String> {
            scenario
                .cases
                .iter()
                .map(|case| scenario.id(case))
                .collect()
        };
        self.scenarios.iter().flat_map(cases)
    }

    /// The jobs that a selection leaves, in order.
    pub fn jobs(&self, selection: &Chosen) -> Vec<Job> {
        let mut jobs = Job::all(&self.scenarios, &selection.versions);
        jobs.retain(|job| {
            selection
                .text
                .as_ref()
                .is_none_or(|text| job.id().contains(text.as_str()))
                && selection
                    .statement
                    .is_none_or(|id| job.statements().iter().any(|has| has == id))
        });
        jobs
    }
}

/// A selection that has been checked.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The versions to play, oldest first.
    pub versions: Vec<quince_codec::Version>,
    /// What the id must contain.
    pub text: Option<String>,
    /// The statement that must be judged.
    pub statement: Option<&'static str>,
}
