//! Files that are cut anywhere, and bytes that change: the answer is right, or it says that something was lost.

use super::*;
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;

const CHANNELS: [&str; 3] = ["a", "b", "c"];
const TOP: u64 = 6;
/// Places of a file that are damaged, evenly spread.
const PLACES: usize = 60;

/// Copies a folder. Journals are mostly hole, which stays one.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            let bytes = used(&entry.path());
            fs::write(&target, &bytes).unwrap();
            fs::File::options()
                .write(true)
                .open(&target)
                .unwrap()
                .set_len(entry.metadata().unwrap().len())
                .unwrap();
        }
    }
}

/// The bytes of a file up to the last that is not zero.
fn used(path: &Path) -> Vec<u8> {
    let file = fs::File::open(path).unwrap();
    let mut bytes = vec![0; file.metadata().unwrap().len().min(64 << 10) as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(length);
    bytes
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// A small history: half of it written out into tables, half of it in the journal.
fn history(path: &Path) {
    let mut owner = Owner::open(quiet(path.to_owned()));
    let write = |owner: &mut Owner, offsets: std::ops::RangeInclusive<u64>| {
        for offset in offsets {
            for channel in CHANNELS {
                owner.append(channel, "epoch", offset).unwrap();
            }
        }
    };
    write(&mut owner, 1..=TOP / 2);
    owner.close();
    let shelf = Shelf::open(path, Commit::Disk, |_| {}).unwrap();
    shelf.write_out();
    shelf.close().unwrap();
    let mut owner = Owner::open(quiet(path.to_owned()));
    write(&mut owner, TOP / 2 + 1..=TOP);
    owner.close();
}

/// How a damaged store answered.
#[derive(Default, Debug)]
struct Verdicts {
    refused: u32,
    whole: u32,
    new_epochs: u32,
    failed: u32,
}

/// Opens it, and holds every answer against what was acknowledged.
fn judge(path: &Path, verdicts: &mut Verdicts, what: &str) {
    let mut owner = match Owner::try_open(quiet(path.to_owned())) {
        Ok(owner) => owner,
        Err(why) => {
            let is_named =
                matches!(why, StoreError::Damaged { .. } | StoreError::Newer { .. } | StoreError::Io { .. });
            assert!(is_named, "{what}: {why:?}");
            verdicts.refused += 1;
            return;
        }
    };
    for channel in CHANNELS {
        let state = match owner.try_load(channel, 100) {
            Ok(state) => state,
            Err(why) => {
                assert!(matches!(why, StoreError::Damaged { .. } | StoreError::Io { .. }), "{what}: {why:?}");
                verdicts.failed += 1;
                continue;
            }
        };
        let state = state.unwrap_or_default();
        if &*state.epoch == "epoch" {
            assert_eq!(state.top, TOP, "{what}: a position was lost in silence");
            assert_eq!(state.publications, publications(channel, 1..=TOP), "{what}");
            verdicts.whole += 1;
            continue;
        }
        verdicts.new_epochs += 1;
        assert_eq!(state.publications, publications(channel, 1..=state.top), "{what}: not what was stored");
        let epoch = if state.epoch.is_empty() { "fresh" } else { &*state.epoch };
        if let Err(why) = owner.append(channel, epoch, state.top + 1) {
            assert!(matches!(why, StoreError::Damaged { .. } | StoreError::Io { .. }), "{what}: {why:?}");
        }
    }
    owner.close();
}

/// Runs `change` on a fresh copy for each of some places of each file.
fn damage(places_max: usize, change: impl Fn(&Path, u64)) -> Verdicts {
    // A damaged database may panic inside; that is caught, and would only fill the log.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or("", |place| place.file());
        if place.contains("src/store") {
            let _ = writeln!(std::io::stderr(), "{info}");
        }
    }));
    let folder = Folder::new();
    let (good, bad) = (folder.0.join("good"), folder.0.join("bad"));
    history(&good);
    let mut verdicts = Verdicts::default();
    judge_copy(&good, &bad, &mut verdicts, "untouched", |_| {});
    assert_eq!(verdicts.whole, 3, "{verdicts:?}");
    for file in files(&good) {
        let name = file.strip_prefix(&good).unwrap().to_owned();
        let length = used(&file).len() as u64;
        let step = (length as usize / places_max).max(1);
        for at in (0..length).step_by(step) {
            let what = format!("{} at {at} of {length}", name.display());
            judge_copy(&good, &bad, &mut verdicts, &what, |bad| change(&bad.join(&name), at));
        }
    }
    verdicts
}

fn judge_copy(good: &Path, bad: &Path, verdicts: &mut Verdicts, what: &str, change: impl Fn(&Path)) {
    let _ = fs::remove_dir_all(bad);
    copy(good, bad);
    change(bad);
    judge(bad, verdicts, what);
}

#[test]
fn a_file_cut_anywhere_never_makes_a_wrong_answer() {
    let verdicts = damage(PLACES, |file, at| {
        fs::File::options().write(true).open(file).unwrap().set_len(at).unwrap();
    });
    assert!(verdicts.new_epochs > 20 && verdicts.refused > 20, "{verdicts:?}");
}

#[test]
fn a_changed_byte_never_makes_a_wrong_answer() {
    let verdicts = damage(PLACES, |file, at| {
        let file = fs::File::options().read(true).write(true).open(file).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x15], at).unwrap();
    });
    assert!(verdicts.new_epochs > 20 && verdicts.refused > 20, "{verdicts:?}");
}

#[test]
fn the_journal_cut_at_every_byte_is_a_signalled_loss_or_none() {
    let folder = Folder::new();
    let (good, bad) = (folder.0.join("good"), folder.0.join("bad"));
    let mut owner = Owner::open(quiet(good.clone()));
    for channel in CHANNELS {
        for offset in 1..=TOP {
            owner.append(channel, "epoch", offset).unwrap();
        }
    }
    owner.close();
    let journal = files(&good).into_iter().find(|file| file.extension().is_some_and(|e| e == "jnl")).unwrap();
    let name = journal.strip_prefix(&good).unwrap().to_owned();
    let length = used(&journal).len() as u64;
    // Every byte of the last commits, some of those before.
    let mut verdicts = Verdicts::default();
    let early = (0..length.saturating_sub(700)).step_by(37);
    for at in early.chain(length.saturating_sub(700)..length) {
        judge_copy(&good, &bad, &mut verdicts, &format!("journal cut at {at} of {length}"), |bad| {
            fs::File::options().write(true).open(bad.join(&name)).unwrap().set_len(at).unwrap();
        });
    }
    assert_eq!(verdicts.failed, 0, "{verdicts:?}");
    assert!(verdicts.new_epochs > 300, "{verdicts:?}");
}

/// What the database itself cannot notice: each record answers for itself.
#[test]
fn a_record_that_does_not_validate_is_cut_with_all_behind_it() {
    for (bad, left) in [(1, 0), (4, 3), (TOP, TOP - 1)] {
        for is_missing in [false, true] {
            let folder = Folder::new();
            history(&folder.store());
            let mut shelf = Shelf::open(&folder.store(), Commit::Disk, |_| {}).unwrap();
            let sealed = shelf.get(keys::Table::Channels, b"b").unwrap().unwrap();
            let card = record::open::<record::Card>(b"b", &sealed).unwrap();
            let key = keys::StreamNumber(card.stream).at(bad);
            let mut value = shelf.get(keys::Table::Publications, &key).unwrap().unwrap().to_vec();
            let last = value.len() - 1;
            value[last] ^= 1;
            let value = (!is_missing).then_some(value);
            shelf.commit(&shelf::Changes::from([((keys::Table::Publications, key), value)])).unwrap();
            shelf.close().unwrap();

            let mut owner = Owner::open(quiet(folder.store()));
            let state = owner.load("b", 100).unwrap();
            assert_ne!(&*state.epoch, "epoch");
            assert_eq!((state.top, &state.publications), (left, &publications("b", 1..=left)));
            let stats = owner.store.stats();
            assert_eq!((stats.cut_records, stats.lost_epochs), (TOP - left, 1));
            assert_eq!(&*owner.load("a", 100).unwrap().epoch, "epoch", "other channels have lost nothing");
            owner.append("b", &state.epoch, left + 1).unwrap();
            owner.close();
            let mut owner = Owner::open(quiet(folder.store()));
            let again = owner.load("b", 100).unwrap();
            assert_eq!((again.epoch, again.top), (state.epoch, left + 1));
            owner.close();
        }
    }
}

/// A database that lost the newest version of a record shows an older one.
#[test]
fn a_card_of_the_past_costs_the_channel_its_epoch() {
    let folder = Folder::new();
    history(&folder.store());
    let shelf = Shelf::open(&folder.store(), Commit::Disk, |_| {}).unwrap();
    let before = shelf.get(keys::Table::Channels, b"b").unwrap().unwrap().to_vec();
    shelf.close().unwrap();
    let mut owner = Owner::open(quiet(folder.store()));
    owner.append("b", "epoch", TOP + 1).unwrap();
    owner.close();
    let mut shelf = Shelf::open(&folder.store(), Commit::Disk, |_| {}).unwrap();
    let change = ((keys::Table::Channels, b"b".to_vec()), Some(before));
    shelf.commit(&shelf::Changes::from([change])).unwrap();
    shelf.close().unwrap();
    let mut owner = Owner::open(quiet(folder.store()));
    assert_ne!(&*owner.load("b", 100).unwrap().epoch, "epoch");
    assert_eq!(owner.store.stats().lost_epochs, 1);
    owner.close();
}
