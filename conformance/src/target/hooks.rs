//! The commands of a target, really run: the broker as a process of ours, or one that somebody else runs.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use super::{
    Configuration, TargetFile,
    group::{self, Group},
};

/// How long a broker may take to end when it is asked to, before it is ended.
const LONGEST_END: Duration = Duration::from_secs(5);
/// How many of the last lines of a command are shown.
const LINES_SHOWN: usize = 10;

/// Why a command of a target did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It cannot be run at all.
    #[error("`{command}` cannot be run: {reason}")]
    Unrunnable {
        /// The command.
        command: String,
        /// The system's reason.
        reason: io::Error,
    },
    /// It failed.
    #[error("`{command}` failed ({status}){words}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// Its last lines.
        words: String,
    },
    /// It was not over in time.
    #[error("`{command}` was not over after {} s{words}", .after.as_secs())]
    Endless {
        /// The command.
        command: String,
        /// How long was waited.
        after: Duration,
        /// Its last lines.
        words: String,
    },
    /// There is no command that could do it.
    #[error("the target file has neither `start` nor `restart`")]
    NoRestart,
}

/// The commands of one target in one configuration, and the broker that they started.
#[derive(Debug)]
pub struct Hooks {
    folder: PathBuf,
    commands: super::Commands,
    environment: Vec<(String, String)>,
    scratch: TempDir,
    broker: Option<Group>,
}

impl Hooks {
    /// The commands of `target` in one of its configurations. They run in the folder of the file, with
    /// [`TargetFile::environment`] and `TARGET_DIRECTORY`, an empty directory of theirs until [`Hooks::end`].
    ///
    /// # Errors
    /// When no directory can be made.
    pub fn new(target: &TargetFile, configuration: &Configuration) -> io::Result<Self> {
        let scratch = tempfile::Builder::new()
            .prefix("quince-target-")
            .tempdir()?;
        let mut environment = target.environment(configuration);
        let directory = scratch.path().display().to_string();
        environment.push(("TARGET_DIRECTORY".to_owned(), directory));
        Ok(Self {
            folder: target.folder.clone(),
            commands: target.commands.clone(),
            environment,
            scratch,
            broker: None,
        })
    }

    /// How long the broker may take until it answers.
    pub const fn patience(&self) -> Duration {
        self.commands.patience
    }

    /// Brings the broker into the configuration, and starts it where that is ours to do.
    ///
    /// # Errors
    /// [`HookError`], with the last lines that the command has said.
    pub async fn begin(&mut self) -> Result<(), HookError> {
        if let Some(command) = self.commands.reconfigure.clone() {
            self.run(&command).await?;
        }
        self.start()
    }

    /// Ends the broker if it still runs, and starts it again.
    ///
    /// # Errors
    /// [`HookError`], with the last lines that the command has said.
    pub async fn restart(&mut self) -> Result<(), HookError> {
        if let Some(command) = self.commands.restart.clone() {
            return self.run(&command).await;
        }
        if self.commands.start.is_none() {
            return Err(HookError::NoRestart);
        }
        self.stop().await;
        self.start()
    }

    /// Ends the broker, if it is ours.
    pub async fn end(mut self) {
        self.stop().await;
    }

    /// What the broker said before it ended by itself; nothing while it runs, and if it is not ours.
    pub fn last_words(&mut self) -> Option<String> {
        let status = self.broker.as_mut()?.ended()?;
        Some(format!("it ended ({status}){}", last_lines(&self.log())))
    }

    fn log(&self) -> PathBuf {
        self.scratch.path().join("output")
    }

    /// A command in its surroundings; what it says goes to a file, so that it never waits for a reader.
    fn command(&self, words: &[String]) -> io::Result<Command> {
        let log = File::options().append(true).create(true).open(self.log())?;
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        // As a shell does: a name with a slash is a path, seen from the folder of the file.
        let beside = self.folder.join(program);
        let program: &Path = if program.contains('/') {
            &beside
        } else {
            Path::new(program)
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(command)
    }

    fn start(&mut self) -> Result<(), HookError> {
        let Some(words) = self.commands.start.clone() else {
            return Ok(());
        };
        let started = self.command(&words).and_then(group::start);
        self.broker = Some(started.map_err(|reason| unrunnable(&words, reason))?);
        Ok(())
    }

    async fn stop(&mut self) {
        if let Some(mut broker) = self.broker.take() {
            broker.ask_to_end();
            // Who does not end by itself, and what it leaves behind, is ended when the group is dropped.
            let _ = timeout(LONGEST_END, broker.wait()).await;
        }
    }

    /// Runs a command to its end.
    async fn run(&self, words: &[String]) -> Result<(), HookError> {
        let spawned = self.command(words).and_then(group::start);
        let mut group = spawned.map_err(|reason| unrunnable(words, reason))?;
        let after = self.commands.patience;
        let Ok(ended) = timeout(after, group.wait()).await else {
            return Err(HookError::Endless {
                command: words.join(" "),
                after,
                words: last_lines(&self.log()),
            });
        };
        let status = ended.map_err(|reason| unrunnable(words, reason))?;
        if status.success() {
            // The broker that it has started stays.
            group.release();
            return Ok(());
        }
        Err(HookError::Failed {
            command: words.join(" "),
            status,
            words: last_lines(&self.log()),
        })
    }
}

fn unrunnable(words: &[String], reason: io::Error) -> HookError {
    HookError::Unrunnable {
        command: words.join(" "),
        reason,
    }
}

/// The last lines of a file, each behind a line break and indented; empty if there are none.
fn last_lines(file: &Path) -> String {
    let text = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
    shown.iter().map(|line| format!("\n    {line}")).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    /// A target in a folder of its own, with these commands, each a line of shell.
    fn hooks(folder: &Path, commands: &str) -> Hooks {
        let text = format!(
            "name = \"a broker\"\n{commands}\nlisteners = [{{ url = \"tcp://127.0.0.1:1\" }}]\n"
        );
        let target = TargetFile::parse("target.toml", &text, folder).expect("it is right");
        Hooks::new(&target, &target.configurations[0]).expect("there is a directory")
    }

    fn folder() -> TempDir {
        tempfile::tempdir().expect("there is a directory")
    }

    /// The lines that commands have written, once there are so many.
    async fn lines(file: &Path, count: usize) -> Vec<String> {
        for _ in 0..500 {
            let text = fs::read_to_string(file).unwrap_or_default();
            if text.lines().count() >= count {
                return text.lines().map(str::to_owned).collect();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} never has {count} lines", file.display());
    }

    /// Waits until no process has that number. A zombie that nobody reaps counts as gone.
    async fn gone(id: &str) {
        for _ in 0..500 {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
            if state.is_empty() || state.starts_with('Z') {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("process {id} still runs");
    }

    #[tokio::test]
    async fn commands_know_configuration_ports_and_directory() {
        let folder = folder();
        let mut hooks = hooks(
            folder.path(),
            r#"reconfigure = ["sh", "-c", "echo $TARGET_CONFIGURATION $TARGET_PORT_TCP >seen; test -d $TARGET_DIRECTORY"]"#,
        );
        hooks.begin().await.expect("it works");
        assert_eq!(lines(&folder.path().join("seen"), 1).await, ["plain 1"]);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_broker_is_started_again_and_ended_with_all_that_it_started() {
        let folder = folder();
        // It does not end when it is asked to, and has a child.
        let mut hooks = hooks(
            folder.path(),
            r#"start = ["sh", "-c", "sleep 600 & echo $$ $! >>seen; wait"]"#,
        );
        let seen = folder.path().join("seen");
        hooks.begin().await.expect("it works");
        let first = lines(&seen, 1).await;
        hooks.restart().await.expect("it works");
        let second = lines(&seen, 2).await;
        for id in first[0].split(' ') {
            gone(id).await;
        }
        assert_eq!(hooks.last_words(), None, "it runs");
        // As a panic does it.
        drop(hooks);
        for id in second[1].split(' ') {
            gone(id).await;
        }
    }

    #[tokio::test]
    async fn a_command_that_fails_or_never_ends_is_told_with_its_words() {
        let folder = folder();
        let failing = r#"restart = ["sh", "-c", "echo no such thing >&2; exit 7"]"#;
        let error = hooks(folder.path(), failing).restart().await;
        let words = error.expect_err("it fails").to_string();
        assert!(words.contains("exit status: 7"), "{words}");
        assert!(words.ends_with("\n    no such thing"), "{words}");

        let endless = "patience_seconds = 0\nrestart = [\"sleep\", \"600\"]";
        let error = hooks(folder.path(), endless).restart().await;
        let words = error.expect_err("it never ends").to_string();
        assert_eq!(words, "`sleep 600` was not over after 0 s");

        let nothing = hooks(folder.path(), "").restart().await;
        let words = nothing.expect_err("there is nothing to run").to_string();
        assert!(words.contains("neither `start` nor `restart`"), "{words}");

        let mut missing = hooks(folder.path(), "start = [\"./no-such-program\"]");
        let words = missing
            .begin()
            .await
            .expect_err("there is none")
            .to_string();
        assert!(
            words.starts_with("`./no-such-program` cannot be run"),
            "{words}"
        );
    }

    #[tokio::test]
    async fn a_broker_that_ends_by_itself_is_heard() {
        let folder = folder();
        let mut hooks = hooks(
            folder.path(),
            r#"start = ["sh", "-c", "echo the port is taken; exit 1"]"#,
        );
        hooks.begin().await.expect("it starts");
        for _ in 0..500 {
            if let Some(words) = hooks.last_words() {
                assert_eq!(words, "it ended (exit status: 1)\n    the port is taken");
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it never ends");
    }
}
