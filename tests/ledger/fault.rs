//! What happens to a process, its network and its disk.

use super::book::Book;
use super::node::{DESCRIPTOR_COUNT, Node};
use crate::support::group::Group;
use crate::support::wait::pause;
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a new process.
    Kill,
    /// SIGUSR2: a new process takes over.
    Upgrade,
    /// SIGSTOP, and SIGCONT after a while.
    Pause,
    /// SIGHUP.
    Reload,
    /// All descriptors are taken by peers that say nothing.
    Descriptors,
    /// Every packet to the server is lost.
    Drop,
    /// One packet in five is.
    Loss,
    /// Every packet to the server is answered with a reset.
    Reset,
    /// The disk is full.
    Disk,
    /// The kernel ends the process because its control group has no memory left, and a new one starts.
    Memory,
}

impl Fault {
    /// Packets can only be touched in a network of our own.
    pub fn is_possible(self) -> bool {
        match self {
            Self::Drop | Self::Loss | Self::Reset => std::env::var_os(NETWORK).is_some(),
            // Where there is no such group, the node is in none.
            Self::Memory => Group::new(GROUP_BYTES).is_some(),
            Self::Kill | Self::Upgrade | Self::Pause | Self::Reload | Self::Descriptors | Self::Disk => true,
        }
    }

    /// Lets it happen, and be over. `span` is between no time and long against every timeout.
    pub fn strike(self, node: &mut Node, book: &Book, span: Duration) {
        match self {
            Self::Kill => {
                node.die(span / 4);
                book.open().deaths += 1;
            }
            Self::Upgrade => {
                if node.upgrade() {
                    book.open().deaths += 1;
                }
            }
            Self::Pause => {
                node.signal(Signal::STOP);
                pause(span);
                node.signal(Signal::CONT);
            }
            Self::Reload => node.signal(Signal::HUP),
            Self::Descriptors => {
                let idle = |_| TcpStream::connect_timeout(&node.public, Duration::from_secs(1));
                let taken: Vec<_> = (0..DESCRIPTOR_COUNT + 50).map(idle).collect();
                pause(span);
                drop(taken);
            }
            Self::Drop => filter(node, "drop", span),
            Self::Loss => filter(node, "numgen random mod 5 == 0 drop", span),
            Self::Reset => filter(node, "reject with tcp reset", span),
            Self::Disk => fill(node, span),
            Self::Memory => {
                node.starve(span / 4);
                book.open().deaths += 1;
            }
        }
        book.open().faults.push(format!("{self:?}"));
    }
}

/// Applies a rule to what clients send.
fn filter(node: &Node, verdict: &str, span: Duration) {
    let port = node.public.port();
    nft(&format!(
        "table inet ledger {{ chain input {{ type filter hook input priority 0; meta l4proto tcp tcp dport {port} {verdict}; }}; }}"
    ));
    pause(span);
    nft("delete table inet ledger");
}

fn nft(rules: &str) {
    let output = Command::new("nft").arg(rules).output().expect("nft runs");
    assert!(output.status.success(), "nft {rules}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Writes until nothing fits any more. Channels without history are none of the disk's business.
fn fill(node: &Node, span: Duration) {
    let path = node.folder().join("ballast");
    let mut file = fs::File::create(&path).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        let chunk = vec![0; size];
        while file.write_all(&chunk).is_ok() {}
    }
    pause(span.max(Duration::from_secs(1)));
    let answer = node.caller().call("publish", &json!({ "channel": "fleeting:a", "data": 1 })).unwrap();
    assert!(answer["result"].is_object(), "a full disk hurts a channel without history: {answer}");
    drop(file);
    fs::remove_file(path).unwrap();
}

/// Memory of a node that will have none left: a server that has hardly anything to do, several times.
pub const GROUP_BYTES: u64 = 256 << 20;
/// Set where packets may be touched.
pub const NETWORK: &str = "RINGWAY_LEDGER_NETWORK";
