//! Where there is no Linux there is no link: the same names, and an honest answer.

use std::{
    convert::Infallible,
    io,
    net::IpAddr,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    Change, Config, Counts, Direction, End, Enter, Fidelity, Privilege, Statistics, Unavailable,
};

/// An emulated link between two network namespaces. There is none on this system.
#[derive(Debug)]
pub struct Link(Infallible);

/// One end of a link. There is none on this system.
#[derive(Debug)]
pub struct Side(Infallible);

fn not_here() -> Unavailable {
    Unavailable {
        why: "the emulated link needs Linux's network namespaces".into(),
        way_out: "run it on Linux, in a virtual machine or a container".into(),
    }
}

pub(crate) fn enter_user_namespace(_: Enter) -> Result<(), Unavailable> {
    Err(not_here())
}

pub(crate) fn privilege() -> Privilege {
    Privilege::None
}

#[expect(missing_docs, reason = "see the same on Linux")]
impl Side {
    pub fn address(&self) -> IpAddr {
        match self.0 {}
    }

    pub fn spawn<T: Send + 'static>(
        &self,
        _: &str,
        _: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        match self.0 {}
    }
}

#[expect(missing_docs, reason = "see the same on Linux")]
impl Link {
    pub fn open(_: Config) -> Result<Self, Unavailable> {
        Err(not_here())
    }

    pub fn side(&self, _: End) -> &Side {
        match self.0 {}
    }

    pub fn config(&self) -> &Config {
        match self.0 {}
    }

    pub fn opened(&self) -> Instant {
        match self.0 {}
    }

    pub fn change(&self, _: Change) -> Result<(), String> {
        match self.0 {}
    }

    pub fn change_at(&self, _: Duration, _: Change) -> Result<(), String> {
        match self.0 {}
    }

    pub fn statistics(&self) -> Statistics {
        match self.0 {}
    }

    pub fn counts(&self, _: Direction) -> Counts {
        match self.0 {}
    }

    pub fn measure_fidelity(&self, _: u64, _: Duration) -> io::Result<Fidelity> {
        match self.0 {}
    }

    pub fn taint(&self) -> Option<String> {
        match self.0 {}
    }
}
