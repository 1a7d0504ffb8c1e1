use super::*;
use crate::publication::Person;
use proptest::prelude::*;

fn keep(count_max: u32, ttl_ms: u64) -> Keep {
    Keep { count_max, ttl: Duration::from_millis(ttl_ms), meta_ttl: Duration::from_secs(100) }
}

fn publication(offset: u64) -> Arc<Publication> {
    Arc::new(Publication { offset, ..Publication::default() })
}

fn at(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn offsets(publications: &[Arc<Publication>]) -> Vec<u64> {
    publications.iter().map(|publication| publication.offset).collect()
}

/// Offsets 1 to 10 of which the last five are kept, one a millisecond.
fn ten() -> Stream {
    let mut stream = Stream::new(Arc::from("e"), keep(5, 1000), at(0));
    for offset in 1..=10 {
        assert!(stream.append(publication(offset), at(offset)));
    }
    stream
}

#[test]
fn pages_go_forward_and_backward_from_a_position() {
    let stream = ten();
    let read = |count_max, since, reverse| {
        stream.read(&Range { count_max, since, reverse }, at(10)).map(|page| offsets(&page))
    };
    assert_eq!(read(3, None, false), Ok(vec![6, 7, 8]));
    assert_eq!(read(3, None, true), Ok(vec![10, 9, 8]));
    assert_eq!(read(9, Some((8, "e")), false), Ok(vec![9, 10]));
    assert_eq!(read(1, Some((8, "")), true), Ok(vec![7]));
    assert_eq!(read(9, Some((10, "e")), false), Ok(vec![]));
    assert_eq!(read(9, Some((1, "f")), false), Err(HistoryError::Unrecoverable));
    assert_eq!(read(9, Some((0, "e")), true), Err(HistoryError::BadRange));
}

#[test]
fn a_client_recovers_exactly_what_it_missed_or_hears_that_it_is_lost() {
    let stream = ten();
    let recover = |offset, epoch| match stream.recover(offset, epoch, 300, at(10)) {
        Recovery::Recovered(missed) => Some(offsets(&missed)),
        Recovery::Lost => None,
    };
    assert_eq!(recover(10, "e"), Some(vec![]));
    assert_eq!(recover(8, "e"), Some(vec![9, 10]));
    assert_eq!(recover(5, "e"), Some(vec![6, 7, 8, 9, 10]));
    assert_eq!(recover(4, "e"), None, "5 is not kept any more");
    assert_eq!(recover(11, "e"), None, "it has heard what was never said");
    assert_eq!(recover(8, "f"), None);
    assert_eq!(recover(8, ""), Some(vec![9, 10]));
    assert_eq!(stream.recover(5, "e", 4, at(10)), Recovery::Lost, "more than one recovery may bring");
    assert_eq!(stream.recover(5, "e", 300, at(1007)), Recovery::Lost, "6 and 7 have expired");
}

#[test]
fn the_cache_gives_the_latest_publication_to_whoever_does_not_have_it() {
    let stream = ten();
    let latest = |offset, epoch| match stream.recover_latest(offset, epoch, at(10)) {
        Recovery::Recovered(missed) => Some(offsets(&missed)),
        Recovery::Lost => None,
    };
    assert_eq!(latest(0, ""), Some(vec![10]));
    assert_eq!(latest(10, "e"), Some(vec![]));
    assert_eq!(latest(10, "f"), Some(vec![10]));
    let empty = Stream::new(Arc::from("e"), keep(5, 1000), at(0));
    assert_eq!(empty.recover_latest(0, "", at(0)), Recovery::Lost);
}

#[test]
fn the_position_outlives_the_publications() {
    let mut stream = ten();
    assert_eq!(stream.deadline(), at(1006));
    assert!(stream.expire(at(5000)));
    assert_eq!(stream.recover(10, "e", 300, at(5000)), Recovery::Recovered(vec![]));
    assert_eq!(stream.recover(9, "e", 300, at(5000)), Recovery::Lost);
    assert_eq!(stream.deadline(), at(100_010));
    assert!(!stream.expire(at(100_010)), "in the end the position is forgotten, too");
}

#[test]
fn removing_the_history_keeps_the_position() {
    let mut stream = ten();
    stream.remove();
    assert_eq!(stream.top(), 10);
    assert!(stream.append(publication(11), at(11)));
    assert!(!stream.append(publication(13), at(11)), "offsets have no holes");
}

#[test]
fn an_older_version_is_not_newer_unless_its_epoch_is_another() {
    let mut stream = ten();
    assert!(stream.is_newer(5, "a"));
    stream.set_version(5, Box::from("a"));
    assert!(!stream.is_newer(5, "a") && !stream.is_newer(4, "a"));
    assert!(stream.is_newer(6, "a") && stream.is_newer(1, "b"));
}

#[test]
fn a_cursor_moves_forward_only_and_not_beyond_the_top() {
    let mut stream = ten();
    assert_eq!(stream.cursor("u"), 0);
    assert_eq!(stream.acknowledge("u", 7), Ok(7));
    assert_eq!(stream.acknowledge("u", 3), Ok(7));
    assert_eq!(stream.acknowledge("u", 99), Ok(10));
    assert_eq!(stream.cursor("u"), 10);
}

#[test]
fn another_ttl_holds_for_what_is_kept_already() {
    let mut stream = ten();
    let read = |stream: &Stream, now| {
        offsets(&stream.read(&Range { count_max: 9, ..Range::default() }, at(now)).unwrap())
    };
    stream.set_keep(keep(5, 100));
    assert!(stream.append(publication(11), at(20)));
    assert_eq!(read(&stream, 107), [8, 9, 10, 11]);
    assert_eq!(read(&stream, 110), [11], "10 was published at 10");
    stream.set_keep(keep(2, 500));
    assert_eq!(read(&stream, 400), [10, 11]);
    assert_eq!(read(&stream, 519), [11]);
    assert_eq!(stream.deadline(), at(510));
}

#[test]
fn a_restored_stream_is_as_long_as_it_may_be_and_first_in_is_first_out() {
    let dues = [30, 10, 20, 40];
    let kept = dues.iter().zip(7..).map(|(due, offset)| (at(*due), publication(offset)));
    let stream = Stream::restored(Arc::from("e"), 10, kept, keep(3, 1000), at(5));
    let read = |now| offsets(&stream.read(&Range { count_max: 9, ..Range::default() }, at(now)).unwrap());
    assert_eq!(read(5), [8, 9, 10]);
    assert_eq!(read(25), [8, 9, 10], "no hole, although 8 and 9 are over by themselves");
    assert_eq!(read(30), [10]);
    assert_eq!(
        stream.recover(7, "e", 9, at(25)),
        Recovery::Recovered(stream.kept.iter().map(|(_, p)| Arc::clone(p)).collect())
    );
}

#[test]
fn an_empty_stream_is_small() {
    assert!(size_of::<Stream>() <= 136, "{}", size_of::<Stream>());
    let mut stream = ten();
    assert!(stream.expire(at(5000)));
    assert_eq!((stream.kept.capacity(), stream.bytes()), (0, 0));
}

#[test]
fn a_publication_counts_with_all_that_belongs_to_it() {
    let person =
        Person { user: "u".repeat(5).into(), conn_info: Some(Arc::from(&[0; 7][..])), ..Person::default() };
    let rich = Publication {
        data: vec![0; 1000].into(),
        info: Some(Box::new(person)),
        tags: [("key".into(), "value".into())].into(),
        ..Publication::default()
    };
    let tag = size_of::<(Box<str>, Box<str>)>() + 8;
    let expected = size_of::<Publication>() + 1000 + size_of::<Person>() + 12 + tag;
    assert_eq!(rich.bytes(), expected as u64);
}

fn of_bytes(offset: u64, bytes: u64) -> Arc<Publication> {
    Arc::new(Publication { offset, data: vec![0; bytes as usize].into(), ..Publication::default() })
}

proptest! {
    #[test]
    fn a_stream_agrees_with_a_list(
        first in (1..6_u32, 1..30_u64),
        steps in prop::collection::vec((0..6_u8, 0..8_u64, 1..6_u32, 1..30_u64, any::<bool>()), 1..120),
    ) {
        let (mut count_max, mut ttl) = first;
        let mut stream = Stream::new(Arc::from("e"), keep(count_max, ttl), at(0));
        // Offset, time of publication, bytes.
        let mut model: Vec<(u64, u64, u64)> = Vec::new();
        let (mut now, mut top) = (0, 0);
        for (act, value, count, life, reverse) in steps {
            match act {
                0 | 1 => {
                    top += 1;
                    let publication = of_bytes(top, value);
                    model.push((top, now, publication.bytes()));
                    prop_assert!(stream.append(publication, at(now)));
                }
                2 => now += value,
                3 => prop_assert!(stream.expire(at(now))),
                4 => {
                    (count_max, ttl) = (count, life);
                    stream.set_keep(keep(count_max, ttl));
                }
                _ if value == 0 => {
                    stream.remove();
                    model.clear();
                }
                _ => {}
            }
            model.drain(..model.len().saturating_sub(count_max as usize));
            if act == 3 {
                model.retain(|(_, time, _)| time + ttl > now);
            }
            prop_assert_eq!(stream.bytes(), model.iter().map(|(.., bytes)| bytes).sum::<u64>());
            prop_assert_eq!(stream.top(), top);
            let is_in_time = |(_, time, _): &(u64, u64, u64)| stream.deadline() <= at(time + ttl);
            prop_assert!(model.first().is_none_or(is_in_time));

            let live: Vec<u64> =
                model.iter().filter(|(_, time, _)| time + ttl > now).map(|(offset, ..)| *offset).collect();
            let all = stream.read(&Range { count_max: 99, ..Range::default() }, at(now)).unwrap();
            prop_assert_eq!(offsets(&all), live.clone());

            let since = value * 2;
            let range = Range { count_max: count as usize, since: Some((since, "e")), reverse };
            let mut page: Vec<u64> = live.clone();
            page.retain(|offset| if reverse { *offset < since } else { *offset > since });
            if reverse {
                page.reverse();
            }
            page.truncate(count as usize);
            let expected = if reverse && since == 0 { Err(HistoryError::BadRange) } else { Ok(page) };
            prop_assert_eq!(stream.read(&range, at(now)).map(|page| offsets(&page)), expected);

            let since = value.min(top);
            let missed: Vec<u64> = (since + 1..=top).collect();
            let expected = if live.ends_with(&missed) { Some(missed) } else { None };
            let recovered = match stream.recover(since, "e", 99, at(now)) {
                Recovery::Recovered(publications) => Some(offsets(&publications)),
                Recovery::Lost => None,
            };
            prop_assert_eq!(recovered, expected);
        }
    }
}
