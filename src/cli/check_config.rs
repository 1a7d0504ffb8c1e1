//! `ringway check-config`: the checks of a start without the start.

use super::paint::Paint;
use super::{environment, say};
use crate::config::{Config, Warning};
use crate::fatal::Fatal;
use std::fmt::Write as _;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct CheckConfigArguments {
    /// Configuration (TOML); without one, the environment alone is checked
    #[arg(value_name = "FILE", env = "RINGWAY_CONFIG")]
    file: Option<PathBuf>,
    /// Refuse what is only warned about, such as variables that are no option
    #[arg(long)]
    strict: bool,
}

pub fn run(arguments: &CheckConfigArguments) -> Result<(), Fatal> {
    let (config, warnings) = Config::load(arguments.file.as_deref(), environment(), [])?;
    let grave: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    if arguments.strict && !grave.is_empty() {
        return Err(Fatal::Config { file: arguments.file.clone(), problems: grave });
    }
    say(&summary(&config, &warnings, Paint::stdout()));
    Ok(())
}

fn summary(config: &Config, warnings: &[Warning], paint: Paint) -> String {
    let differences = config.differences();
    let mode = if config.development { "development" } else { "production" };
    let mut text = format!("{} in {mode} mode", paint.good("OK"));
    text.push_str(if differences.is_empty() { ", nothing differs from the defaults\n" } else { ", with\n" });
    for (key, value) in differences {
        let _ = writeln!(text, "  {key} = {value}");
    }
    for warning in warnings {
        let _ = writeln!(text, "{} {warning}", paint.doubtful("warning:"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_refuses_what_is_otherwise_a_warning() {
        let path = std::env::temp_dir().join(format!("ringway-strict-{}.toml", std::process::id()));
        std::fs::write(&path, "[listen]\ninternal = \"0.0.0.0:9080\"\n").unwrap();
        let check = |strict| run(&CheckConfigArguments { file: Some(path.clone()), strict });
        let (lenient, strict) = (check(false), check(true));
        std::fs::remove_file(&path).unwrap();
        assert!(lenient.is_ok());
        let problem = strict.unwrap_err().to_string();
        assert!(problem.contains("health and metrics are served on 0.0.0.0"), "{problem}");
    }

    #[test]
    fn only_what_differs_from_the_defaults_is_printed_as_it_would_be_written() {
        let mut config = Config::production();
        config.client.channel_limit = 7;
        config.client.allowed_origins = vec!["https://a.example".to_owned(), "https://b.example".to_owned()];
        config.shutdown.drain_window = std::time::Duration::from_secs(5);
        assert_eq!(
            summary(&config, &[Warning::NobodyMayConnect], Paint::PLAIN),
            format!(
                "OK in production mode, with\n  client.allowed_origins = [\"https://a.example\", \"https://b.example\"]\n  \
                 client.channel_limit = 7\n  shutdown.drain_window = \"5s\"\nwarning: {}\n",
                Warning::NobodyMayConnect
            )
        );
        let plain = summary(&Config::development(), &[], Paint::PLAIN);
        assert_eq!(plain, "OK in development mode, nothing differs from the defaults\n");
    }
}
