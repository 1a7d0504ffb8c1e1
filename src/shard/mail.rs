//! Letters between cores. Per pair of cores they arrive in the order of posting; that order is what keeps the
//! publications of a channel in order and behind the answer that linked a core to it.

use super::ask::Answer;
use super::call::{Call, CallId};
use super::settings::Settings;
use super::stream::{StreamId, StreamInput};
use crate::ids::{ClientId, CoreId};
use crate::payload::Parcel;
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
    /// From the owner: publications will follow this letter.
    Linked {
        request: RequestId,
        channel: Arc<str>,
    },
    /// To the owner: `from` has lost its last subscriber.
    Unlink {
        from: CoreId,
        channel: Arc<str>,
    },
    /// To the owner: put this in order and tell everyone.
    Publish {
        from: CoreId,
        request: RequestId,
        publish: Box<Publish>,
    },
    /// From the owner: the engine has accepted the publication.
    Published {
        request: RequestId,
    },
    /// From the owner: deliver to your subscribers.
    Publication {
        channel: Arc<str>,
        frame: Parcel,
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
    /// From the control plane: these hold from now on.
    Settings(Arc<Settings>),
    /// Close every client, spread over `window`, and accept no more.
    Drain {
        window: Duration,
    },
}

/// Names a request of the asking core until it is answered or given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

#[derive(Debug)]
pub struct Publish {
    pub channel: Arc<str>,
    /// Opaque to us, checked by the codec: for JSON one valid document without line breaks.
    pub data: Box<[u8]>,
    pub publisher: Person,
}

/// A client as others may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub client: ClientId,
    pub user: Box<str>,
}
