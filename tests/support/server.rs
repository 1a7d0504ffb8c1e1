//! A real server process on free ports, ended by its id when the test ends, whatever the test's end.

use super::metrics::{Metrics, descriptor_count};
use super::wait::{PATIENCE, wait_until};
use ringway::sys::clock;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
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
    /// Processes that have taken over, the newest last.
    heirs: Vec<Pid>,
}

impl Server {
    /// Starts `ringway serve` with this TOML behind the addresses and one core, so that a canary shares it with the attack.
    pub fn start(config: &str) -> Self {
        Self::start_on(1, config)
    }

    pub fn start_on(cores: usize, config: &str) -> Self {
        Self::launch(Some(cores), Some(config), Command::new(BINARY), Stdio::null())
    }

    /// In development mode, without a file.
    pub fn develop() -> Self {
        Self::launch(Some(1), None, Command::new(BINARY), Stdio::null())
    }

    /// On one core, with so many descriptors and no way to more.
    pub fn start_with_descriptors(count: u32, config: &str) -> Self {
        let mut command = Command::new("sh");
        let limit = format!("ulimit -n {count} && exec \"$0\" \"$@\"");
        command.args(["-c", &limit, BINARY]);
        Self::launch(Some(1), Some(config), command, Stdio::null())
    }

    /// With what shall fail: plans of `ringway::failpoint`.
    pub fn start_failing(cores: usize, plans: &str, config: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.env(ringway::failpoint::VARIABLE, plans);
        Self::launch(Some(cores), Some(config), command, Stdio::null())
    }

    /// On one core, by a command that runs the binary with further arguments.
    pub fn start_by(command: Command, config: &str) -> Self {
        Self::launch(Some(1), Some(config), command, Stdio::null())
    }

    /// However the command starts it, with this driver.
    pub fn start_as(driver: &str, command: Command, config: &str) -> Self {
        Self::launch_with(driver, Some(1), Some(config), command, Stdio::null(), None)
    }

    /// The configuration alone says how many cores there are, and can say something else to a successor.
    pub fn start_by_file(config: &str) -> Self {
        Self::launch(None, Some(config), Command::new(BINARY), Stdio::null())
    }

    /// The configuration says which driver it is, too.
    pub fn start_by_file_alone(config: &str) -> Self {
        Self::launch_with("", None, Some(config), Command::new(BINARY), Stdio::null(), None)
    }

    /// As a supervisor would, with these variables.
    pub fn start_in(environment: &[(&str, &str)], config: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.envs(environment.iter().copied());
        Self::launch(Some(1), Some(config), command, Stdio::null())
    }

    /// With a listener for clients at the place where systemd puts it.
    pub fn start_activated(cores: usize, listener: &TcpListener, config: &str) -> Self {
        let activate = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=ringway.socket exec \"$0\" \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", activate, BINARY]);
        let listener = listener.try_clone().unwrap();
        Self::launch(Some(cores), Some(config), command, Stdio::from(OwnedFd::from(listener)))
    }

    /// With what shall fail, and standard error going wherever this goes.
    pub fn start_logging_to(errors: Stdio, plans: &str, config: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.env(ringway::failpoint::VARIABLE, plans);
        Self::launch_with(own_driver(), Some(1), Some(config), command, Stdio::null(), Some(errors))
    }

    fn launch(cores: Option<usize>, config: Option<&str>, command: Command, stdin: Stdio) -> Self {
        Self::launch_with(own_driver(), cores, config, command, stdin, None)
    }

    fn launch_with(
        driver: &str,
        cores: Option<usize>,
        config: Option<&str>,
        mut command: Command,
        stdin: Stdio,
        errors: Option<Stdio>,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("server-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let [file, ready, log] = ["config.toml", "ready.json", "log"].map(|name| folder.join(name));
        let local = "127.0.0.1:0";
        command.args(["serve", "--listen", local, "--internal", local]);
        if let Some(cores) = cores {
            command.args(["--cores", &cores.to_string()]);
        }
        if !driver.is_empty() {
            command.args(["--driver", driver]);
        }
        if let Some(config) = config {
            fs::write(&file, config).unwrap();
            command.arg("--config").arg(&file);
        }
        let output = fs::File::create(&log).unwrap();
        let errors = errors.unwrap_or_else(|| output.try_clone().unwrap().into());
        let mut child = command
            .env_remove(TEST_DRIVER)
            .arg("--ready-file")
            .arg(&ready)
            .stdin(stdin)
            .stdout(output)
            .stderr(errors)
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
        let mut server =
            Self { public, internal, child, folder, idle_descriptor_count: 0, heirs: Vec::new() };
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

    /// Of the process that serves now.
    pub fn pid(&self) -> u32 {
        self.heirs.last().map_or(self.child.id(), |heir| heir.as_raw_nonzero().get().cast_unsigned())
    }

    /// Sends SIGUSR2 and waits until another process has taken over.
    #[track_caller]
    pub fn upgrade(&mut self) {
        // So that processes whose parent has ended are ours to wait for.
        set_child_subreaper(Some(getpid())).unwrap();
        let before = self.pid();
        self.signal(Signal::USR2);
        wait_until("another process has taken over", || self.announced().is_some_and(|pid| pid != before));
        let heir = self.announced().and_then(|pid| Pid::from_raw(pid.cast_signed())).unwrap();
        self.heirs.push(heir);
    }

    /// Waits for the end of the process that was started first, and gives its exit status.
    #[track_caller]
    pub fn wait_for_first(&mut self) -> std::process::ExitStatus {
        wait_until("the first process exits", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }

    /// Waits until the process that served before this one has ended.
    #[track_caller]
    pub fn wait_for_predecessor(&mut self) {
        match self.heirs.len() {
            0 => {}
            1 => _ = self.wait_for_first(),
            count => {
                let pid = self.heirs[count - 2];
                wait_until("the predecessor exits", || has_ended(pid));
            }
        }
    }

    /// The process that the ready file names.
    fn announced(&self) -> Option<u32> {
        let line = fs::read_to_string(self.folder.join("ready.json")).ok()?;
        serde_json::from_str::<serde_json::Value>(&line).ok()?["pid"].as_u64()?.try_into().ok()
    }

    pub fn metrics(&self) -> Metrics {
        Metrics::scrape(self.internal)
    }

    /// Waits until a figure has this value: cores publish theirs a few times a second.
    #[track_caller]
    pub fn wait_for(&self, figure: &str, value: u64) {
        wait_until(&format!("{figure} becomes {value}"), || self.metrics().figure(figure) == value);
    }

    /// Waits until a counter has gone beyond this.
    #[track_caller]
    pub fn wait_for_more(&self, figure: &str, than: u64) {
        wait_until(&format!("{figure} grows beyond {than}"), || self.metrics().figure(figure) > than);
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

    /// Waits until it has said this.
    #[track_caller]
    pub fn says(&self, what: &str) {
        wait_until(&format!("the log has {what:?}"), || self.log().contains(what));
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.heirs.last().copied().unwrap_or(Pid::from_child(&self.child));
        kill_process(pid, signal).unwrap();
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

/// What this run of the suite is about.
fn own_driver() -> &'static str {
    if is_epoll() { "epoll" } else { "uring" }
}

impl Drop for Server {
    fn drop(&mut self) {
        let first = self.child.id();
        let unheard = self.announced().filter(|pid| *pid != first && !self.heirs.is_empty());
        let unheard = unheard.and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let _ = self.child.kill();
        let _ = self.child.wait();
        for heir in self.heirs.iter().copied().chain(unheard) {
            if !has_ended(heir) {
                let _ = kill_process(heir, Signal::KILL);
                let _ = waitpid(Some(heir), WaitOptions::empty());
            }
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            eprintln!("-- log of the server --\n{log}--");
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A process of ours that has ended is collected by this; then there is no such process.
fn has_ended(pid: Pid) -> bool {
    match waitpid(Some(pid), WaitOptions::NOHANG) {
        Ok(None) => false,
        Ok(Some(_)) | Err(_) => true,
    }
}

const BINARY: &str = env!("CARGO_BIN_EXE_ringway");
