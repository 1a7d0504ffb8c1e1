//! The command line. What every scenario shares stands in `Common`.

use super::units::{Cores, cores, count, duration};
use crate::plan::{Compression, Protocol};
use crate::progress::ProgressMode;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  ringway-bench echo --url ws://127.0.0.1:8080/echo --connections 200 --size 20 --server-pid PID
  ringway-bench fanout --url ws://127.0.0.1:8080/connection/websocket --protocol centrifuge \\
      --subscribers 10000 --publishers 1 --rate 20 --size 100 --duration 10s --server-pid PID
  ringway-bench idle --url ws://127.0.0.1:8080/echo --steps 1000,5000,10000 --server-pid PID
  ringway-bench compare results/A results/B --fail-if 'p99>1.1'
  ringway-bench ab --a 'old/ringway serve --config bench.toml --listen 127.0.0.1:{port}' \\
      --b 'new/ringway serve --config bench.toml --listen 127.0.0.1:{port}' \\
      -- echo --url ws://127.0.0.1:{port}/echo

Exit status:
  0  all is well
  1  a message was lost, duplicated or reordered, a connection failed, or a --fail-if holds
  2  the command line is wrong, or the run could not take place";

/// Open-loop load generator for WebSocket servers. Latency counts from the intended send time, and sequence numbers
/// prove that every message arrived once and in order.
#[derive(Parser, Debug)]
#[command(name = "ringway-bench", version, after_help = EXAMPLES, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Connect, hold, and measure the server's memory per connection.
    Idle(IdleFlags),
    /// Every connection gets back what it sends.
    Echo(EchoFlags),
    /// A few publishers, many subscribers of one channel.
    Fanout(FanoutFlags),
    /// Many rooms, each with its members and its talk.
    Chat(ChatFlags),
    /// All connections drop at once and come back at once.
    Storm(StormFlags),
    /// TLS handshakes, full or resumed, as many as the server takes or more.
    Handshakes(HandshakesFlags),
    /// Put runs side by side, as a table and as overlaid plots; thresholds set the exit status.
    Compare(CompareFlags),
    /// Start two servers in turn (A B A B), run the same scenario on each, report the ratios.
    Ab(AbFlags),
    #[command(name = crate::worker::COMMAND, hide = true)]
    Worker,
}

#[derive(Args, Clone, Debug)]
pub struct TrustFlags {
    /// Certificates (PEM) of who vouches for the server, for wss://.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Trust any certificate, for wss://.
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every scenario")]
pub struct Common {
    /// Server to connect to, ws://host:port/path or wss://host:port/path.
    #[arg(long)]
    pub url: String,
    #[command(flatten)]
    pub trust: TrustFlags,
    /// `raw` (an echo server; for fanout and chat one that sends every message to all), `centrifuge` (JSON) or
    /// `centrifuge-protobuf`.
    #[arg(long, value_enum, default_value = "raw", hide_possible_values = true)]
    pub protocol: Protocol,
    /// Offer compression: `single` (each message by itself) or `takeover` (messages may build on those before).
    #[arg(long, value_enum, default_value = "none", hide_possible_values = true)]
    pub compression: Compression,
    /// Time that counts.
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub duration: Duration,
    /// Time before it, under the same load, that does not.
    #[arg(long, value_parser = duration, default_value = "2s")]
    pub warmup: Duration,
    /// How long to wait at the end for what is under way.
    #[arg(long, value_parser = duration, default_value = "5s")]
    pub drain: Duration,
    /// Process whose CPU and memory to sample; it has to run on this machine.
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// CPUs to run on, one process each [default: those allowed; half of them if the server is on this machine].
    #[arg(long, value_parser = cores, value_name = "LIST")]
    pub cores: Option<Cores>,
    /// Connection attempts per second; 0: as fast as possible.
    #[arg(long, value_parser = count, default_value = "10000")]
    pub connect_rate: u32,
    /// Handshakes under way at a time [default: 256; in a storm: all].
    #[arg(long, value_parser = count)]
    pub in_flight: Option<u32>,
    /// Attempts for each connection, with pauses from 50 ms to 3.2 s, before it is given up.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..), default_value = "8")]
    pub tries: u8,
    /// Source addresses 127.0.0.1 and up for a server on loopback [default: as many as the ports need].
    #[arg(long, value_parser = count)]
    pub sources: Option<u32>,
    /// First part of channel names [default: new for each run].
    #[arg(long)]
    pub channel_prefix: Option<String>,
    /// Token of the connect command.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub token: String,
    /// Channels that each client subscribes to (client protocol only).
    #[arg(long, value_parser = count, default_value = "1")]
    pub subscriptions: u32,
    /// Ask for everything that a channel keeps when subscribing (client protocol only).
    #[arg(long)]
    pub recover: bool,
    /// Additional header of the upgrade request; may be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Send binary messages instead of text (raw only).
    #[arg(long)]
    pub binary: bool,
    /// Name of the run in its results and in comparisons [default: the scenario].
    #[arg(long)]
    pub label: Option<String>,
    /// Where to store results.
    #[arg(long, default_value = "results", value_name = "DIR")]
    pub results: PathBuf,
    /// Store nothing.
    #[arg(long)]
    pub no_results: bool,
    /// Print run.json on standard output; everything else goes to standard error anyway.
    #[arg(long)]
    pub json: bool,
    /// `auto` (a bar on a terminal, lines elsewhere) or `never`.
    #[arg(long, value_enum, default_value = "auto", hide_possible_values = true)]
    pub progress: ProgressMode,
    /// Of the masking keys.
    #[arg(long, default_value = "1")]
    pub seed: u64,
}

impl Common {
    /// Whether messages go in binary frames.
    pub fn is_binary(&self) -> bool {
        self.binary || self.protocol == Protocol::CentrifugeProtobuf
    }
}

#[derive(Args, Clone, Debug)]
pub struct IdleFlags {
    /// Connections at the end of the ramp.
    #[arg(long, value_parser = count, default_value = "10000")]
    pub connections: u32,
    /// Counts at which to stop and measure [default: a tenth, a half and all of --connections].
    #[arg(long, value_parser = count, value_delimiter = ',')]
    pub steps: Vec<u32>,
    /// How long to hold each step before it is measured.
    #[arg(long, value_parser = duration, default_value = "5s")]
    pub hold: Duration,
    /// After the ramp send for --duration at --rate, hold again, and measure what was not given back.
    #[arg(long)]
    pub burst: bool,
    /// Messages per second of each connection during the burst.
    #[arg(long, default_value = "1")]
    pub rate: f64,
    /// Bytes of a payload, as the application sees them.
    #[arg(long, value_parser = count, default_value = "100")]
    pub size: u32,
    /// Subscribers of each channel (centrifuge).
    #[arg(long, value_parser = count, default_value = "10")]
    pub members: u32,
    /// Only connect, do not subscribe (centrifuge).
    #[arg(long, conflicts_with = "burst")]
    pub no_subscribe: bool,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args, Clone, Debug)]
pub struct EchoFlags {
    #[arg(long, value_parser = count, default_value = "200")]
    pub connections: u32,
    /// Bytes of a payload, as the application sees them.
    #[arg(long, value_parser = count, default_value = "20")]
    pub size: u32,
    /// Messages per second of all connections together: open loop [default: closed loop].
    #[arg(long)]
    pub rate: Option<f64>,
    /// Messages under way per connection in the closed loop.
    #[arg(long, value_parser = count, default_value = "1", conflicts_with = "rate")]
    pub pipeline: u32,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args, Clone, Debug)]
pub struct FanoutFlags {
    #[arg(long, value_parser = count, default_value = "1000", alias = "connections")]
    pub subscribers: u32,
    /// The first so many subscribers also publish.
    #[arg(long, value_parser = count, default_value = "1")]
    pub publishers: u32,
    /// Messages per second of each publisher.
    #[arg(long, default_value = "10")]
    pub rate: f64,
    /// Bytes of a payload, as the application sees them.
    #[arg(long, value_parser = count, default_value = "100")]
    pub size: u32,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args, Clone, Debug)]
pub struct ChatFlags {
    #[arg(long, value_parser = count, default_value = "100")]
    pub rooms: u32,
    /// Members of each room.
    #[arg(long, value_parser = count, default_value = "100")]
    pub members: u32,
    /// Members of each room who talk.
    #[arg(long, value_parser = count, default_value = "4")]
    pub speakers: u32,
    /// Messages per second of each room, all its speakers together.
    #[arg(long, default_value = "1")]
    pub rate: f64,
    /// Bytes of a payload, as the application sees them.
    #[arg(long, value_parser = count, default_value = "100")]
    pub size: u32,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args, Clone, Debug)]
pub struct StormFlags {
    #[arg(long, value_parser = count, default_value = "10000")]
    pub connections: u32,
    /// Subscribers of each channel (centrifuge).
    #[arg(long, value_parser = count, default_value = "10")]
    pub members: u32,
    /// How long to hold before the storm.
    #[arg(long, value_parser = duration, default_value = "1s")]
    pub hold: Duration,
    /// Do not drop the connections: wait until somebody has ended the server and started it again.
    #[arg(long)]
    pub restart: bool,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args, Clone, Debug)]
pub struct HandshakesFlags {
    /// Server to shake hands with, wss://host:port/.
    #[arg(long)]
    pub url: String,
    #[command(flatten)]
    pub trust: TrustFlags,
    /// Handshakes to begin in a second; 0: as many as the threads can.
    #[arg(long, value_parser = count, default_value = "1000")]
    pub rate: u32,
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub duration: Duration,
    /// Handshakes under way at a time.
    #[arg(long, value_parser = count, default_value = "64")]
    pub threads: u32,
    /// Come back with the ticket of an earlier handshake.
    #[arg(long)]
    pub resume: bool,
    /// Print the figures as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct CompareFlags {
    /// Result directories or run.json files; runs of the same label form a side, the first label is the base.
    #[arg(required = true, num_args = 2..)]
    pub runs: Vec<PathBuf>,
    /// Fail when a ratio to the base fulfils this, as in 'p99>1.1' or 'cpu_per_delivery>=0.95'; may be repeated.
    #[arg(long = "fail-if", value_name = "METRIC>RATIO")]
    pub fail_if: Vec<String>,
    /// Where to write the plots [default: compare.html beside the last run].
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Print the comparison as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct AbFlags {
    /// Command of server A; {port} stands for a free port.
    #[arg(long, value_name = "CMD")]
    pub a: String,
    /// Command of server B.
    #[arg(long, value_name = "CMD")]
    pub b: String,
    /// Rounds, each A then B.
    #[arg(long, default_value = "3")]
    pub rounds: u32,
    /// Url of A [default: the scenario's].
    #[arg(long)]
    pub url_a: Option<String>,
    /// Url of B [default: the scenario's].
    #[arg(long)]
    pub url_b: Option<String>,
    /// Protocol of A [default: the scenario's].
    #[arg(long, value_enum, hide_possible_values = true)]
    pub protocol_a: Option<Protocol>,
    /// Protocol of B [default: the scenario's].
    #[arg(long, value_enum, hide_possible_values = true)]
    pub protocol_b: Option<Protocol>,
    /// CPUs of the servers; the generator takes the others.
    #[arg(long, value_parser = cores, value_name = "LIST")]
    pub pin_server: Option<Cores>,
    /// How long a server may take to listen, and later to stop.
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub patience: Duration,
    /// Fail when a ratio B / A fulfils this; may be repeated.
    #[arg(long = "fail-if", value_name = "METRIC>RATIO")]
    pub fail_if: Vec<String>,
    /// Print the comparison as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Scenario and its flags, behind `--`. {port} in the url stands for the server's port.
    #[arg(last = true, required = true, value_name = "SCENARIO")]
    pub scenario: Vec<String>,
}
