//! Letters between cores, and from the control plane. Per pair of cores they arrive in the order of posting; that order
//! is what keeps the publications of a channel in order and behind the answers that the channel's owner has given.

use super::ask::Answer;
use super::call::{Call, CallId, Failure, HistoryQuery, Position, Publish};
use super::settings::Settings;
use super::stream::{StreamId, StreamInput};
use crate::hub::Place;
use crate::ids::{ClientId, CoreId};
use crate::publication::{Person, Publication};
use crate::store::Fate;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub enum Mail {
    /// To the owner: `from` has its first subscriber.
    Link {
        from: CoreId,
        request: RequestId,
        channel: Arc<str>,
    },
    /// From the owner: publications will follow this letter. Where its stream stands, if it has one.
    Linked {
        request: RequestId,
        channel: Arc<str>,
        place: Option<Place>,
    },
    /// From the owner: it cannot say where its stream stands, so it links nobody. Whoever comes next asks again.
    Unlinkable {
        request: RequestId,
        channel: Arc<str>,
    },
    /// To the owner: `from` has lost its last subscriber.
    Unlink {
        from: CoreId,
        channel: Arc<str>,
    },
    /// To the owner: something that only the owner can answer.
    Query {
        from: CoreId,
        request: RequestId,
        channel: Arc<str>,
        query: Query,
    },
    /// From the owner: every publication up to this answer is behind us, every later one follows.
    Reply {
        request: RequestId,
        reply: Reply,
    },
    /// From the owner: deliver to your subscribers.
    Publication {
        channel: Arc<str>,
        bulletin: Bulletin,
    },
    /// To the owner, who passes it on to every core with subscribers: somebody came or went.
    Presence {
        channel: Arc<str>,
        came: bool,
        person: Arc<Person>,
    },
    /// From the owner: you have missed publications of this channel.
    Gap {
        channel: Arc<str>,
    },
    /// Who listens on your core?
    Census {
        from: CoreId,
        request: RequestId,
        channel: Arc<str>,
    },
    Counted {
        request: RequestId,
        people: Vec<Person>,
    },
    /// From the store, to an earlier `Output::Order`.
    Fate(Fate),
    /// From the control plane: answer with `Memo::Answered`.
    Call {
        call: CallId,
        what: Box<Call>,
    },
    /// From the control plane, to an earlier `Memo::Ask`.
    Answer {
        request: RequestId,
        answer: Box<Answer>,
    },
    /// From the control plane, about a connection whose HTTP it speaks.
    Stream {
        stream: StreamId,
        input: StreamInput,
    },
    /// From the control plane: what holds from now on.
    Settings(Arc<Settings>),
    /// Others accept in our place: take nobody in any more.
    StopAccepting,
    /// Close every client, spread over `window`, and accept no more.
    Drain {
        window: Duration,
    },
}

impl Mail {
    /// Bytes that wait with it, as far as peers decide about them.
    pub fn bytes(&self) -> u64 {
        let all = |publications: &[Arc<Publication>]| {
            publications.iter().map(|publication| publication.data.len()).sum::<usize>()
        };
        let bytes = match self {
            Self::Publication { bulletin, .. } => bulletin.publication.data.len(),
            Self::Query { query: Query::Publish(publish), .. } => publish.data.len(),
            Self::Reply { reply: Reply::Recovered { publications: Some(publications), .. }, .. }
            | Self::Reply { reply: Reply::History { publications, .. }, .. } => all(publications),
            Self::Call { what, .. } => match &**what {
                Call::Publish { publish, .. } => publish.data.len(),
                Call::History { .. }
                | Call::HistoryRemove { .. }
                | Call::Cursor { .. }
                | Call::SetCursor { .. }
                | Call::Presence { .. }
                | Call::PresenceStats { .. }
                | Call::Channels { .. }
                | Call::Info
                | Call::Subscribe { .. }
                | Call::Unsubscribe { .. }
                | Call::Disconnect { .. }
                | Call::Refresh { .. }
                | Call::Connections { .. } => 0,
            },
            Self::Counted { people, .. } => people.len() * size_of::<Person>(),
            Self::Stream { input: StreamInput::Commands(bytes), .. } => bytes.len(),
            Self::Link { .. }
            | Self::Linked { .. }
            | Self::Unlink { .. }
            | Self::Query { .. }
            | Self::Reply { .. }
            | Self::Presence { .. }
            | Self::Gap { .. }
            | Self::Census { .. }
            | Self::Fate(_)
            | Self::Answer { .. }
            | Self::Stream { .. }
            | Self::Settings(_)
            | Self::Unlinkable { .. }
            | Self::StopAccepting
            | Self::Drain { .. } => 0,
        };
        bytes as u64
    }
}

/// Names a request of the asking core until it is answered or given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

/// What only the owner of a channel can do.
#[derive(Debug)]
pub enum Query {
    /// Put this in order and tell everyone.
    Publish(Box<Publish>),
    /// What has been published since?
    Recover(Recover),
    History(HistoryQuery),
    /// Where does the stream stand? Asked to find out whether anything was missed.
    Position,
    HistoryRemove,
    /// Where this user has acknowledged up to; `set` moves it.
    Cursor {
        user: Box<str>,
        set: Option<u64>,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recover {
    /// None: the client has nothing yet.
    pub since: Option<Position>,
    pub from: Source,
}

/// What a joining subscriber is given besides the position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    #[default]
    Nothing,
    /// All that it has missed.
    Stream,
    /// The latest publication alone.
    Cache,
}

#[derive(Debug)]
pub enum Reply {
    /// Accepted; the position if the channel keeps a history.
    Published(Option<Place>),
    /// `publications`: none if the position is lost.
    Recovered {
        place: Place,
        publications: Option<Vec<Arc<Publication>>>,
    },
    History {
        publications: Vec<Arc<Publication>>,
        place: Place,
    },
    Position(Place),
    Cursor {
        place: Place,
        acknowledged: u64,
    },
    Done,
    Failed(Failure),
}

/// A publication in order, with what every core needs to deliver it.
#[derive(Clone, Debug)]
pub struct Bulletin {
    pub publication: Arc<Publication>,
    /// Of the stream that gave it its offset; none without history.
    pub epoch: Option<Arc<str>>,
    /// May be delivered as a patch on the one before.
    pub delta: bool,
    /// This client does not get it.
    pub exclude: Option<ClientId>,
}
