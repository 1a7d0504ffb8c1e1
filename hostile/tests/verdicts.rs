//! The verdicts themselves: a server that is right passes, one that differs is excused, and one that is wrong is found
//! out. The servers are a few lines each, wrong on purpose.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use ringway_hostile::row::{self, Row};
use ringway_hostile::run::{self, Options, Outcome};
use ringway_hostile::target::{Known, Target};
use ringway_hostile::tls::Trust;
use ringway_hostile::verdict::Verdict;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// What a server does with an unmasked frame; it is right in everything else that the rows below look at.
#[derive(Clone, Copy, PartialEq)]
enum Habit {
    Closes,
    Vanishes,
    Delivers,
    /// Takes everybody down with it.
    Dies,
}

fn serve(habit: Habit) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let dead = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let dead = std::sync::Arc::clone(&dead);
            std::thread::spawn(move || serve_one(stream.unwrap(), habit, &dead));
        }
    });
    address
}

fn serve_one(mut stream: TcpStream, habit: Habit, dead: &std::sync::atomic::AtomicBool) -> Option<()> {
    use std::sync::atomic::Ordering::Relaxed;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(byte(&mut stream)?);
    }
    stream
        .write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        )
        .ok()?;
    loop {
        let (first, second) = (byte(&mut stream)?, byte(&mut stream)?);
        if dead.load(Relaxed) {
            return None;
        }
        let is_masked = second & 0x80 != 0;
        let mut key = [0; 4];
        if is_masked {
            stream.read_exact(&mut key).ok()?;
        }
        let mut payload = vec![0; usize::from(second & 0x7f)];
        stream.read_exact(&mut payload).ok()?;
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        if !is_masked {
            match habit {
                Habit::Closes => {
                    stream.write_all(b"\x88\x02\x03\xea").ok()?;
                    return None;
                }
                Habit::Vanishes => return None,
                Habit::Delivers => {}
                Habit::Dies => {
                    dead.store(true, Relaxed);
                    return None;
                }
            }
        }
        stream.write_all(&[&[first, payload.len() as u8], &payload[..]].concat()).ok()?;
        if first == 0x88 {
            return None;
        }
    }
}

fn byte(stream: &mut TcpStream) -> Option<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte).ok().map(|()| byte[0])
}

fn rows(text: &str) -> Vec<Row> {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rows-{}", text.len()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("rows.toml"), text).unwrap();
    row::of_folder(&folder).unwrap()
}

const UNMASKED: &str = "[[row]]\nid = \"X-01\"\ntitle = \"an unmasked frame\"\nsource = \"RFC 6455 5.1\"\n\
    policy = \"closing is as safe\"\nsteps = '''\nupgrade\nframe text key=none \"hi\"\nclosed 1002 ~ end\n'''\n";

fn outcome(habit: Habit, text: &str, exact: bool) -> Outcome {
    let mut target =
        Target::new(&format!("ws://{}/", serve(habit)), &Trust::Machine, Known::default()).unwrap();
    let options = Options { exact, patience: Duration::from_secs(10), ..Options::default() };
    let mut outcomes = Vec::new();
    // A server that died is the error of the run; its row was heard of before.
    let _ = run::run(&mut target, &rows(text), &options, |outcome| outcomes.push(outcome.clone()));
    outcomes.pop().unwrap()
}

#[test]
fn a_server_that_does_as_asked_passes() {
    let outcome = outcome(Habit::Closes, UNMASKED, true);
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert!(outcome.canary.echoes >= 3, "{outcome:?}");
}

#[test]
fn a_server_that_does_what_it_may_differs_and_with_exact_fails() {
    assert!(matches!(outcome(Habit::Vanishes, UNMASKED, false).verdict, Verdict::Differs(_)));
    assert!(matches!(outcome(Habit::Vanishes, UNMASKED, true).verdict, Verdict::Fail(_)));
}

#[test]
fn a_server_that_delivers_what_it_must_refuse_fails() {
    let Verdict::Fail(why) = outcome(Habit::Delivers, UNMASKED, false).verdict else { panic!("it passed") };
    assert!(why.contains("a message came"), "{why}");
}

#[test]
fn a_server_that_harms_an_honest_client_fails_although_its_answer_was_allowed() {
    let Verdict::Fail(why) = outcome(Habit::Dies, UNMASKED, false).verdict else { panic!("it passed") };
    assert!(why.contains("honest client"), "{why}");
}

#[test]
fn what_a_target_does_not_offer_is_skipped_with_the_reason() {
    let text = UNMASKED.replace("policy", "needs = [\"deflate\"]\npolicy");
    let Verdict::Skipped(why) = outcome(Habit::Closes, &text, true).verdict else { panic!("it ran") };
    assert!(why.contains("permessage-deflate"), "{why}");
}
