//! Publishes numbered publications and writes down each acknowledgement. What has no answer is tried again under the
//! same key until it has one, so that a repetition is the server's to recognise.

use super::book::{Book, Place, hash};
use super::call::Caller;
use super::run::{CHANNELS, Stop};
use crate::support::wait::pause;
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;

pub fn publish(id: usize, address: SocketAddr, book: &Book, stop: &Stop) {
    let mut caller = Caller::new(address);
    for number in 1.. {
        let channel = CHANNELS[number as usize % CHANNELS.len()];
        let data = json!({ "publisher": id, "number": number, "text": "x".repeat(number as usize % 300) });
        let key = format!("{id}-{number}");
        let params = json!({ "channel": channel, "data": data, "idempotency_key": key });
        loop {
            // What is under way when the time is up stays without a verdict.
            if stop.is_over() {
                return;
            }
            let Ok(answer) = caller.call("publish", &params) else {
                pause(RETRY_DELAY);
                continue;
            };
            if answer["error"]["code"] == 100 {
                book.open().refused += 1;
                pause(RETRY_DELAY);
                continue;
            }
            let (epoch, offset) = (answer["result"]["epoch"].as_str(), answer["result"]["offset"].as_u64());
            match (epoch, offset) {
                (Some(epoch), Some(offset)) => {
                    let place = Place { channel, epoch: epoch.to_owned(), offset };
                    book.open().acknowledged(place, hash(&data), id, number);
                }
                _ => book.open().violated(format!("a publication was answered with {answer}")),
            }
            break;
        }
        pause(INTERVAL);
    }
}

const RETRY_DELAY: Duration = Duration::from_millis(50);
const INTERVAL: Duration = Duration::from_millis(4);
