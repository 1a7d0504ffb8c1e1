//! A real server process on free ports, ended by its id when the test ends, whatever the test's end.

use super::metrics::{Metrics, descriptor_count};
use super::wait::{PATIENCE, wait_until};
use ringway::sys::clock;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug)]
pub struct Server {
    pub public: SocketAddr,
    pub internal: SocketAddr,
    child: Child,
    /// Holds configuration, ready file and log.
    folder: PathBuf,
    /// Descriptors that it holds with no client.
    idle_descriptor_count: usize,
}

impl Server {
    /// Starts `ringway serve` with this TOML behind the addresses and one core, so that a canary shares it with the attack.
    pub fn start(config: &str) -> Self {
        Self::start_on(1, config)
    }

    pub fn start_on(cores: usize, config: &str) -> Self {
        Self::launch(cores, Some(config), Command::new(env!("CARGO_BIN_EXE_ringway")))
    }

    /// In development mode, without a file.
    pub fn develop() -> Self {
        Self::launch(1, None, Command::new(env!("CARGO_BIN_EXE_ringway")))
    }

    /// On one core, with so many descriptors and no way to more.
    pub fn start_with_descriptors(count: u32, config: &str) -> Self {
        let mut command = Command::new("sh");
        let limit = format!("ulimit -n {count} && exec \"$0\" \"$@\"");
        command.args(["-c", &limit, env!("CARGO_BIN_EXE_ringway")]);
        Self::launch(1, Some(config), command)
    }

    /// With what shall fail: plans of `ringway::failpoint`.
    pub fn start_failing(cores: usize, plans: &str, config: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
        command.env(ringway::failpoint::VARIABLE, plans);
        Self::launch(cores, Some(config), command)
    }

    /// On one core, by a command that runs the binary with further arguments.
    pub fn start_by(command: Command, config: &str) -> Self {
        Self::launch(1, Some(config), command)
    }

    /// However the command starts it, with this driver.
    pub fn start_as(driver: &str, command: Command, config: &str) -> Self {
        Self::launch_with(driver, 1, Some(config), command)
    }

    fn launch(cores: usize, config: Option<&str>, command: Command) -> Self {
        Self::launch_with(if is_epoll() { "epoll" } else { "uring" }, cores, config, command)
    }

    fn launch_with(driver: &str, cores: usize, config: Option<&str>, mut command: Command) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("server-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let [file, ready, log] = ["config.toml", "ready.json", "log"].map(|name| folder.join(name));
        let cores = cores.to_string();
        let local = "127.0.0.1:0";
        command.args(["serve", "--cores", &cores, "--listen", local, "--internal", local]);
        command.args(["--driver", driver]);
        if let Some(config) = config {
            fs::write(&file, config).unwrap();
            command.arg("--config").arg(&file);
        }
        let output = fs::File::create(&log).unwrap();
        let mut child = command
            .env_remove(TEST_DRIVER)
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .expect("the binary starts");
        let end = clock::now() + PATIENCE;
        let line = loop {
            match fs::read_to_string(&ready) {
                Ok(line) if line.ends_with('\n') => break line,
                _ => {}
            }
            let exited = child.try_wait().unwrap();
            if exited.is_some() || clock::now() > end {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the server did not start: {}", fs::read_to_string(&log).unwrap_or_default());
            }
            super::wait::pause(std::time::Duration::from_millis(5));
        };
        let line: serde_json::Value = serde_json::from_str(&line).expect("the ready file is JSON");
        let address = |key: &str| line[key].as_str().unwrap().parse().unwrap();
        let (public, internal) = (address("public"), address("internal"));
        let mut server = Self { public, internal, child, folder, idle_descriptor_count: 0 };
        // The first scrape opens what the control plane opens lazily.
        server.metrics();
        server.idle_descriptor_count = descriptor_count(server.pid());
        server
    }

    /// With `/echo`, and whatever else.
    pub fn echo(config: &str) -> Self {
        Self::start(&format!("[routes]\necho = true\n{config}"))
    }

    /// One core each, as far as the machine has them.
    pub fn core_count(wanted: usize) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from).min(wanted)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn metrics(&self) -> Metrics {
        Metrics::scrape(self.internal)
    }

    /// Waits until a figure has this value: cores publish theirs a few times a second.
    #[track_caller]
    pub fn wait_for(&self, figure: &str, value: u64) {
        wait_until(&format!("{figure} becomes {value}"), || self.metrics().figure(figure) == value);
    }

    /// Waits until this many connections were closed with this code.
    #[track_caller]
    pub fn wait_for_closes(&self, code: u16, count: u64) {
        wait_until(&format!("{count} closes with {code}"), || self.metrics().closes(code) == count);
    }

    /// Every resource is back where it was before the first client, and no bug of ours cost a connection. Clients must
    /// be gone, or have been closed by the server.
    #[track_caller]
    pub fn settled(&self) {
        self.settled_after(0);
    }

    /// The same after so many bugs of ours that were called up on purpose.
    #[track_caller]
    pub fn settled_after(&self, panic_count: u64) {
        self.wait_for("connections", 0);
        wait_until("descriptors are back to the baseline", || {
            descriptor_count(self.pid()) <= self.idle_descriptor_count
        });
        assert_eq!(self.metrics().figure("panics_total"), panic_count, "peer bytes tripped an assertion");
    }

    /// Replaces the configuration file, all at once, for the next reload.
    pub fn rewrite(&self, config: &str) {
        let draft = self.folder.join("draft");
        fs::write(&draft, config).unwrap();
        fs::rename(&draft, self.folder.join("config.toml")).unwrap();
    }

    /// Rewrites the file, sends SIGHUP and waits for the verdict: `accepted` or `refused`.
    #[track_caller]
    pub fn reload(&self, config: &str, result: &str) {
        let name = format!("config_reload_total{{result=\"{result}\"}}");
        let before = self.metrics().labelled(&name);
        self.rewrite(config);
        self.signal(rustix::process::Signal::HUP);
        wait_until("the reload is counted", || self.metrics().labelled(&name) == before + 1);
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end and gives its exit status.
    #[track_caller]
    pub fn wait_for_exit(&mut self) -> std::process::ExitStatus {
        wait_until("the server exits", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }
}

/// Suites run once on each driver: this names it in the environment, and without it it is io_uring.
const TEST_DRIVER: &str = "RINGWAY_TEST_DRIVER";

pub fn is_epoll() -> bool {
    match std::env::var(TEST_DRIVER).as_deref() {
        Ok("epoll") => true,
        Ok("uring") | Err(_) => false,
        Ok(other) => panic!("{TEST_DRIVER} is {other}; it must be uring or epoll"),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            eprintln!("-- log of the server --\n{log}--");
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
