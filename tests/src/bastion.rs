//! OpenSSH's own server, on this machine: it lets whoever has its key connect to one port, and to no other.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Runs until it is dropped.
pub struct Bastion {
    folder: TempDir,
    port: u16,
    server: Child,
}

impl Bastion {
    /// One that connects to a port of this machine.
    pub async fn to(port: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        for name in ["host", "guest", "stranger"] {
            generate(
                &folder.path().join(name),
                &["-t", "ed25519", "-N", if name == "guest" { "open sesame" } else { "" }],
            );
        }
        std::fs::copy(file("guest.pub"), file("authorized")).unwrap();
        // Where it runs as root it wants a folder of its own.
        let _ = std::fs::create_dir("/run/sshd");
        let own = crate::port::for_a_program();
        let config = format!(
            "Port {own}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nPermitOpen 127.0.0.1:{port}\n",
            file("host"),
            file("authorized"),
        );
        std::fs::write(file("config"), config).unwrap();
        let log = std::fs::File::create(file("log")).unwrap();
        let server = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &file("config")])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("OpenSSH's server starts; scripts/install-test-tools.sh installs it");
        let bastion = Self { folder, port: own, server };
        crate::eventually("OpenSSH's server", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", own)).await.is_ok().then_some(())
        })
        .await;
        bastion
    }

    /// What its key is known by, as `ssh-keygen` prints it.
    pub fn fingerprint(&self) -> String {
        let printed = Command::new("ssh-keygen").arg("-lf").arg(self.file("host.pub")).output().unwrap();
        String::from_utf8(printed.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    /// Its key, as a line of `known_hosts`.
    pub fn known_host(&self) -> String {
        let key = std::fs::read_to_string(self.file("host.pub")).unwrap();
        format!("[127.0.0.1]:{} {key}", self.port)
    }

    /// Puts it in front of a source, to which nothing is known of its key.
    pub fn before(&self, mut source: Value) -> Value {
        source["use_ssh_tunnel"] = json!(true);
        source["ssh_host"] = json!("127.0.0.1");
        source["ssh_port"] = json!(self.port);
        source["ssh_username"] = json!(user());
        source["credentials"]["ssh_private_key"] = json!(std::fs::read_to_string(self.file("guest")).unwrap());
        source["credentials"]["ssh_passphrase"] = json!("open sesame");
        source
    }

    /// A key that it does not know.
    pub fn strange_key(&self) -> String {
        std::fs::read_to_string(self.file("stranger")).unwrap()
    }

    /// Lets in whoever has a key of RSA, as older ones do; answers it.
    pub fn rsa_key(&self) -> String {
        let key = self.file("rsa");
        generate(&key, &["-t", "rsa", "-b", "2048", "-N", "", "-m", "PEM"]);
        std::fs::copy(self.file("rsa.pub"), self.file("authorized")).unwrap();
        std::fs::read_to_string(key).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Bastion {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn generate(file: &Path, options: &[&str]) {
    let made = Command::new("ssh-keygen").arg("-q").args(options).arg("-f").arg(file).status().unwrap();
    assert!(made.success(), "ssh-keygen made no key");
}

fn user() -> String {
    let printed = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(printed.stdout).unwrap().trim().to_owned()
}
