//! A client's certificate after its handshake: whether it would still be let in.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use tokio::sync::watch;

use crate::tls::Tls;

/// What a client has shown, and what it is judged by: authorities and revocation lists, as the last reload found them.
#[derive(Debug)]
pub(crate) struct Standing {
    chain: Box<[CertificateDer<'static>]>,
    tls: watch::Receiver<Arc<Tls>>,
}

impl Standing {
    /// For a client that showed `chain` in a handshake by `tls`, or by what came after it. `None` where it showed none.
    pub(crate) fn of(
        chain: Option<&[CertificateDer<'_>]>,
        tls: watch::Receiver<Arc<Tls>>,
    ) -> Option<Self> {
        let chain = chain.filter(|chain| !chain.is_empty())?;
        Some(Self {
            chain: chain
                .iter()
                .map(|it| CertificateDer::into_owned(it.clone()))
                .collect(),
            tls,
        })
    }

    /// Waits until a reload has left nothing by which the certificate would be let in: it was revoked, its authority is
    /// gone, or it has run out meanwhile. Safe to cancel.
    pub(crate) async fn lost(&mut self) {
        while self.tls.changed().await.is_ok() {
            let verifier = Arc::clone(&self.tls.borrow_and_update().clients);
            if !self.is_good_for(&*verifier) {
                return;
            }
        }
        // The server is gone, and ends its connections itself.
        std::future::pending().await
    }

    fn is_good_for(&self, verifier: &dyn ClientCertVerifier) -> bool {
        self.chain.split_first().is_some_and(|(leaf, between)| {
            verifier
                .verify_client_cert(leaf, between, UnixTime::now())
                .is_ok()
        })
    }
}
