//! The options in the README and in the reference are those of the option table. `RINGWAY_BLESS=1 cargo test --test
//! readme` writes them anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use ringway::config::reference;
use std::path::Path;

const BEGIN: &str = "<!-- options -->\n";
const END: &str = "<!-- /options -->";

#[test]
fn the_reference_lists_every_option_as_the_table_has_it() {
    compare("docs/options.md", &reference::markdown());
}

#[test]
fn the_readme_lists_the_options_that_most_people_need() {
    compare("README.md", &reference::short_markdown());
}

#[track_caller]
fn compare(file: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let begin = text.find(BEGIN).unwrap() + BEGIN.len();
    let end = text.find(END).unwrap();
    if std::env::var_os("RINGWAY_BLESS").is_some() {
        std::fs::write(&path, [&text[..begin], expected, &text[end..]].concat()).unwrap();
    } else {
        assert!(
            text[begin..end] == *expected,
            "run `RINGWAY_BLESS=1 cargo test --test readme`: the option table has changed"
        );
    }
}
