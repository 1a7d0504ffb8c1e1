use super::*;
use proptest::prelude::*;

/// Texts of many kinds of characters, one to four bytes each, with repetitions.
fn text(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z\" :,{}]{1,12}",
        "[а-яё ]{1,12}",
        "[一-龥，。]{1,8}",
        "(🙂|👩‍👩‍👧|🇩🇪|😀|🙃){1,4}",
        Just("{\"id\":17,\"имя\":\"Анна\",\"城市\":\"北京\"}".to_owned()),
    ];
    prop::collection::vec(word, length).prop_map(|words| words.concat())
}

/// A text and one that was made of it by cutting, moving and inserting.
fn edited() -> impl Strategy<Value = (String, String)> {
    let edits = prop::collection::vec((any::<u16>(), 0..40_u16, any::<u16>(), text(0..3), 0..3_u8), 0..6);
    (text(0..60), edits).prop_map(|(base, edits)| {
        let mut target: Vec<char> = base.chars().collect();
        for (at, count, to, inserted, act) in edits {
            let at = usize::from(at) % (target.len() + 1);
            let end = (at + usize::from(count)).min(target.len());
            let cut: Vec<char> = target.drain(at..end).collect();
            let to = usize::from(to) % (target.len() + 1);
            match act {
                0 => drop(target.splice(at..at, inserted.chars())),
                1 => drop(target.splice(to..to, cut)),
                _ => {}
            }
        }
        (base, target.into_iter().collect())
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        prop::collection::vec(0..2_u8, 0..400),
        (prop::collection::vec(any::<u8>(), 1..40), 1..20_usize).prop_map(|(part, count)| part.repeat(count)),
    ]
}

const ROOMY: usize = 1 << 20;

proptest! {
    #[test]
    fn a_patch_makes_the_target_of_its_base_and_is_shorter(base in bytes(), target in bytes()) {
        let mut out = b"kept".to_vec();
        if Encoder::default().encode(&base, &target, &mut out) {
            let patch = out.strip_prefix(b"kept").unwrap();
            prop_assert!(patch.len() < target.len());
            prop_assert_eq!(apply(&base, patch, target.len()), Ok(target));
        } else {
            prop_assert_eq!(out, b"kept");
        }
    }

    #[test]
    fn a_patch_between_texts_is_a_text((base, target) in edited()) {
        let mut patch = Vec::new();
        if Encoder::default().encode_text(base.as_bytes(), target.as_bytes(), &mut patch) {
            prop_assert!(std::str::from_utf8(&patch).is_ok(), "{patch:?}");
            prop_assert!(patch.len() < target.len());
            prop_assert_eq!(apply(base.as_bytes(), &patch, ROOMY), Ok(target.into_bytes()));
        }
    }

    /// What an encoder keeps between two pairs must not show.
    #[test]
    fn an_encoder_that_was_used_writes_what_a_new_one_writes(pairs in prop::collection::vec(edited(), 1..5)) {
        let mut used = Encoder::default();
        for (base, target) in &pairs {
            let (base, target) = (base.as_bytes(), target.as_bytes());
            let (mut one, mut other) = (Vec::new(), Vec::new());
            let answers = (used.encode(base, target, &mut one), Encoder::default().encode(base, target, &mut other));
            prop_assert_eq!(answers.0, answers.1);
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn a_small_change_of_a_long_text_is_a_small_patch(text in text(30..60), at in any::<prop::sample::Index>()) {
        let mut target: Vec<char> = text.chars().collect();
        let at = at.index(target.len());
        target[at] = if target[at] == 'x' { 'y' } else { 'x' };
        let target: String = target.into_iter().collect();
        let mut patch = Vec::new();
        prop_assume!(text.len() > 100);
        prop_assert!(Encoder::default().encode_text(text.as_bytes(), target.as_bytes(), &mut patch));
        prop_assert!(patch.len() <= 48, "{} bytes", patch.len());
    }

    #[test]
    fn no_patch_panics_or_grows_beyond_the_limit(
        base in prop::collection::vec(any::<u8>(), 0..100),
        patch in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100),
            "[0-9A-Z_a-z~]{0,3}\n([0-9A-D]{0,2}(@[0-9A-D]{0,2},|:[a-z]{0,9})){0,5}[0-9A-Z_a-z~]{0,7};?"
                .prop_map(String::into_bytes),
        ],
        size_max in 0..300_usize,
    ) {
        if let Ok(target) = apply(&base, &patch, size_max) {
            prop_assert!(target.len() <= size_max);
            prop_assert!(target.capacity() <= size_max.max(base.len() + patch.len()));
        }
    }

    #[test]
    fn a_patch_with_one_wrong_byte_gives_no_text_of_another_size_or_sum(
        (base, target) in edited(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let mut patch = Vec::new();
        prop_assume!(Encoder::default().encode(base.as_bytes(), target.as_bytes(), &mut patch));
        let at = at.index(patch.len());
        patch[at] ^= flip;
        if let Ok(made) = apply(base.as_bytes(), &patch, ROOMY) {
            prop_assert_eq!(made.len(), target.len());
            prop_assert_eq!(format::checksum(&made), format::checksum(target.as_bytes()));
        }
    }
}

fn encoded(base: &str, target: &str) -> Option<String> {
    let mut patch = Vec::new();
    let is_shorter = Encoder::default().encode_text(base.as_bytes(), target.as_bytes(), &mut patch);
    is_shorter.then(|| String::from_utf8(patch).unwrap())
}

/// What the encoders of Fossil and of its port to JavaScript write for the same pair, byte by byte.
#[test]
fn a_changed_number_is_written_as_the_reference_writes_it() {
    let base = r#"{"title":"The quick brown fox jumps over the lazy dog","votes":41,"open":true,"tags":["one","two","three"]}"#;
    let target = base.replace("41", "42");
    assert_eq!(encoded(base, &target).unwrap(), "1g\n10@0,1:2f@11,14JdNy;");
    assert_eq!(apply(b"short", b"7\n7:shorter3coU5n;", 7), Ok(b"shorter".to_vec()));
}

#[test]
fn what_moved_is_found_where_it_was() {
    let (one, other) = ("the first paragraph of a letter. ", "and here is what the second says. ");
    let patch = encoded(&format!("{one}{other}?"), &format!("!{other}{one}")).unwrap();
    assert!(patch.len() < 30, "{patch}");
}

#[test]
fn a_patch_that_saves_nothing_is_not_written() {
    assert_eq!(encoded("", "a text of some length"), None, "there is no base");
    assert_eq!(
        encoded("sixteen bytes ..", "sixteen bytes .. and more"),
        None,
        "a base of 16 bytes has no block"
    );
    assert_eq!(encoded("seventeen bytes ..", ""), None);
    assert_eq!(encoded("one text of some length", "quite another, and longer"), None);
    assert!(encoded("the same text is a copy", "the same text is a copy").is_some());
}

#[test]
fn what_is_not_utf_8_is_no_text() {
    let (mut encoder, mut out) = (Encoder::default(), Vec::new());
    let (text, broken) = ("a".repeat(100).into_bytes(), [b"a".repeat(100), vec![0xff]].concat());
    assert!(encoder.encode(&broken, &text, &mut out));
    assert!(!encoder.encode_text(&broken, &text, &mut Vec::new()));
    assert!(!encoder.encode_text(&text, &broken, &mut Vec::new()));
}

/// A byte-wise patch between these cuts a character: both differ from `ё` in one of their two bytes.
#[test]
fn a_text_is_cut_between_characters_only() {
    let base = "Серёжа живёт в доме у реки, и всё у него хорошо";
    for target in [base.replace('ё', "ђ"), base.replace('ё', "б"), base.replace('ё', "🙂")] {
        let patch = encoded(base, &target).unwrap();
        assert_eq!(apply(base.as_bytes(), patch.as_bytes(), ROOMY), Ok(target.into_bytes()));
    }
    let (one, mut bytewise) = (base.replace('ё', "ђ"), Vec::new());
    assert!(Encoder::default().encode(base.as_bytes(), one.as_bytes(), &mut bytewise));
    assert!(std::str::from_utf8(&bytewise).is_err(), "else this test shows nothing");
}

#[test]
fn corrupt_patches_are_refused_by_what_is_wrong_with_them() {
    let base = b"0123456789abcdef0123";
    let cases: [(&str, Result<&str, Corrupt>); 17] = [
        ("0\n0;", Ok("")),
        ("3\n3@1,32mEy0;", Err(Corrupt::Checksum)),
        ("", Err(Corrupt::Truncated)),
        ("3", Err(Corrupt::Truncated)),
        ("3\n", Err(Corrupt::Truncated)),
        ("3\n3:ab", Err(Corrupt::Truncated)),
        ("\n0;", Err(Corrupt::Number)),
        ("0000000\n0;", Err(Corrupt::Number)),
        ("~~~~~~\n0;", Err(Corrupt::Number)),
        ("3:\n0;", Err(Corrupt::Command)),
        ("3\n3?", Err(Corrupt::Command)),
        ("3\n3@1;", Err(Corrupt::Command)),
        ("30\n0;", Err(Corrupt::TooLarge)),
        ("3\n3@I,", Err(Corrupt::OutOfBase)),
        ("3\n4@0,", Err(Corrupt::Size)),
        ("3\n2:ab0;", Err(Corrupt::Size)),
        ("0\n0;;", Err(Corrupt::Surplus)),
    ];
    for (patch, expected) in cases {
        let expected = expected.map(|text| text.as_bytes().to_vec());
        assert_eq!(apply(base, patch.as_bytes(), 100), expected, "{patch:?}");
    }
}

/// Every place of the target has a full chain of candidates that match far: quadratic without a budget.
#[test]
fn a_hostile_pair_is_given_up_when_its_budget_is_spent() {
    let block = b"abcdefghijklmnop";
    let base = block.repeat(64 * 1024);
    let target: Vec<u8> = (0..8192).flat_map(|at| [&block[..], &[b'q' + (at % 7) as u8]].concat()).collect();
    let mut patch = Vec::new();
    assert!(Encoder::default().encode(&base, &target, &mut patch));
    assert_eq!(apply(&base, &patch, ROOMY), Ok(target));
}
