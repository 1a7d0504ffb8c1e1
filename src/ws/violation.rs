//! How a peer broke the framing rules, and the close code that it gets for it. RFC 6455 section 7.1.7.
//! Invariant: the text of every variant fits the reason of a close frame.

use super::CloseCode;

/// The text is sent to the peer as the reason of our close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("close code is not legal on the wire")]
    CloseCodeIllegal,
    #[error("close payload of one byte holds no code")]
    CloseCodeTruncated,
    #[error("close reason is not UTF-8")]
    CloseReasonNotUtf8,
    #[error("continuation without a message to continue")]
    ContinuationWithoutStart,
    #[error("control frame is fragmented")]
    ControlFragmented,
    #[error("control frame is longer than 125 bytes")]
    ControlTooLong,
    #[error("compressed message is not DEFLATE")]
    DeflateInvalid,
    #[error("compressed message is cut off")]
    DeflateTruncated,
    #[error("frame from a server is masked")]
    FrameMasked,
    #[error("frame from a client is not masked")]
    FrameNotMasked,
    #[error("payload length is not in its shortest form")]
    LengthNotMinimal,
    #[error("payload length has its top bit set")]
    LengthTopBitSet,
    #[error("new message inside a fragmented message")]
    MessageInsideMessage,
    #[error("message is longer than the limit")]
    MessageTooBig,
    #[error("opcode is reserved")]
    OpcodeReserved,
    #[error("reserved bit is set")]
    ReservedBitSet,
    #[error("text is not UTF-8")]
    TextNotUtf8,
    #[error("too many empty fragments in one message")]
    TooManyEmptyFrames,
    #[error("too many final blocks in one compressed message")]
    TooManyFinalBlocks,
}

impl Violation {
    /// The code that we close with.
    pub const fn code(self) -> CloseCode {
        match self {
            Self::CloseCodeIllegal
            | Self::CloseCodeTruncated
            | Self::ContinuationWithoutStart
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::FrameMasked
            | Self::FrameNotMasked
            | Self::LengthNotMinimal
            | Self::LengthTopBitSet
            | Self::MessageInsideMessage
            | Self::OpcodeReserved
            | Self::ReservedBitSet => CloseCode::PROTOCOL_ERROR,
            Self::CloseReasonNotUtf8 | Self::DeflateInvalid | Self::DeflateTruncated | Self::TextNotUtf8 => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::MessageTooBig => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyEmptyFrames | Self::TooManyFinalBlocks => CloseCode::POLICY_VIOLATION,
        }
    }
}
