//! The scripts of `tuning/` and `ringway doctor` on the machine that the tests run on.
//! Whatever is applied here is reverted here, even if an assertion fails in between.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[test]
fn doctor_and_check_give_the_same_verdicts_here() {
    let _turn = turn();
    for role in [&[][..], &["--generator"]] {
        let doctor =
            Command::new(env!("CARGO_BIN_EXE_ringway")).args(["doctor", "--json"]).args(role).output();
        let findings: serde_json::Value = serde_json::from_slice(&doctor.unwrap().stdout).unwrap();
        let rows = findings.as_array().unwrap().iter();
        let doctors: Vec<(String, String)> = rows
            .map(|row| {
                (row["verdict"].as_str().unwrap().to_owned(), row["name"].as_str().unwrap().to_owned())
            })
            .filter(|(_, name)| present(Path::new(PROC_SYS), name).is_some())
            .collect();
        let check = run("check", role, &["--tab"]);
        assert_eq!(doctors, verdicts(&check), "role {role:?}");
        assert!(doctors.len() >= 5, "{doctors:?}");
    }
}

/// Where there is a systemd to ask. The path of the binary is ours to adapt, as an operator would.
#[test]
fn systemd_finds_nothing_wrong_with_our_units() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("units-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let units = ["ringway.service", "ringway.socket"].map(|name| {
        let unit =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning").join(name)).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, unit.replace("/usr/local/bin/ringway", env!("CARGO_BIN_EXE_ringway"))).unwrap();
        path
    });
    if let Ok(output) = Command::new("systemd-analyze").arg("verify").args(&units).output() {
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_dry_run_names_the_changes_and_makes_none() {
    let kernel = Kernel::untuned("dry-run");
    let before = kernel.values();
    let output = kernel.run("apply", &["--generator", "--dry-run"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("would set net.core.somaxconn: 128 -> 4096"), "{text}");
    assert_eq!(kernel.values(), before);
    assert!(!kernel.state().exists());
}

#[test]
fn apply_satisfies_check_and_revert_restores_every_value() {
    let kernel = Kernel::untuned("round-trip");
    let before = kernel.values();
    let check = kernel.run("check", &["--generator", "--tab"]);
    assert!(check.status.success(), "nothing in the list keeps a server from running");
    assert!(verdicts(&check).iter().all(|(verdict, _)| verdict == "WARN"), "{check:?}");

    // A second run finds nothing to do and, above all, does not save our values as the old ones.
    for _ in 0..2 {
        assert!(kernel.run("apply", &["--generator"]).status.success());
        let check = kernel.run("check", &["--generator", "--tab"]);
        assert!(verdicts(&check).iter().all(|(verdict, _)| verdict == "OK"), "{check:?}");
    }
    for _ in 0..2 {
        assert!(kernel.run("revert", &[]).status.success());
        assert_eq!(kernel.values(), before);
        assert!(!kernel.state().exists());
    }
}

#[test]
fn what_is_better_than_ours_is_left_alone() {
    let kernel = Kernel::untuned("better");
    kernel.write("net.core.somaxconn", "65535");
    kernel.write("net.ipv4.tcp_fin_timeout", "5");
    assert!(kernel.run("apply", &[]).status.success());
    assert_eq!(kernel.read("net.core.somaxconn"), "65535");
    assert_eq!(kernel.read("net.ipv4.tcp_fin_timeout"), "5");
}

#[test]
fn keys_that_the_kernel_does_not_have_are_passed_over() {
    let kernel = Kernel::untuned("absent");
    std::fs::remove_dir_all(kernel.root.join("net/netfilter")).unwrap();
    let check = kernel.run("check", &["--tab"]);
    assert!(verdicts(&check).iter().all(|(_, key)| !key.contains("conntrack")));
    assert!(kernel.run("apply", &[]).status.success());
}

#[test]
fn the_real_kernel_gets_its_old_values_back() {
    if !rustix::process::geteuid().is_root()
        || !writable(Path::new(PROC_SYS).join("net/core/somaxconn").as_path())
    {
        eprintln!("SKIPPED: sysctls can only be written by root, outside of a container");
        return;
    }
    let _turn = turn();
    let state = std::env::temp_dir().join(format!("ringway-tuning-{}.saved", std::process::id()));
    let state = state.to_str().unwrap();
    let values = || keys().iter().map(|key| present(Path::new(PROC_SYS), key)).collect::<Vec<_>>();
    let before = values();
    {
        let _revert = Revert(state);
        let applied = run("apply", &["--generator"], &["--state", state]);
        assert!(applied.status.success(), "{applied:?}");
        let check = run("check", &["--generator"], &["--tab"]);
        assert!(verdicts(&check).iter().all(|(verdict, _)| verdict == "OK"), "{check:?}");
    }
    assert_eq!(values(), before);
}

const PROC_SYS: &str = "/proc/sys";

/// Tests on the real kernel take turns, in whatever process they run. The lock ends with the file.
fn turn() -> std::fs::File {
    let path = std::env::temp_dir().join("ringway-tuning.lock");
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.lock().unwrap();
    file
}

/// Reverts when it goes out of scope, whatever happened before.
struct Revert<'a>(&'a str);

impl Drop for Revert<'_> {
    fn drop(&mut self) {
        let reverted = run("revert", &[], &["--state", self.0]);
        assert!(reverted.status.success() || std::thread::panicking(), "{reverted:?}");
    }
}

/// A made-up `/proc/sys` in which every key is worse than ours.
struct Kernel {
    root: PathBuf,
}

impl Kernel {
    fn untuned(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("ringway-tuning-{}-{name}", std::process::id()));
        let kernel = Self { root };
        for key in keys() {
            let worse = match key.as_str() {
                "kernel.io_uring_disabled" => "2",
                "net.ipv4.ip_local_port_range" => "32768\t60999",
                "net.ipv4.tcp_fin_timeout" => "60",
                "net.ipv4.tcp_notsent_lowat" => "4294967295",
                "net.ipv4.tcp_slow_start_after_idle" => "1",
                "net.ipv4.tcp_migrate_req" | "net.ipv4.tcp_syncookies" | "net.ipv4.tcp_tw_reuse" => "0",
                _ => "128",
            };
            kernel.write(&key, worse);
        }
        kernel
    }

    fn write(&self, key: &str, value: &str) {
        let path = self.root.join(key.replace('.', "/"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{value}\n")).unwrap();
    }

    fn read(&self, key: &str) -> String {
        present(&self.root, key).unwrap()
    }

    fn values(&self) -> Vec<String> {
        keys().iter().map(|key| self.read(key)).collect()
    }

    fn state(&self) -> PathBuf {
        self.root.join("state/tuning.saved")
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Output {
        let state = self.state();
        let mut place = vec!["--proc-sys", self.root.to_str().unwrap()];
        if script != "check" {
            place.extend(["--state", state.to_str().unwrap()]);
        }
        run(script, arguments, &place)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn run(script: &str, some: &[&str], more: &[&str]) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning").join(script);
    Command::new(path).args(some).args(more).output().unwrap()
}

/// Verdict and key of each line of `check --tab`.
fn verdicts(check: &Output) -> Vec<(String, String)> {
    let text = String::from_utf8(check.stdout.clone()).unwrap();
    let columns = |line: &str| {
        let mut columns = line.split('\t').map(str::to_owned);
        Some((columns.next()?, columns.next()?))
    };
    text.lines().filter_map(columns).collect()
}

fn keys() -> Vec<String> {
    let list = include_str!("../tuning/sysctl.conf");
    let settings = list.lines().filter(|line| !line.starts_with('#'));
    settings.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect()
}

fn present(root: &Path, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(root.join(key.replace('.', "/"))).ok()?;
    Some(text.trim_end().to_owned())
}

fn writable(path: &Path) -> bool {
    std::fs::OpenOptions::new().write(true).open(path).is_ok()
}
