//! Who is compared, and the form in which all of them work.

mod floor;
mod mqtt5_protocol;
mod mqtt_protocol_core;
mod mqttrs;
mod ntex;
mod quince;
mod rmqtt;
mod rumqttc;

use crate::packets::Sample;

/// Packets that are decoded or encoded in one go.
pub const BATCH: usize = 256;

/// What a decoder makes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It borrows them.
    Borrows,
    /// It keeps them, shared with what came beside them.
    Slices,
    /// It copies them.
    Owns,
}

/// One codec at one task.
pub struct Contender {
    /// Its name and version.
    pub name: &'static str,
    /// What a packet is to it.
    pub form: Form,
    /// What is measured.
    pub work: Box<dyn Work>,
}

/// [`BATCH`] packets to be decoded, or to be encoded.
pub trait Work {
    /// Makes everything that is not measured.
    fn prepare(&mut self);
    /// Does what is measured, once after each [`Work::prepare`].
    fn run(&mut self);
}

/// [`Work`] as two closures: one makes a value, the other is measured at using it up.
struct Steps<S, P, R> {
    state: Option<S>,
    prepare: P,
    run: R,
}

impl<S, P: FnMut(Option<S>) -> S, R: FnMut(&mut S)> Work for Steps<S, P, R> {
    fn prepare(&mut self) {
        let old = self.state.take();
        self.state = Some((self.prepare)(old));
    }

    fn run(&mut self) {
        (self.run)(self.state.as_mut().expect("prepared"));
    }
}

/// `prepare` gets what the last batch left, to use its buffers again.
fn work<S: 'static>(
    prepare: impl FnMut(Option<S>) -> S + 'static,
    run: impl FnMut(&mut S) + 'static,
) -> Box<dyn Work> {
    Box::new(Steps {
        state: None,
        prepare,
        run,
    })
}

/// The packets of a batch, one after the other.
fn batch(sample: &Sample) -> Vec<u8> {
    sample.bytes.repeat(BATCH)
}

/// One packet for as long as the program runs, so that what borrows from it can be kept.
fn leak(sample: &Sample) -> &'static [u8] {
    sample.bytes.clone().leak()
}

/// Prepares an empty buffer with room for a batch, the same one each time.
fn cleared(sample: &Sample) -> impl FnMut(Option<Vec<u8>>) -> Vec<u8> + 'static {
    let room = sample.bytes.len() * BATCH;
    move |old| {
        let mut buffer = old.unwrap_or_else(|| Vec::with_capacity(room));
        buffer.clear();
        buffer
    }
}

/// Everyone who can decode `sample`, the floor first, each found to decode it rightly.
///
/// # Panics
/// If one of them does not.
#[must_use]
pub fn decoders(sample: &Sample) -> Vec<Contender> {
    [
        Some(floor::decoder(sample)),
        Some(quince::view(sample)),
        Some(quince::owned(sample)),
        Some(rumqttc::decoder(sample)),
        Some(mqtt_protocol_core::decoder(sample)),
        Some(mqtt5_protocol::decoder(sample)),
        Some(ntex::decoder(sample)),
        Some(rmqtt::decoder(sample)),
        mqttrs::decoder(sample),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Everyone who can encode `sample`, the floor first, each found to encode it rightly.
///
/// # Panics
/// If one of them does not.
#[must_use]
pub fn encoders(sample: &Sample) -> Vec<Contender> {
    [
        Some(floor::encoder(sample)),
        Some(quince::encoder(sample)),
        quince::encoder_with_properties(sample),
        Some(rumqttc::encoder(sample)),
        Some(mqtt_protocol_core::encoder(sample)),
        Some(mqtt5_protocol::encoder(sample)),
        Some(ntex::encoder(sample)),
        Some(rmqtt::encoder(sample)),
        mqttrs::encoder(sample),
        Some(floor::copy(sample)),
    ]
    .into_iter()
    .flatten()
    .collect()
}
