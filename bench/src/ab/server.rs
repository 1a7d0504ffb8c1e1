//! A server process of a comparison: started from a command line, waited for, and stopped for certain.

use rustix::event::{Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Between two looks at a process that starts or stops.
const LOOK: Duration = Duration::from_millis(20);
/// What a command line or url says for the server's port.
const PORT: &str = "{port}";

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("cannot start {command:?}: {error}")]
    Start { command: String, error: std::io::Error },
    #[error("{command:?} ended before it listened on port {port}:\n{log}")]
    Died { command: String, port: u16, log: String },
    #[error(
        "{command:?} does not listen on port {port} after {patience:?} (--patience): does the command use {{port}}?\n{log}"
    )]
    Deaf { command: String, port: u16, patience: Duration, log: String },
    #[error("no free port: {0}")]
    Port(std::io::Error),
}

pub struct Server {
    child: Child,
    command: String,
    port: u16,
    log: PathBuf,
}

impl Server {
    /// Returns once the port accepts.
    pub fn start(command: &str, patience: Duration) -> Result<Self, ServerError> {
        let port = free_port().map_err(ServerError::Port)?;
        let command = command.replace(PORT, &port.to_string());
        let failed = |error| ServerError::Start { command: command.clone(), error };
        let log = std::env::temp_dir().join(format!("ringway-bench-ab-{port}.log"));
        let file = File::create(&log).map_err(failed)?;
        let errors = file.try_clone().map_err(failed)?;
        // The shell takes the line apart and then becomes the server, so that the child is the server.
        let child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .map_err(failed)?;
        let mut server = Self { child, command, port, log };
        server.await_port(patience)?;
        Ok(server)
    }

    fn await_port(&mut self, patience: Duration) -> Result<(), ServerError> {
        let (command, port) = (self.command.clone(), self.port);
        for _ in 0..looks(patience) {
            if TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_ok() {
                return Ok(());
            }
            if self.has_ended() {
                return Err(ServerError::Died { command, port, log: self.last_words() });
            }
            pause();
        }
        Err(ServerError::Deaf { command, port, patience, log: self.last_words() })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A url with the port in its place.
    pub fn fill_in(&self, url: &str) -> String {
        url.replace(PORT, &self.port.to_string())
    }

    /// Asks it to stop, and ends it if it does not.
    pub fn stop(&mut self, patience: Duration) -> Result<(), ServerError> {
        if !self.has_ended() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        for _ in 0..looks(patience) {
            if self.has_ended() {
                return Ok(());
            }
            pause();
        }
        eprintln!("note: {:?} did not stop on SIGTERM within {patience:?}; it is killed", self.command);
        let failed = |error| ServerError::Start { command: self.command.clone(), error };
        self.child.kill().map_err(failed)?;
        self.child.wait().map_err(failed)?;
        Ok(())
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    fn last_words(&self) -> String {
        const LINES: usize = 20;
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Server {
    /// No server outlives the comparison, whatever went wrong.
    fn drop(&mut self) {
        if !self.has_ended() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let _ = std::fs::remove_file(&self.log);
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn looks(patience: Duration) -> u128 {
    patience.as_millis() / LOOK.as_millis() + 1
}

fn pause() {
    let timeout = Timespec { tv_sec: 0, tv_nsec: LOOK.as_nanos() as i64 };
    // An interrupted pause is a short one.
    let _ = poll(&mut [], Some(&timeout));
}
