//! Calls of the server API on this core.
//! Invariant: every call is answered exactly once, at once or when the engine has answered.

use super::ask::Answer;
use super::call::{Call, CallId, Failure, Outcome};
use super::mail::RequestId;
use super::memo::Memo;
use super::stream::{StreamId, StreamInput, StreamOutput};
use super::{Output, Shard};

impl Shard {
    pub(super) fn called(&mut self, call: CallId, _what: Call) {
        self.answer_call(call, Outcome::Failed(Failure::NotAvailable));
    }

    pub(super) fn answer_call(&mut self, call: CallId, outcome: Outcome) {
        let core = self.options.core;
        self.outputs.push(Output::Memo(Memo::Answered { core, call, outcome }));
    }

    pub(super) fn asked(&mut self, request: RequestId, _answer: Answer) {
        self.close_request(request);
    }

    pub(super) fn streamed(&mut self, stream: StreamId, input: StreamInput) {
        if let StreamInput::Open(_) = input {
            let core = self.options.core;
            self.outputs.push(Output::Memo(Memo::Stream { core, stream, output: StreamOutput::End }));
        }
    }
}
