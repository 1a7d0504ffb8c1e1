//! A peer to compare with: tokio-tungstenite as its authors recommend it.
//!
//! - Read buffer 4 KiB instead of 128 KiB: the documentation of `WebSocketConfig` recommends it "for scenarios where
//!   you expect a lot of connections". Small messages cost the same CPU, an idle connection 124 KiB less.
//! - The current-thread runtime when it has one core: no work stealing, no atomic wake-ups from other threads.
//! - `TCP_NODELAY`, no compression (the library has none), no logging, mimalloc as in Ringway.
//! - Broadcast: messages are `Bytes` shared by count; all that is queued for a connection leaves in one flush.

use futures_util::{SinkExt, StreamExt};
use peer_options::{Hub, Mode, Options};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

static HUB: Hub<Message> = Hub::new();

/// Messages that are taken from a queue before a flush.
const BATCH_COUNT: usize = 64;

fn main() -> std::io::Result<()> {
    let options = Options::from_args();
    options.runtime()?.block_on(async {
        let listener = options.listener()?;
        loop {
            // Out of descriptors, or a peer that hung up in the queue: the next accept may do better.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            tokio::spawn(serve(stream, options.mode));
        }
    })
}

async fn serve(stream: TcpStream, mode: Mode) {
    // An error here is a peer that broke the protocol or left: the connection ends either way.
    let _ = match (accept(stream).await, mode) {
        (Ok(socket), Mode::Echo) => echo(socket).await,
        (Ok(socket), Mode::Broadcast) => broadcast(socket).await,
        (Err(error), _) => Err(error),
    };
}

async fn accept(stream: TcpStream) -> Result<WebSocketStream<TcpStream>, Error> {
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(4 * 1024);
    accept_async_with_config(stream, Some(config)).await
}

async fn echo(mut socket: WebSocketStream<TcpStream>) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn broadcast(mut socket: WebSocketStream<TcpStream>) -> Result<(), Error> {
    let (key, mut queue) = HUB.join();
    let mut batch = Vec::new();
    let outcome = loop {
        tokio::select! {
            received = socket.next() => match received {
                Some(Ok(message)) if message.is_text() || message.is_binary() => HUB.broadcast(&message),
                Some(Ok(_)) => {}
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            },
            _ = queue.recv_many(&mut batch, BATCH_COUNT) => {
                if let Err(error) = deliver(&mut socket, &mut batch).await {
                    break Err(error);
                }
            }
        }
    };
    HUB.leave(key);
    outcome
}

async fn deliver(socket: &mut WebSocketStream<TcpStream>, batch: &mut Vec<Message>) -> Result<(), Error> {
    for message in batch.drain(..) {
        socket.feed(message).await?;
    }
    socket.flush().await
}
