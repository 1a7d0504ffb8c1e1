//! A small WebSocket server that is not ours (tungstenite, a thread per connection), with faults on demand.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role};
use tungstenite::{Message, WebSocket, accept};

/// What the server does to messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Sends each message back.
    Echo,
    /// Forgets every hundredth.
    Drop,
    /// Sends every hundredth twice.
    Duplicate,
    /// Holds every hundredth back until the next has gone.
    Swap,
    /// Closes with code 3008 after a hundred.
    Close,
    /// Closes with code 1001 at once.
    Leave,
    /// Sends each message to all connections.
    Broadcast,
    /// Speaks the client protocol.
    Centrifuge,
    /// Speaks the client protocol, and refuses every hundredth publish.
    Refuse,
}

type Writer = Arc<Mutex<WebSocket<TcpStream>>>;

/// Who listens to what; the empty name is everybody.
#[derive(Default)]
struct Rooms(Mutex<HashMap<String, Vec<Writer>>>);

impl Rooms {
    fn join(&self, room: &str, writer: &Writer) {
        self.0.lock().unwrap().entry(room.to_owned()).or_default().push(Arc::clone(writer));
    }

    fn send(&self, room: &str, message: &Message) {
        let rooms = self.0.lock().unwrap();
        for writer in rooms.get(room).into_iter().flatten() {
            // A member who has gone is none of the others' business.
            let _ = writer.lock().unwrap().send(message.clone());
        }
    }
}

/// Listens on a free port of the loopback; the threads end with their connections.
pub fn start(manner: Manner) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || accept_forever(&listener, manner));
    address
}

/// Becomes a server, in this thread.
pub fn serve_forever(port: u16, manner: Manner) -> ! {
    accept_forever(&TcpListener::bind(("127.0.0.1", port)).unwrap(), manner)
}

fn accept_forever(listener: &TcpListener, manner: Manner) -> ! {
    let rooms = Arc::new(Rooms::default());
    loop {
        let ((stream, _), rooms) = (listener.accept().unwrap(), Arc::clone(&rooms));
        std::thread::spawn(move || serve(stream, manner, &rooms));
    }
}

fn serve(stream: TcpStream, manner: Manner, rooms: &Rooms) {
    stream.set_nodelay(true).unwrap();
    let second = stream.try_clone().unwrap();
    let Ok(mut reader) = accept(stream) else { return };
    if manner == Manner::Leave {
        let frame = CloseFrame { code: CloseCode::Away, reason: "".into() };
        let _ = reader.close(Some(frame));
    }
    let writer = Arc::new(Mutex::new(WebSocket::from_raw_socket(second, Role::Server, None)));
    rooms.join("", &writer);
    let mut conversation = Conversation { manner, count: 0, held: None, writer, rooms };
    while let Ok(message) = reader.read() {
        if message.is_close() {
            let _ = reader.flush();
            // The other clones of the socket live on in the rooms; the connection must not.
            let _ = reader.get_ref().shutdown(Shutdown::Both);
            return;
        }
        if message.is_text() || message.is_binary() {
            conversation.take(message);
        }
    }
}

struct Conversation<'a> {
    manner: Manner,
    count: u32,
    held: Option<Message>,
    writer: Writer,
    rooms: &'a Rooms,
}

impl Conversation<'_> {
    fn take(&mut self, message: Message) {
        self.count += 1;
        let hundredth = self.count.is_multiple_of(100);
        match self.manner {
            Manner::Drop if hundredth => {}
            Manner::Duplicate if hundredth => {
                self.send(message.clone());
                self.send(message);
            }
            Manner::Swap if hundredth => self.held = Some(message),
            Manner::Close if hundredth => {
                let frame = CloseFrame { code: 3008.into(), reason: "slow".into() };
                let _ = self.writer.lock().unwrap().close(Some(frame));
            }
            Manner::Broadcast => self.rooms.send("", &message),
            Manner::Centrifuge | Manner::Refuse => self.commands(message.to_text().unwrap()),
            Manner::Leave => {}
            Manner::Echo | Manner::Drop | Manner::Duplicate | Manner::Swap | Manner::Close => {
                self.send(message);
            }
        }
    }

    fn send(&mut self, message: Message) {
        let mut writer = self.writer.lock().unwrap();
        let _ = writer.send(message);
        if let Some(held) = self.held.take() {
            let _ = writer.send(held);
        }
    }

    fn commands(&mut self, text: &str) {
        for line in text.lines() {
            let command: serde_json::Value = serde_json::from_str(line).unwrap();
            let id = &command["id"];
            let mut reply =
                format!("{{\"id\":{id},\"connect\":{{\"client\":\"x\",\"ping\":25,\"pong\":true}}}}");
            if let Some(channel) = command["subscribe"]["channel"].as_str() {
                self.rooms.join(channel, &self.writer);
                reply = format!("{{\"id\":{id},\"subscribe\":{{}}}}");
            } else if let Some(channel) = command["publish"]["channel"].as_str() {
                if self.manner == Manner::Refuse && self.count.is_multiple_of(100) {
                    reply = format!(
                        "{{\"id\":{id},\"error\":{{\"code\":103,\"message\":\"permission denied\"}}}}"
                    );
                } else {
                    let data = &command["publish"]["data"];
                    let push = format!(
                        "{{\"push\":{{\"channel\":\"{channel}\",\"pub\":{{\"data\":{data},\"info\":{{\"user\":\"\",\"client\":\"x\"}}}}}}}}\n{{}}"
                    );
                    self.rooms.send(channel, &Message::text(push));
                    reply = format!("{{\"id\":{id},\"publish\":{{}}}}");
                }
            } else if command.as_object().unwrap().is_empty() {
                continue;
            }
            let _ = self.writer.lock().unwrap().send(Message::text(reply));
        }
    }
}
