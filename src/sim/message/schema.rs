//! The schema of the protocol as a table: numbers for Protobuf, names for JSON, kinds for both.
//! Invariant: written from the schema alone, it shares nothing with the codecs that it judges.

pub type Schema = &'static [Field];

#[derive(Debug)]
pub struct Field {
    pub number: u32,
    pub name: &'static str,
    pub kind: Kind,
    /// Written in JSON even when it is zero, because clients read it without looking.
    pub is_always: bool,
}

#[derive(Debug)]
pub enum Kind {
    Unsigned,
    Signed,
    Flag,
    Text,
    /// In JSON any value in its place.
    Raw,
    TextList,
    TextMap,
    One(Schema),
    Many(Schema),
    Map(Schema),
}

const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, is_always: false }
}

const fn always(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, is_always: true }
}

use Kind::{Flag, Many, Map, One, Raw, Signed, Text, TextList, TextMap, Unsigned};

pub static COMMAND: [Field; 13] = [
    field(1, "id", Unsigned),
    field(4, "connect", One(&CONNECT)),
    field(5, "subscribe", One(&SUBSCRIBE)),
    field(6, "unsubscribe", One(&CHANNEL)),
    field(7, "publish", One(&PUBLISH)),
    field(8, "presence", One(&CHANNEL)),
    field(9, "presence_stats", One(&CHANNEL)),
    field(10, "history", One(&HISTORY)),
    field(11, "ping", One(&[])),
    field(12, "send", One(&DATA)),
    field(13, "rpc", One(&RPC)),
    field(14, "refresh", One(&TOKEN)),
    field(15, "sub_refresh", One(&SUB_REFRESH)),
];

static CONNECT: [Field; 7] = [
    field(1, "token", Text),
    field(2, "data", Raw),
    field(3, "subs", Map(&SUBSCRIBE)),
    field(4, "name", Text),
    field(5, "version", Text),
    field(6, "headers", TextMap),
    field(7, "flag", Signed),
];

static SUBSCRIBE: [Field; 12] = [
    field(1, "channel", Text),
    field(2, "token", Text),
    field(3, "recover", Flag),
    field(6, "epoch", Text),
    field(7, "offset", Unsigned),
    field(8, "data", Raw),
    field(9, "positioned", Flag),
    field(10, "recoverable", Flag),
    field(11, "join_leave", Flag),
    field(12, "delta", Text),
    field(13, "tf", One(&FILTER)),
    field(14, "flag", Signed),
];

static FILTER: [Field; 6] = [
    field(1, "op", Text),
    field(2, "key", Text),
    field(3, "cmp", Text),
    field(4, "val", Text),
    field(5, "vals", TextList),
    field(6, "nodes", Many(&FILTER)),
];

static CHANNEL: [Field; 1] = [field(1, "channel", Text)];
static TOKEN: [Field; 1] = [field(1, "token", Text)];
static DATA: [Field; 1] = [field(1, "data", Raw)];
static RPC: [Field; 2] = [field(1, "data", Raw), field(2, "method", Text)];
static PUBLISH: [Field; 2] = [field(1, "channel", Text), field(2, "data", Raw)];
static SUB_REFRESH: [Field; 2] = [field(1, "channel", Text), field(2, "token", Text)];
static POSITION: [Field; 2] = [field(1, "offset", Unsigned), field(2, "epoch", Text)];
static HISTORY: [Field; 4] = [
    field(1, "channel", Text),
    field(7, "limit", Signed),
    field(8, "since", One(&POSITION)),
    field(9, "reverse", Flag),
];

pub static REPLY: [Field; 13] = [
    field(1, "id", Unsigned),
    field(2, "error", One(&ERROR)),
    field(4, "push", One(&PUSH)),
    field(5, "connect", One(&CONNECT_RESULT)),
    field(6, "subscribe", One(&SUBSCRIBE_RESULT)),
    field(7, "unsubscribe", One(&[])),
    field(8, "publish", One(&[])),
    field(9, "presence", One(&PRESENCE_RESULT)),
    field(10, "presence_stats", One(&STATS_RESULT)),
    field(11, "history", One(&HISTORY_RESULT)),
    field(13, "rpc", One(&DATA)),
    field(14, "refresh", One(&REFRESH_RESULT)),
    field(15, "sub_refresh", One(&EXPIRY)),
];

static PUSH: [Field; 10] = [
    field(1, "id", Signed),
    field(2, "channel", Text),
    field(4, "pub", One(&PUBLICATION)),
    field(5, "join", One(&INFO)),
    field(6, "leave", One(&INFO)),
    field(7, "unsubscribe", One(&ENDING)),
    field(8, "message", One(&DATA)),
    field(9, "subscribe", One(&SUBSCRIBED)),
    field(11, "disconnect", One(&DISCONNECT)),
    field(12, "refresh", One(&EXPIRY)),
];

static ERROR: [Field; 3] =
    [field(1, "code", Unsigned), field(2, "message", Text), field(3, "temporary", Flag)];
static ENDING: [Field; 2] = [field(2, "code", Unsigned), field(3, "reason", Text)];
static DISCONNECT: [Field; 3] =
    [field(1, "code", Unsigned), field(2, "reason", Text), field(3, "reconnect", Flag)];
static INFO: [Field; 1] = [field(1, "info", One(&CLIENT_INFO))];
static EXPIRY: [Field; 2] = [field(1, "expires", Flag), field(2, "ttl", Unsigned)];
static CLIENT_INFO: [Field; 4] = [
    always(1, "user", Text),
    always(2, "client", Text),
    field(3, "conn_info", Raw),
    field(4, "chan_info", Raw),
];
static PUBLICATION: [Field; 8] = [
    field(4, "data", Raw),
    field(5, "info", One(&CLIENT_INFO)),
    field(6, "offset", Unsigned),
    field(7, "tags", TextMap),
    field(8, "delta", Flag),
    field(9, "time", Signed),
    field(10, "channel", Text),
    field(14, "epoch", Text),
];
static SUBSCRIBED: [Field; 5] = [
    field(1, "recoverable", Flag),
    field(4, "epoch", Text),
    field(5, "offset", Unsigned),
    field(6, "positioned", Flag),
    field(7, "data", Raw),
];
static CONNECT_RESULT: [Field; 11] = [
    field(1, "client", Text),
    field(2, "version", Text),
    field(3, "expires", Flag),
    field(4, "ttl", Unsigned),
    field(5, "data", Raw),
    field(6, "subs", Map(&SUBSCRIBE_RESULT)),
    field(7, "ping", Unsigned),
    field(8, "pong", Flag),
    field(9, "session", Text),
    field(10, "node", Text),
    field(11, "time", Signed),
];
static SUBSCRIBE_RESULT: [Field; 12] = [
    field(1, "expires", Flag),
    field(2, "ttl", Unsigned),
    field(3, "recoverable", Flag),
    field(6, "epoch", Text),
    field(7, "publications", Many(&PUBLICATION)),
    field(8, "recovered", Flag),
    field(9, "offset", Unsigned),
    field(10, "positioned", Flag),
    field(11, "data", Raw),
    field(12, "was_recovering", Flag),
    field(13, "delta", Flag),
    field(14, "id", Signed),
];
static PRESENCE_RESULT: [Field; 1] = [always(1, "presence", Map(&CLIENT_INFO))];
static STATS_RESULT: [Field; 2] = [always(1, "num_clients", Unsigned), always(2, "num_users", Unsigned)];
static HISTORY_RESULT: [Field; 3] =
    [always(1, "publications", Many(&PUBLICATION)), always(2, "epoch", Text), always(3, "offset", Unsigned)];
static REFRESH_RESULT: [Field; 4] = [
    field(1, "client", Text),
    field(2, "version", Text),
    field(3, "expires", Flag),
    field(4, "ttl", Unsigned),
];
