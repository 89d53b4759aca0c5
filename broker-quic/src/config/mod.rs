//! The configuration: one TOML file, environment variables over it, flags over both.
//!
//! [`DEFAULT`] is the annotated default, key by key; a broker without a file behaves as if it had that one. A key
//! `name` of section `[section]` can be set by the environment variable `QUINCE_SECTION_NAME`. Whatever is wrong comes
//! back as a [`Problem`] that points at the place where it was set.

mod check;
mod file;
mod sections;
mod source;

use std::path::{Path, PathBuf};

use self::source::Source;
use crate::access::AccessSettings;
use crate::listener::ListenerUrl;
use crate::problem::Problem;
use crate::settings::{ListenerSettings, Settings};

/// The annotated default configuration.
pub const DEFAULT: &str = include_str!("default.toml");

/// Everything that a broker is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Where it listens, and for whom.
    pub listeners: Vec<ListenerSettings>,
    /// Limits.
    pub settings: Settings,
    /// Who may do what.
    pub access: AccessSettings,
}

/// What the command line says; it wins over file and environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Settings as `section.key=VALUE`.
    pub settings: Vec<String>,
    /// Listeners instead of those of the file, unless empty.
    pub listen: Vec<ListenerUrl>,
    /// Lets clients without a name in on every listener that does not say otherwise.
    pub allow_anonymous: bool,
    /// Instead of `access.password_file`.
    pub password_file: Option<PathBuf>,
    /// Instead of `access.acl_file`.
    pub acl_file: Option<PathBuf>,
    /// Instead of `tls.certificate_file`.
    pub certificate: Option<PathBuf>,
    /// Instead of `tls.key_file`.
    pub key: Option<PathBuf>,
    /// Instead of `tls.client_ca_file`.
    pub client_authorities: Option<PathBuf>,
    /// Instead of `tls.client_revocation_files`, unless empty.
    pub client_revocation_lists: Vec<PathBuf>,
}

impl Configuration {
    /// Reads `file` (without one, the default), lays `environment` (names and values of environment variables)
    /// and `flags` over it and checks the whole.
    ///
    /// Relative paths in the file are seen from the file's folder, those in variables and flags from the working folder.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<Self, Problem> {
        let mut source = Source::read(file)?;
        for (name, value) in environment {
            source.overlay(&name, &value)?;
        }
        for setting in &flags.settings {
            source.set(setting)?;
        }
        let format = source.format()?;
        check::configuration(&source, format, flags)
    }
}
