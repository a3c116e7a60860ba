//! Servers that refuse to run as root: where the tests do, each runs under an account of its own.

use std::path::Path;
use std::process::Command;

/// Whose a server is.
pub struct Account(&'static str);

impl Account {
    /// That account, or nobody's where the machine lacks it.
    pub fn of(usual: &'static str) -> Self {
        let exists = Command::new("id").arg(usual).output().is_ok_and(|output| output.status.success());
        Self(if exists { usual } else { "nobody" })
    }

    /// Gives the folder to the account, with all that is in it.
    pub fn take(&self, folder: &Path) {
        if is_root() {
            run(Command::new("chown").args(["-R", self.0]).arg(folder));
        }
    }

    /// A command of the account's, in the folder.
    pub fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = if is_root() {
            let group = Command::new("id").args(["-gn", self.0]).output().unwrap();
            let mut command = Command::new("setpriv");
            command.args(["--reuid", self.0, "--regid"]).arg(String::from_utf8(group.stdout).unwrap().trim());
            command.arg("--clear-groups").arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(folder);
        command
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

/// Runs a command that has to go well.
pub fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
