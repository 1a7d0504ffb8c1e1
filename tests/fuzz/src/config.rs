//! Any text is a configuration or a list of mistakes, each with its place; what is accepted stays accepted.

use ringway::config::Config;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A secret may come from a file, and the fuzzer would find /dev/zero.
    if text.contains("file") {
        return;
    }
    match Config::of_text(text) {
        Ok(config) => {
            for (key, value) in config.differences() {
                assert!(!key.is_empty() && !value.is_empty());
            }
            assert!(config.changes(&config).is_empty(), "a configuration does not differ from itself");
        }
        Err(problems) => assert!(problems.iter().all(|problem| !problem.is_empty()) && !problems.is_empty()),
    }
}
