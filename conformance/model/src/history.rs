//! What a history is made of besides packets: moments, ends of connections, and what is known of the server in advance.

/// A moment: how many events were before it, and the time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub(crate) index: usize,
    pub(crate) time: u64,
}

/// How a network connection ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client ended it behind everything that it had sent, and the server reads all of that.
    Finished,
    /// The client broke it; what was under way either way may be lost.
    Aborted,
    /// The client has fallen silent and reads no more; the server is not told.
    Vanished,
    /// The server ended it.
    ByServer,
}

/// What is known of a server in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Milliseconds within which whatever one side does is known to the other, and the server does what is due.
    pub patience: u64,
    /// A Session to which more messages than this may have been due may have lost some.
    pub queue_messages: usize,
    /// A Session that outlives its connection loses no message above QoS 0, however many are due: the publisher is
    /// refused instead.
    pub stored_lose_nothing: bool,
    /// All clients see the retained messages of one topic in one order, also those of different publishers. The
    /// specification does not ask for it.
    pub one_order_of_retained: bool,
}
