//! The rules of the house that a compiler does not know. Each failure names file and line, and what to do instead.
//!
//! Works on text: sources are formatted by rustfmt, so an item ends at the brace with the indentation of its first line.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

mod tidy {
    pub mod names;
    pub mod rules;
    pub mod source;
}

use std::process::Command;
use tidy::source::{Source, sources};
use tidy::{names, rules};

/// Runs a rule over every source and shows all that it objects to.
fn tidy(rule: impl Fn(&Source) -> Vec<String>) {
    let objections: Vec<String> = sources().iter().flat_map(rule).collect();
    assert!(objections.is_empty(), "\n{}\n", objections.join("\n"));
}

#[test]
fn imports_point_down_the_layer_table() {
    tidy(rules::layers);
}

#[test]
fn layers_below_the_driver_know_no_socket_clock_thread_or_randomness() {
    tidy(rules::sans_io);
}

#[test]
fn heavy_crates_stay_where_they_belong() {
    tidy(rules::crates);
}

#[test]
fn files_and_functions_stay_short() {
    tidy(rules::lengths);
}

#[test]
fn every_file_says_what_it_is() {
    tidy(rules::module_docs);
}

#[test]
fn unsafe_code_lives_in_sys() {
    tidy(rules::unsafe_code);
}

#[test]
fn nothing_unfinished_is_left_behind() {
    tidy(rules::unfinished);
}

#[test]
fn nothing_outside_of_tests_panics_on_purpose() {
    tidy(rules::panics);
}

#[test]
fn limits_carry_a_unit_and_a_reason() {
    tidy(rules::limits);
}

#[test]
fn every_source_is_part_of_the_build() {
    let orphans = names::orphans(&sources());
    assert!(orphans.is_empty(), "no `mod` leads to {orphans:?}: name it in its parent, or delete it");
}

#[test]
fn files_are_named_by_a_noun() {
    let vague = names::vague();
    assert!(vague.is_empty(), "{vague:?}: name the one thing that the file is about");
}

#[test]
fn the_project_speaks_of_no_machine() {
    let traces = names::traces();
    assert!(traces.is_empty(), "paths of somebody's machine:\n{}", traces.join("\n"));
}

/// They are run by `scripts/planted`, which is slow, and would rot between its runs.
#[test]
fn planted_bugs_still_fit_the_source() {
    let root = env!("CARGO_MANIFEST_DIR");
    let patches = std::fs::read_dir(format!("{root}/tests/planted")).unwrap();
    let patches: Vec<_> = patches.map(|entry| entry.unwrap().path()).collect();
    assert!(patches.len() >= 10, "the planted bugs are gone");
    for patch in patches {
        let git = Command::new("git").args(["apply", "--check"]).arg(&patch).current_dir(root).output();
        let said = git.unwrap_or_else(|error| panic!("git is needed to check patches: {error}"));
        let wrong = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{}: plant it anew: {wrong}", patch.display());
    }
}

/// A rule that objects to nothing would look like a tidy house.
#[test]
fn every_rule_objects_to_what_it_is_there_for() {
    let long = format!("fn long() {{\n{}}}\n", "    work();\n".repeat(70));
    let cases: [(Rule, &str, &str); 17] = [
        (rules::layers, "src/hub/x.rs", "use crate::driver::Core;\n"),
        (rules::layers, "src/hub/x.rs", "use crate::conn::Conn;\n"),
        (rules::layers, "src/novelty.rs", ""),
        (rules::sans_io, "src/shard/x.rs", "use std::thread;\n"),
        (rules::sans_io, "src/ws/x.rs", "async fn read() {}\n"),
        (rules::crates, "src/driver/x.rs", "use tokio::net::TcpStream;\n"),
        (rules::crates, "src/cli/x.rs", "let ring = io_uring::IoUring::new(1);\n"),
        (rules::lengths, "src/hub/x.rs", &long),
        (rules::lengths, "src/hub/x.rs", &"line\n".repeat(501)),
        (rules::module_docs, "src/hub/x.rs", "use std::fmt;\n"),
        (rules::module_docs, "src/hub/x.rs", &"//! Much to say.\n".repeat(16)),
        (rules::unsafe_code, "src/driver/x.rs", "let x = unsafe { y() };\n"),
        (rules::unfinished, "src/hub/x.rs", &["// TO", "DO: later\n"].concat()),
        (rules::panics, "src/hub/x.rs", "let x = y.unwrap();\n"),
        (rules::limits, "src/limits.rs", "/// Why.\npub const QUEUE_MAX: u32 = 1;\n"),
        (rules::limits, "src/limits.rs", "\npub const QUEUE_BYTES_MAX: u32 = 1;\n"),
        (rules::unsafe_code, "bench/src/x.rs", "unsafe fn f() {}\n"),
    ];
    for (rule, path, text) in cases {
        let objections = rule(&Source::new(path.to_owned(), text.to_owned()));
        assert_eq!(objections.len(), 1, "{path}: {text:?}: {objections:?}");
    }
}

type Rule = fn(&Source) -> Vec<String>;

#[test]
fn no_rule_objects_to_tests_comments_strings_or_excuses() {
    let cases: [(Rule, &str, &str); 6] = [
        (rules::layers, "src/hub/x.rs", "// use crate::driver::Core;\nuse crate::ids::ConnId;\n"),
        (rules::unsafe_code, "src/hub/x.rs", "let text = \"unsafe\"; // unsafe\n"),
        (rules::unsafe_code, "src/sys/x.rs", "let x = unsafe { y() };\n"),
        (rules::panics, "src/hub/x.rs", "#[cfg(test)]\nmod tests {\n    x.unwrap();\n}\n"),
        (
            rules::panics,
            "src/hub/x.rs",
            "#[expect(clippy::unwrap_used, reason = \"\")]\nfn f() {\n    x.unwrap();\n}\n",
        ),
        (rules::limits, "src/limits.rs", "/// Why.\npub const QUEUE_BYTES_MAX: u32 = 1;\n"),
    ];
    for (rule, path, text) in cases {
        let objections = rule(&Source::new(path.to_owned(), text.to_owned()));
        assert!(objections.is_empty(), "{objections:?}");
    }
}
