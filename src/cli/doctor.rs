//! Looks over the machine before a server runs on it: what works, what is lacking, what each lack costs, how to mend it.
//! Invariant: changes nothing; whatever is not OK comes with a command. `tuning/check` gives the same verdicts on sysctls.

mod limits;
mod machine;
mod ring;
mod sysctl;
mod tls;

use super::paint::Paint;
use super::{environment, say};
use crate::config::{Config, Driver};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct DoctorArguments {
    /// Look at the addresses and cores of this configuration
    #[arg(long, value_name = "FILE", env = "RINGWAY_CONFIG")]
    config: Option<PathBuf>,
    /// Look whether the certificates cover this name, by which clients come; as often as you like
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    /// Look at what only a load generator needs, too
    #[arg(long)]
    generator: bool,
    /// Print the findings as one JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug)]
struct Finding {
    name: String,
    verdict: Verdict,
    text: String,
    /// A command or a setting; none when all is well.
    fix: Option<String>,
}

/// The status is 1 when something keeps the server from running; warnings do not count.
pub fn run(arguments: &DoctorArguments) -> ExitCode {
    let findings = examine(arguments);
    if arguments.json {
        say(&format!("{}\n", json(&findings)));
    } else {
        say(&text(&findings, Paint::stdout()));
    }
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn examine(arguments: &DoctorArguments) -> Vec<Finding> {
    let (config, broken) = match Config::load(arguments.config.as_deref(), environment(), []) {
        Ok((config, _)) => (config, None),
        Err(fatal) => {
            let broken = Finding::fail("configuration", fatal.to_string(), fatal.fix());
            (Config::development(), Some(broken))
        }
    };
    let mut findings = ring::examine(config.driver);
    findings.extend(broken);
    findings.extend(limits::examine(&config));
    findings.extend(machine::examine(&config));
    findings.extend(tls::examine(&config, &arguments.names));
    findings.extend(sysctl::examine(arguments.generator, &sysctl::read));
    findings
}

fn text(findings: &[Finding], paint: Paint) -> String {
    let mut text = String::new();
    for Finding { name, verdict, text: said, fix } in findings {
        let word = match verdict {
            Verdict::Ok => paint.good("OK  "),
            Verdict::Warn => paint.doubtful("WARN"),
            Verdict::Fail => paint.bad("FAIL"),
        };
        let _ = writeln!(text, "{word}  {name}: {said}");
        if let Some(fix) = fix {
            let _ = writeln!(text, "      fix: {fix}");
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (warned, failed) = (count(Verdict::Warn), count(Verdict::Fail));
    let _ = writeln!(text, "\n{} checks, {warned} warnings, {failed} failures", findings.len());
    text
}

fn json(findings: &[Finding]) -> serde_json::Value {
    let rows = findings.iter().map(|finding| {
        serde_json::json!({
            "name": finding.name,
            "verdict": finding.verdict.word(),
            "text": finding.text,
            "fix": finding.fix,
        })
    });
    rows.collect()
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

impl Finding {
    fn ok(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.to_owned(), verdict: Verdict::Ok, text: text.into(), fix: None }
    }

    fn warn(name: &str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name: name.to_owned(), verdict: Verdict::Warn, text: text.into(), fix: Some(fix.into()) }
    }

    /// Something that the ring cannot do without: whoever insists on the ring fails, the others get epoll.
    fn lack(driver: Driver, name: &str, text: &str, fix: impl Into<String>) -> Self {
        match driver {
            Driver::Auto => Self::warn(name, format!("{text}; the epoll driver serves instead"), fix),
            Driver::Uring => Self::fail(name, text, fix),
            Driver::Epoll => {
                Self::ok(name, format!("{text}; the epoll driver is configured and does without"))
            }
        }
    }

    fn fail(name: &str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name: name.to_owned(), verdict: Verdict::Fail, text: text.into(), fix: Some(fix.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_read_the_same_for_people_and_for_programs() {
        let findings = [
            Finding::ok("kernel", "6.18.1"),
            Finding::warn("descriptors", "few", "ulimit -n 1048576"),
            Finding::fail("io_uring", "refused", "sysctl --write kernel.io_uring_disabled=0"),
        ];
        assert_eq!(
            text(&findings, Paint::PLAIN),
            "OK    kernel: 6.18.1\nWARN  descriptors: few\n      fix: ulimit -n 1048576\n\
             FAIL  io_uring: refused\n      fix: sysctl --write kernel.io_uring_disabled=0\n\n\
             3 checks, 1 warnings, 1 failures\n"
        );
        let json = json(&findings);
        assert_eq!(json[0]["fix"], serde_json::Value::Null);
        assert_eq!(json[2]["verdict"], "FAIL");
    }

    #[test]
    fn this_machine_can_be_examined_and_every_objection_has_a_remedy() {
        let config = std::env::temp_dir().join(format!("ringway-doctor-{}.toml", std::process::id()));
        std::fs::write(&config, "[listen]\npublic = \"127.0.0.1:0\"\ninternal = \"127.0.0.1:0\"\n").unwrap();
        let arguments = DoctorArguments {
            config: Some(config.clone()),
            generator: true,
            json: false,
            names: vec!["a.example".to_owned()],
        };
        let findings = examine(&arguments);
        std::fs::remove_file(config).unwrap();
        assert!(findings.len() > 10);
        for finding in &findings {
            assert_eq!(finding.fix.is_none(), finding.verdict == Verdict::Ok, "{finding:?}");
        }
    }

    #[test]
    fn a_broken_configuration_is_a_failure() {
        let config = Some(PathBuf::from("/nowhere/ringway.toml"));
        let findings = examine(&DoctorArguments { config, generator: false, json: false, names: Vec::new() });
        let broken = findings.iter().find(|finding| finding.name == "configuration").unwrap();
        assert_eq!(broken.verdict, Verdict::Fail);
    }
}
