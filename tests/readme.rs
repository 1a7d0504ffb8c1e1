//! The option reference in the README is the option table. `RINGWAY_BLESS=1 cargo test --test readme` writes it anew.

use std::path::Path;

const BEGIN: &str = "<!-- options -->\n";
const END: &str = "<!-- /options -->";

#[test]
fn the_readme_lists_every_option_as_the_table_has_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let begin = text.find(BEGIN).expect("the README marks where the options begin") + BEGIN.len();
    let end = text.find(END).expect("the README marks where the options end");
    let reference = ringway::config::reference::markdown();
    if std::env::var_os("RINGWAY_BLESS").is_some() {
        std::fs::write(&path, [&text[..begin], &reference, &text[end..]].concat()).unwrap();
    } else {
        assert!(
            text[begin..end] == reference,
            "run `RINGWAY_BLESS=1 cargo test --test readme`: the option table has changed"
        );
    }
}
