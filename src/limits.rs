//! Every limit of the product: noun, then unit, then qualifier. The reason or precedent stands beside the number.
//! Relations between limits are proved at compile time. Options of the configuration default to these.

pub const KIB: u32 = 1024;
pub const MIB: u32 = 1024 * KIB;

// HTTP head (RFC 9112). Precedents: websockets 8192 a line and 128 headers, Envoy 60 KiB and 100 headers.

/// Longest request line, without CRLF. Beyond: 414.
pub const REQUEST_LINE_BYTES_MAX: u32 = 8 * KIB;
/// Longest header line, without CRLF. Beyond: 431.
pub const HEADER_LINE_BYTES_MAX: u32 = 8 * KIB;
/// Whole head including the blank line. Beyond: 431.
pub const HEAD_BYTES_MAX: u32 = 16 * KIB;
/// Header fields in a head. Beyond: 431.
pub const HEADER_COUNT_MAX: usize = 100;
/// Bytes that a peer may send behind its head before we have answered it (first frames in the same segment).
pub const EARLY_BYTES_MAX: u32 = 64 * KIB;
/// Absolute time for the whole head, not an idle time: a slow drip does not extend it. Beyond: 408.
pub const HANDSHAKE_MS_MAX: u64 = 10_000;

// TLS (RFC 8446).

/// Absolute time from the connection to the end of the TLS handshake; NATS takes 2 s. Beyond: closed.
pub const TLS_HANDSHAKE_MS_MAX: u64 = 5_000;
/// Received before the handshake is done, client certificates included. Beyond: an alert. rustls allows 64 KiB a message.
pub const TLS_HANDSHAKE_BYTES_MAX: u32 = 32 * KIB;
/// Records before the handshake is done: honest clients need six or seven. Beyond: an alert.
pub const TLS_HANDSHAKE_RECORD_COUNT_MAX: u32 = 32;
/// Connections of a core whose expanded TLS keys are kept, a little more than 1 KiB each.
pub const TLS_KEY_COUNT_KEPT_MAX: usize = 1024;

// WebSocket (RFC 6455).

/// Payload of a control frame (RFC 6455 section 5.5).
pub const CONTROL_BYTES_MAX: u32 = 125;
/// Default for a whole message in bytes; Centrifugo's `websocket.message_size_limit`. Beyond: 1009.
pub const MESSAGE_BYTES_MAX: u32 = 64 * KIB;
/// What an operator may raise the message limit to; Autobahn needs 16 MiB.
pub const MESSAGE_BYTES_CEILING: u32 = 64 * MIB;
/// Frames without payload inside one message: legal, but nobody sends many. Beyond: 1008.
pub const EMPTY_FRAMES_MAX: u32 = 256;
/// Messages of ours below this go uncompressed: headers of packets weigh more than what could be saved.
pub const DEFLATE_BYTES_MIN: u32 = 128;
/// How far back compressed messages may refer into those before: 4 KiB a direction and connection.
pub const TAKEOVER_WINDOW_BITS: u32 = 12;
/// Memory of a node for that, some 8,000 connections. Beyond: messages of new ones stand by themselves.
pub const TAKEOVER_BYTES_MAX: u32 = 64 * MIB;
/// Blocks that end a DEFLATE stream within one compressed message: legal, but one is all that anybody sends. Beyond: 1008.
pub const FINAL_BLOCK_COUNT_MAX: u32 = 16;
/// Buffers for messages in pieces that a core keeps for the next ones. Beyond: back to the allocator.
pub const ASSEMBLY_COUNT_KEPT_MAX: usize = 64;
/// A buffer that grew larger is not kept, so that one large message does not set the size for ever: 1 MiB a core at most.
pub const ASSEMBLY_BYTES_KEPT_MAX: usize = 16 * KIB as usize;
/// Absolute time from the first byte of a message to its last. Beyond: 1008.
pub const MESSAGE_MS_MAX: u64 = 30_000;
/// Reason text of a close frame: a control payload less the two bytes of the code.
pub const CLOSE_REASON_BYTES_MAX: usize = 123;
/// How long a peer may take to answer our close frame.
pub const CLOSE_MS_MAX: u64 = 5_000;
/// How long we read and discard after our FIN, so that the peer sees the close frame rather than a reset.
pub const LINGER_MS_MAX: u64 = 2_000;

// Outbox.

/// Bytes queued to one client before it counts as slow (3008); Centrifugo's `client.queue_max_size`.
pub const OUTBOX_BYTES_MAX: u32 = MIB;
/// Small payloads are gathered into one send up to this size.
pub const GATHER_BYTES_MAX: u32 = 64 * KIB;
/// A payload of this size is sent from where it lies instead of being copied.
pub const GATHER_COPY_BYTES_MAX: u32 = 16 * KIB;

// Client protocol. Defaults are Centrifugo's.

/// Commands in one message. Beyond: disconnect 3501.
pub const COMMANDS_PER_MESSAGE_MAX: u32 = 256;
/// Nesting of embedded JSON. Beyond: disconnect 3501.
pub const JSON_DEPTH_MAX: u32 = 32;
/// Nesting of a filter on tags: what the limit above leaves one in JSON, where a level is an object in an array.
pub const FILTER_DEPTH_MAX: u32 = JSON_DEPTH_MAX / 2;
/// Time from the upgrade to a successful connect command. Beyond: disconnect 3502.
pub const STALE_MS_MAX: u64 = 10_000;
/// Between pings.
pub const PING_INTERVAL_MS: u64 = 25_000;
/// From a ping to its pong. Beyond: disconnect 3012.
pub const PONG_MS_MAX: u64 = 8_000;
/// Channel name in bytes. Beyond: error 107.
pub const CHANNEL_NAME_BYTES_MAX: usize = 255;
/// Subscriptions of one connection. Beyond: error 106.
pub const CHANNELS_PER_CLIENT_MAX: u32 = 128;
/// Publications in one answer to `history`, and in one recovery. Beyond: the page ends, the recovery fails.
pub const HISTORY_PAGE_COUNT_MAX: u32 = 300;
pub const RECOVERY_COUNT_MAX: u32 = 300;
/// What an operator may make a channel keep: beyond, a channel is a database.
pub const HISTORY_COUNT_CEILING: u32 = 1_000_000;
/// For which the position of a channel outlives its last publication: a month, for clients that were on holiday.
pub const HISTORY_META_MS: u64 = 30 * 24 * 3_600_000;
/// Commands a second of one connection, and of a user on one core: whoever publishes at every frame of a 240 Hz screen
/// into four channels still passes, and a core spends about a hundredth of itself on one that keeps to it. Beyond: error 111.
pub const COMMANDS_PER_S_MAX: u32 = 1_000;
pub const USER_COMMANDS_PER_S_MAX: u32 = 4 * COMMANDS_PER_S_MAX;
/// Bytes a second from one connection, and from a user to one core: 64 Mbit/s are no conversation any more but an upload.
/// Beyond: disconnect 3013.
pub const BYTES_PER_S_MAX: u32 = 8 * MIB;
pub const USER_BYTES_PER_S_MAX: u32 = 4 * BYTES_PER_S_MAX;
/// What an operator may set a rate or a burst to: buckets count in billionths, in 64 bits.
pub const RATE_COUNT_CEILING: u32 = 1_000_000_000;
/// What a client gets beyond the end of its connection or subscription, to refresh it. Beyond: 3005, 2501.
pub const EXPIRED_MS_MAX: u64 = 25_000;
/// Between two comparisons of a quiet positioned subscription with its channel. A gap: 2500.
pub const POSITION_CHECK_MS: u64 = 40_000;
/// From a request to another core (or, later, a broker) to its reply. Beyond: error 100, temporary.
pub const ENGINE_MS_MAX: u64 = 5_000;

/// From a call of the server API on a core to its outcome. Longer than `ENGINE_MS_MAX`: a core that waits for an engine
/// answers first.
pub const CALL_MS_MAX: u64 = 6_000;

// Tokens.

/// A token in characters: room for 128 subscriptions with their data, and half of a message. Beyond: disconnect 3500.
pub const TOKEN_BYTES_MAX: usize = 32 * KIB as usize;
/// User id in bytes: any UUID, mail address or URI of an identity provider. Beyond: an invalid token.
pub const USER_ID_BYTES_MAX: usize = 255;
/// Name of a key (`kid`); thumbprints have 43 characters.
pub const KEY_ID_BYTES_MAX: usize = 256;
/// Keys of a key set; the largest public ones have some twenty. Beyond: the set is refused.
pub const KEY_SET_COUNT_MAX: usize = 100;
/// A key set is fetched again for an unknown key at most this often: whoever invents key names cannot make us call out.
pub const KEY_SET_REFETCH_MS_MIN: u64 = 10_000;
/// A key set is fetched again at this age: so long can a withdrawn key still be used. Centrifugo's.
pub const KEY_SET_LIFE_MS: u64 = 3_600_000;
/// Fetching a key set: below `ENGINE_MS_MAX`, since a client waits for it.
pub const KEY_SET_FETCH_MS_MAX: u64 = 3_000;
/// A key set as text; `KEY_SET_COUNT_MAX` keys with their certificates.
pub const KEY_SET_BYTES_MAX: u32 = 512 * KIB;
/// Addresses of key sets, of issuers with many tenants. Beyond: those that answered first stay.
pub const KEY_SET_ADDRESS_COUNT_MAX: usize = 256;
/// Revoked tokens, cut users and blocked users together: some 10 MiB. Beyond: the act is refused.
pub const REVOCATION_COUNT_MAX: usize = 100_000;

// Deltas. What a pair of publications costs stays in proportion to their lengths, whatever is in them.

/// Bytes compared in the search for a patch, for each byte of base and target. Beyond: the rest is sent as it is.
pub const DELTA_COMPARED_BYTES_MAX: usize = 8;
/// Places of the base that are looked at for one place of the target; fossil's own encoder looks at 250.
pub const DELTA_CANDIDATE_COUNT_MAX: usize = 32;
/// The table of a core that is kept for the next patch: that of a base of 1 MiB. Beyond: back to the allocator.
pub const DELTA_SCRATCH_BYTES_KEPT_MAX: usize = 512 * KIB as usize;

// Tag filters. Each is evaluated for every publication of its channel.

/// Conditions and their combinations, and the values of `in` and `nin`. Beyond: error 107.
pub const FILTER_NODE_COUNT_MAX: u32 = 256;
/// Keys and values together. Beyond: error 107.
pub const FILTER_BYTES_MAX: usize = 8 * KIB as usize;

// Streams.

/// From the head of a request that opens a stream or carries commands to the last byte of its body. Beyond: 408.
pub const STREAM_REQUEST_MS_MAX: u64 = 10_000;

// Hooks: what back ends are asked and told. Each has options.

/// For an answer while all is well; the breaker's three patiences are from what users notice: 0.8 s, 0.1 s, 0.05 s.
pub const HOOK_MS_MAX: u64 = 800;
/// For the answer to a probe of a back end that has failed.
pub const HOOK_PROBE_MS_MAX: u64 = 100;
/// How long a question waits for a back end that is left alone.
pub const HOOK_OPEN_MS_MAX: u64 = 50;
/// From the last failure to the first probe.
pub const HOOK_PAUSE_MS: u64 = 1_000;
/// Failures in a row: chance does not fail five times on end.
pub const HOOK_FAILURE_COUNT_MAX: u32 = 5;
/// Probes that must succeed.
pub const HOOK_PROBE_COUNT_MAX: u32 = 3;
/// Requests under way to one back end: what a small application server has workers for.
pub const HOOK_REQUEST_COUNT_MAX: u32 = 64;
/// Questions that wait their turn: 64 in 5 ms each are 10,000 in the time of one answer.
pub const HOOK_QUEUE_COUNT_MAX: u32 = 8_192;
/// Bytes of an answer.
pub const HOOK_ANSWER_BYTES_MAX: u32 = 256 * KIB;
/// Events of one request, and how long the first of them waits for the others.
pub const EVENT_BATCH_COUNT_MAX: u32 = 100;
pub const EVENT_BATCH_MS_MAX: u64 = 200;
/// Events that wait: some 30 MiB.
pub const EVENT_QUEUE_COUNT_MAX: u32 = 100_000;
/// Attempts after the first: half a minute with their pauses.
pub const EVENT_RETRY_COUNT_MAX: u32 = 10;

// Requests to backends.

/// Name look-up, TCP and TLS of one connection to a backend: two lost SYNs on a good network.
pub const BACKEND_CONNECT_MS_MAX: u64 = 5_000;
/// Head of a backend's answer, and the piece of its body that is read at once.
pub const BACKEND_HEADER_BYTES_MAX: u32 = 64 * KIB;
/// A connection to a backend that rests longer is closed: below the 60 s of common balancers, which close without a word.
pub const BACKEND_IDLE_MS_MAX: u64 = 50_000;
/// Resting connections that are kept to one backend, for the next burst.
pub const BACKEND_IDLE_COUNT_MAX: usize = 64;

// Server API.

/// Body of one call. Beyond: 413. Centrifugo's limit is 1 MiB.
pub const API_BODY_BYTES_MAX: usize = MIB as usize;
/// Absolute time for a whole body, however slowly it drips. Beyond: 408.
pub const API_BODY_MS_MAX: u64 = 10_000;
/// Commands of one batch. Beyond: error 107.
pub const API_BATCH_COUNT_MAX: usize = 10_000;
/// Channels of one broadcast. Beyond: error 107.
pub const API_BROADCAST_COUNT_MAX: usize = 10_000;
/// Calls of one batch or broadcast that are under way at one time, so that they leave room in the mailboxes of the cores.
pub const API_PARALLEL_COUNT_MAX: usize = 1024;
/// The type of an event. Beyond: error 107.
pub const EVENT_TYPE_BYTES_MAX: usize = 128;
/// The source of an event. Beyond: error 107.
pub const EVENT_SOURCE_BYTES_MAX: usize = 255;

// Driver.

/// Accept queue of each listener; the kernel caps it at `net.core.somaxconn`.
pub const BACKLOG: i32 = 4096;
/// Receive buffers of a core, provided to the kernel as one ring. Small enough to stay in the cache.
pub const RECV_BUFFER_COUNT: u16 = 512;
/// Bytes of one receive buffer.
pub const RECV_BUFFER_BYTES: u32 = 4 * KIB;
/// Submission entries of a core's ring.
pub const SUBMISSION_COUNT: u32 = 1024;
/// Completion entries of a core's ring: an overflow ends every multishot request.
pub const COMPLETION_COUNT: u32 = 32 * KIB;
/// Letters in a core's mailbox. A full one is signalled to the subscriptions that it hurts, never waited for.
pub const MAIL_COUNT_MAX: usize = 16 * 1024;
/// Bytes of publications in it, and in the queue that each other core has in front of it: a thousand messages of the
/// default limit. Beyond: as when it is full.
pub const MAIL_BYTES_MAX: u64 = 64 * MIB as u64;
/// First and last pause of accepting when descriptors run out.
pub const ACCEPT_PAUSE_MS_MIN: u64 = 10;
pub const ACCEPT_PAUSE_MS_MAX: u64 = 1_000;
/// Descriptors kept back whatever the number of cores: 18 that a node holds with nothing to do, 4 and some tables of the
/// store, 64 lent to those who are refused, and the rest for the internal port and back ends.
pub const RESERVED_DESCRIPTOR_COUNT: u64 = 118;
/// On top of that for each core on io_uring: four of rings, four of bells, and two sockets. On epoll five would do.
pub const RESERVED_DESCRIPTOR_COUNT_PER_CORE: u64 = 10;
/// Of these, lent to sockets that will be refused as soon as they have said what they want. Beyond: closed at once, so
/// that peers which say nothing cannot take the rest.
pub const SURPLUS_DESCRIPTOR_COUNT: u32 = 64;

// Durable history.

/// Orders that wait for the store. Beyond: refused at once with error 100, temporary.
pub const STORE_QUEUE_COUNT_MAX: usize = 64 * 1024;
/// Bytes of publications that wait for the store: two seconds of a slow disk. Beyond: refused likewise.
pub const STORE_QUEUE_BYTES_MAX: u32 = 64 * MIB;
/// Orders that share a commit. More gains nothing: at this size the records cost more than the disk's answer.
pub const STORE_GROUP_COUNT_MAX: usize = 4096;
/// Bytes of publications that share a commit, so that one group does not keep the disk for long.
pub const STORE_GROUP_BYTES_MAX: u32 = 4 * MIB;
/// Between two passes over everything that may have become too old; what is too old is never served meanwhile.
pub const STORE_SWEEP_MS: u64 = 30_000;
/// Between two slices of one pass, when there is nothing else to do.
pub const STORE_SWEEP_PAUSE_MS: u64 = 20;
/// Channels looked at in one slice of a pass: well below the duration of a commit.
pub const STORE_SWEEP_CHANNELS_MAX: usize = 256;
/// Records taken away in one slice.
pub const STORE_SWEEP_COUNT_MAX: usize = 1024;
/// Records that one order takes away itself; the sweep does the rest.
pub const STORE_TRIM_COUNT_MAX: u64 = 64;
/// Cursors of a channel, as many as its stream in memory takes: all of them are loaded at once. Beyond: refused.
pub const STORE_CURSOR_COUNT_MAX: u32 = 100_000;
/// Idempotency keys of a channel that are loaded, the newest ones.
pub const STORE_KEY_COUNT_MAX: usize = 64 * 1024;
/// Between two attempts to open a database that failed.
pub const STORE_RETRY_MS: u64 = 500;
/// Free space below which there is no attempt: a full disk would only fail again.
pub const STORE_SPACE_BYTES_MIN: u64 = 256 * KIB as u64;
/// How long a commit waits for the database to write out what it has in memory. Beyond: refused.
pub const STORE_BEHIND_MS_MAX: u64 = 5_000;
/// Blocks of the database that are kept in memory; reads happen once a channel and restart.
pub const STORE_CACHE_BYTES: u64 = 16 * MIB as u64;
/// A table's records in memory before they are written out in order.
pub const STORE_TABLE_BYTES_MAX: u64 = 16 * MIB as u64;
/// Journals that a start has to read again at most; the database takes no less than 64 MiB.
pub const STORE_JOURNAL_BYTES_MAX: u64 = 128 * MIB as u64;

// Memory.

/// What an operator may say that the node has: 64 TiB, more than a machine.
pub const MEMORY_MIB_CEILING: u32 = 64 * 1024 * 1024;

// Stop.

/// Default window over which clients are closed after SIGTERM.
pub const DRAIN_WINDOW_MS: u64 = 10_000;
/// Hard end of a stop.
pub const STOP_MS_MAX: u64 = 30_000;
/// From the start of a successor to its word that it is ready: it reads a configuration and builds rings. Beyond: it is
/// ended and we go on.
pub const UPGRADE_MS_MAX: u64 = 30_000;

/// Descriptors that are not for clients.
pub fn reserved_descriptors(core_count: usize) -> u64 {
    RESERVED_DESCRIPTOR_COUNT + RESERVED_DESCRIPTOR_COUNT_PER_CORE * core_count as u64
}

const _: () = assert!(REQUEST_LINE_BYTES_MAX <= HEAD_BYTES_MAX, "a request line of legal length fits a head");
const _: () = assert!(HEADER_LINE_BYTES_MAX <= HEAD_BYTES_MAX, "a header line of legal length fits a head");
const _: () =
    assert!(CLOSE_REASON_BYTES_MAX + 2 == CONTROL_BYTES_MAX as usize, "code and reason fill a control frame");
const _: () = assert!(ENGINE_MS_MAX < CALL_MS_MAX, "an engine's own deadline comes before that of a call");
const _: () =
    assert!(KEY_SET_FETCH_MS_MAX < ENGINE_MS_MAX, "a fetched key set comes before its client is given up");
const _: () = assert!(TOKEN_BYTES_MAX < MESSAGE_BYTES_MAX as usize, "a token fits into a message");
const _: () =
    assert!(API_PARALLEL_COUNT_MAX * 8 <= MAIL_COUNT_MAX, "a few callers together do not fill a mailbox");
const _: () = assert!(MESSAGE_BYTES_MAX <= OUTBOX_BYTES_MAX, "an empty outbox takes any message");
const _: () = assert!(
    COMPLETION_COUNT >= 4 * SUBMISSION_COUNT,
    "every submission of a burst has room for several completions"
);
const _: () =
    assert!((SURPLUS_DESCRIPTOR_COUNT as u64) < RESERVED_DESCRIPTOR_COUNT, "the internal port keeps some");
const _: () = assert!(STORE_GROUP_BYTES_MAX <= STORE_QUEUE_BYTES_MAX, "a full group fits the queue");
const _: () = assert!(MESSAGE_BYTES_CEILING <= STORE_QUEUE_BYTES_MAX, "an empty queue takes any publication");
const _: () = assert!(RECV_BUFFER_COUNT.is_power_of_two(), "the kernel masks the index");
const _: () = assert!(
    DRAIN_WINDOW_MS + CLOSE_MS_MAX + LINGER_MS_MAX < STOP_MS_MAX,
    "a drain ends before the hard stop"
);
