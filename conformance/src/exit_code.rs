//! The exit codes of `quince-conformance`, and what leads to each.
//!
//! | code | when |
//! |---|---|
//! | 0 | no MUST-level failure outside the baseline |
//! | 1 | a MUST-level failure or inconclusive outside the baseline, a baseline entry that passes, a target on which not one MUST-level scenario passed, or a proof that failed |
//! | 2 | wrong usage or a broken file |
//! | 3 | nothing answers CONNECT on a target within 10 s of the start, any verdict is `error`, or the run was interrupted; 3 wins over 1 |

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// Nothing to complain about.
    Clean,
    /// The target deviates, or the baseline is out of date.
    Deviation,
    /// Wrong usage or a broken file.
    Usage,
    /// Nothing can be said about the target.
    NoVerdict,
}

impl ExitCode {
    /// What it says of a run, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Clean => "conforms",
            Self::Deviation => "does not conform",
            Self::Usage | Self::NoVerdict => "no verdict",
        }
    }
}

/// What a run found, as far as it decides the exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// MUST-level results outside the baseline that failed or are inconclusive.
    pub deviations: usize,
    /// Baseline entries that pass.
    pub stale_entries: usize,
    /// Targets on which MUST-level scenarios were to be played and not one passed.
    pub barren_targets: usize,
    /// Targets that did not answer CONNECT.
    pub silent_targets: usize,
    /// Results that are the suite's own fault.
    pub errors: usize,
    /// Whether the run was ended before everything was played.
    pub interrupted: bool,
}

impl Findings {
    /// The exit code that these findings lead to.
    pub const fn exit_code(self) -> ExitCode {
        if self.silent_targets > 0 || self.errors > 0 || self.interrupted {
            ExitCode::NoVerdict
        } else if self.deviations > 0 || self.stale_entries > 0 || self.barren_targets > 0 {
            ExitCode::Deviation
        } else {
            ExitCode::Clean
        }
    }
}

impl ExitCode {
    /// The number that the process ends with.
    pub const fn number(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Deviation => 1,
            Self::Usage => 2,
            Self::NoVerdict => 3,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_has_its_exit_code_and_3_wins_over_1() {
        let none = Findings::default();
        for (findings, number) in [
            (none, 0),
            (
                Findings {
                    deviations: 1,
                    ..none
                },
                1,
            ),
            (
                Findings {
                    stale_entries: 1,
                    ..none
                },
                1,
            ),
            (
                Findings {
                    barren_targets: 1,
                    ..none
                },
                1,
            ),
            (
                Findings {
                    silent_targets: 1,
                    ..none
                },
                3,
            ),
            (Findings { errors: 1, ..none }, 3),
            (
                Findings {
                    interrupted: true,
                    ..none
                },
                3,
            ),
            (
                Findings {
                    deviations: 1,
                    silent_targets: 1,
                    ..none
                },
                3,
            ),
            (
                Findings {
                    barren_targets: 2,
                    errors: 1,
                    ..none
                },
                3,
            ),
        ] {
            assert_eq!(findings.exit_code().number(), number, "{findings:?}");
        }
        assert_eq!(ExitCode::Usage.number(), 2);
    }
}
