//! What an engine is told to do and what it tells back: the messages between the conductor and its workers.
//!
//! They travel as rkyv archives that are validated when they are read. All times are `CLOCK_MONOTONIC` nanoseconds, which
//! every process of a host shares. Connections are numbered over all engines: slot `s` of engine `e` is `e + s * engines`.

use rkyv::{Archive, Deserialize, Serialize};

/// What the server speaks.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// Bare messages: an echo server, or one that sends every message to all of its connections.
    Raw,
    /// The JSON client protocol of Centrifugo.
    Centrifuge,
    /// The same in Protobuf; the URL needs `?format=protobuf`.
    CentrifugeProtobuf,
}

impl Protocol {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Centrifuge => "centrifuge",
            Self::CentrifugeProtobuf => "centrifuge-protobuf",
        }
    }
}

/// Whether the connections offer permessage-deflate (RFC 7692). What the generator sends itself goes uncompressed.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    None,
    /// Each message by itself.
    Single,
    /// Messages of the server may build on those before.
    Takeover,
}

impl Compression {
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Single => "single",
            Self::Takeover => "takeover",
        }
    }

    /// The header line that asks for it.
    pub const fn offer(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Single => Some(
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            ),
            Self::Takeover => Some("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"),
        }
    }
}

/// What makes a publisher send.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    Silent,
    /// The next message leaves when one's own came back; this many are under way.
    Closed {
        pipeline: u32,
    },
    /// At fixed times, whatever comes back.
    Open {
        period_ns: f64,
    },
}

/// Everything that stays the same during a run. Sent once to each engine.
#[derive(Archive, Serialize, Deserialize, Clone, Debug)]
pub struct Plan {
    pub engine: u32,
    pub engines: u32,
    /// CPU to run on.
    pub core: Option<u32>,
    /// Zero of the stamps.
    pub epoch_ns: u64,
    /// Address of the server, `host:port` in figures.
    pub address: String,
    /// None: without TLS.
    pub tls: Option<Trust>,
    /// Bytes of the upgrade request.
    pub request: Vec<u8>,
    pub protocol: Protocol,
    pub compression: Compression,
    /// Local IPv4 addresses to connect from, in turn; empty: the kernel's choice.
    pub sources: Vec<[u8; 4]>,
    pub shape: Shape,
    /// Attempts per second of this engine; 0: no limit.
    pub connect_rate: u32,
    /// Handshakes of this engine that may be under way.
    pub in_flight_max: u32,
    /// Attempts for each connection.
    pub tries_max: u8,
    pub seed: u64,
}

/// Whom connections over TLS want to talk to.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Name or address that the certificate has to have.
    pub name: String,
    /// Who vouches for it, in PEM; empty: nobody has to.
    pub roots: String,
}

/// Who listens to whom: groups of equal size, the first members of which publish.
#[derive(Archive, Serialize, Deserialize, Clone, Debug)]
pub struct Shape {
    /// Over all engines.
    pub connections: u32,
    /// Connections of a group; on the client protocol a group is a channel.
    pub members: u32,
    /// Publishers of a group.
    pub speakers: u32,
    /// Bytes of a payload as the application sees it.
    pub size: u32,
    /// Binary messages; text otherwise.
    pub binary: bool,
    pub pace: Pace,
    /// Whether members subscribe to the channel of their group.
    pub subscribe: bool,
    /// Channels that each member listens to: that of its group and others of the same kind.
    pub subscriptions: u32,
    /// Whether subscribing asks for everything that the channel keeps.
    pub recover: bool,
    /// First part of all channel names.
    pub channel_prefix: String,
    /// Token of the connect command; empty: none.
    pub token: String,
}

impl Protocol {
    /// Whether there are channels, so that not everybody hears everything.
    pub const fn has_channels(self) -> bool {
        match self {
            Self::Raw => false,
            Self::Centrifuge | Self::CentrifugeProtobuf => true,
        }
    }
}

impl Shape {
    /// Publishers of the run. The last group may be smaller than the others.
    pub fn publishers(&self) -> u32 {
        let whole = self.connections / self.members * self.speakers;
        whole + (self.connections % self.members).min(self.speakers)
    }

    /// Number of the publisher that connection `index` is.
    pub fn publisher(&self, index: u32) -> Option<u32> {
        let member = index % self.members;
        (member < self.speakers).then(|| index / self.members * self.speakers + member)
    }

    pub fn group(&self, index: u32) -> u32 {
        index / self.members
    }

    /// Members of a group.
    pub fn audience(&self, group: u32) -> u32 {
        self.members.min(self.connections - group * self.members)
    }
}

/// From the conductor to an engine.
#[expect(clippy::large_enum_variant, reason = "a plan is sent once to each engine")]
#[derive(Archive, Serialize, Deserialize, Clone, Debug)]
pub enum Order {
    Plan(Plan),
    /// Bring the run's first `total` connections up, as far as they are yours.
    Connect {
        total: u32,
    },
    /// Send from `begin_ns` to `until_ns`; figures count from `from_ns`.
    Load {
        begin_ns: u64,
        from_ns: u64,
        until_ns: u64,
    },
    /// This is what each publisher has sent: wait for the rest, at the latest until `deadline_ns`.
    Settle {
        published: Vec<(u32, u32)>,
        deadline_ns: u64,
    },
    /// At `at_ns` drop all connections that are left and come back; whoever was lost before is forgiven.
    Storm {
        at_ns: u64,
    },
    /// Close all connections, report and end.
    Finish,
}

/// From an engine to the conductor.
#[derive(Archive, Serialize, Deserialize, Clone, Debug)]
pub enum Note {
    /// A sign of life, several times a second.
    Progress { connected: u32, sent: u64, received: u64 },
    /// The last `Connect` or `Storm` is done, with what it counted.
    Connected(Dialled),
    /// One second of a load, counted from `from_ns`.
    Second(Second),
    /// A load has been sent: publishers and how many messages each has sent since the start of the run.
    Published(Vec<(u32, u32)>),
    /// Nothing more is expected, or the deadline has passed. Closes the load.
    Settled(Loaded),
    /// The last word.
    Finished(Ending),
    /// The engine cannot go on.
    Failed { message: String },
}

/// What bringing connections up took.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, Default)]
pub struct Dialled {
    /// Up at the end.
    pub connected: u32,
    /// Given up after many failures.
    pub given_up: u32,
    pub attempts: u64,
    pub retries: u64,
    /// From the order to the last connection.
    pub elapsed_ns: u64,
    /// From the start of each successful attempt (in a storm: from the storm) until the connection was ready.
    pub latency: Vec<u8>,
    /// Why attempts failed, and how often.
    pub reasons: Vec<(String, u64)>,
}

/// What happened in one second of a load.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, Default)]
pub struct Second {
    /// 0 is the first second that counts.
    pub index: u32,
    pub sent: u64,
    pub received: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub latency: Vec<u8>,
}

/// The sum of a load.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, Default)]
pub struct Loaded {
    /// Proof, since the start of the run.
    pub expected: u64,
    pub delivered: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub stray: u64,
    /// Messages that could not leave because the server took nothing more.
    pub unsent: u64,
    /// How late sends were, in the part that counts.
    pub lateness: Vec<u8>,
    /// CPU time of this process in the part that counts, and time that it was kept from the CPU.
    pub cpu_ns: u64,
    pub waiting_ns: u64,
    /// Arrivals that were read out of a full batch of events: the engine was behind.
    pub crowded: u64,
    /// Arrivals in the part that counts.
    pub received: u64,
}

/// What went wrong with connections that had come up.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, Default)]
pub struct Ending {
    /// Ended by the server or the network, by close code or reason.
    pub disconnects: Vec<(String, u64)>,
    /// Error replies, by command and code.
    pub error_replies: Vec<(String, u64)>,
}
