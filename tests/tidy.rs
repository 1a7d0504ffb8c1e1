//! The rules of the house that a compiler does not know. Each failure names file and line, and what to do instead.
//!
//! Works on text: sources are formatted by rustfmt, so an item ends at the brace with the indentation of its first line.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

mod tidy {
    pub mod names;
    pub mod rules;
    pub mod source;
}

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
