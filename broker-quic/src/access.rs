//! Who may connect. Authentication is asynchronous here, because a later source of truth may be.

use quince_codec::ReasonCode;
use quince_core::{AuthenticationRequest, Principal};

use crate::peer::Peer;

/// Decides on one CONNECT.
///
/// # Errors
/// The Reason Code for the CONNACK.
// Everybody is let in, under no name: listeners are on loopback, or the operator said so.
pub(crate) async fn authenticate(
    _request: AuthenticationRequest,
    _peer: Peer,
) -> Result<Principal, ReasonCode> {
    Ok(Principal::anonymous())
}
