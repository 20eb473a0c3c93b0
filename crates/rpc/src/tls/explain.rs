//! What went wrong with a connection, in words that say what to do.

use std::io;

use gristmill_types::ErrorCode;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::error::Problem;

/// Why there is no usable connection to a server.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// Trying again at once cannot help: settings or files must change first.
    pub(crate) lasting: bool,
}

impl Fault {
    pub(crate) fn passing(reason: &'static str, message: String) -> Self {
        Self { reason, message, lasting: false }
    }

    fn lasting(reason: &'static str, message: String) -> Self {
        Self { reason, message, lasting: true }
    }

    /// As callers see it. UNAVAILABLE in every case, as gRPC has it for connections.
    pub(crate) fn problem(self) -> Problem {
        Problem::new(ErrorCode::Unavailable, self.reason, self.message)
    }
}

/// Explains an error of a connection to `server` if TLS has something to say about it.
pub(crate) fn of_client(server: &str, error: &io::Error) -> Option<Fault> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(wrong) => certificate(server, wrong),
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            let message = format!("{server} answers without TLS: write `http://`, or give the server a certificate");
            Fault::lasting("SERVER_WITHOUT_TLS", message)
        }
        Error::AlertReceived(alert) => alert_received(server, *alert),
        Error::NoCertificatesPresented => {
            Fault::lasting("SERVER_CERTIFICATE", format!("{server} shows no certificate"))
        }
        other => Fault::lasting("TLS_FAILED", format!("no TLS connection to {server}: {other}")),
    })
}

fn certificate(server: &str, wrong: &CertificateError) -> Fault {
    use CertificateError as C;
    match wrong {
        C::Expired | C::ExpiredContext { .. } => {
            let ago = match wrong {
                C::ExpiredContext { time, not_after } => ago(time.as_secs().saturating_sub(not_after.as_secs())),
                _ => String::new(),
            };
            let message = format!("the certificate of {server} has expired{ago}: renew it on the server");
            Fault::lasting("CERTIFICATE_EXPIRED", message)
        }
        C::NotValidYet | C::NotValidYetContext { .. } => {
            let message = format!("the certificate of {server} is not valid yet: compare the clocks of both machines");
            Fault::lasting("CERTIFICATE_NOT_YET_VALID", message)
        }
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            let names = match wrong {
                C::NotValidForNameContext { expected, presented } => {
                    format!(" for {}, not for {}", presented.join(", "), expected.to_str())
                }
                _ => " for another name".into(),
            };
            let message = format!("the certificate of {server} is{names}: call it by that name, or set `tls.domain`");
            Fault::lasting("CERTIFICATE_NAME", message)
        }
        C::UnknownIssuer => {
            let message =
                format!("the certificate of {server} comes from a CA that is not known here: name that CA in `tls.ca`");
            Fault::lasting("CERTIFICATE_ISSUER", message)
        }
        C::BadSignature => {
            let message = format!(
                "the certificate of {server} comes from a CA that has the name of a known one and another key: \
                 name the CA as it is now in `tls.ca`"
            );
            Fault::lasting("CERTIFICATE_ISSUER", message)
        }
        other => Fault::lasting("CERTIFICATE_REFUSED", format!("the certificate of {server} is refused: {other}")),
    }
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..=119 => format!(" {seconds} seconds ago"),
        120..=7199 => format!(" {} minutes ago", seconds / 60),
        7200..=172_799 => format!(" {} hours ago", seconds / 3600),
        _ => format!(" {} days ago", seconds / 86_400),
    }
}

/// The server ended the handshake. Which certificate it did not like is always the client's.
fn alert_received(server: &str, alert: AlertDescription) -> Fault {
    use AlertDescription as A;
    let refused = |why: &str| {
        let message = format!("{server} refuses this client's certificate: {why}");
        Fault::lasting("CLIENT_CERTIFICATE_REFUSED", message)
    };
    match alert {
        A::CertificateRequired => {
            let message = format!("{server} wants a client certificate: set `tls.cert` and `tls.key`");
            Fault::lasting("CLIENT_CERTIFICATE_NEEDED", message)
        }
        A::CertificateExpired => refused("it has expired, or is not valid yet"),
        A::UnknownCA => refused("the server does not know the CA it comes from"),
        A::DecryptError => refused("it comes from a CA that has the name of a known one and another key"),
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateUnknown | A::CertificateRevoked => {
            refused("it is not good for a client")
        }
        other => Fault::lasting("TLS_FAILED", format!("{server} ended the TLS handshake: {other:?}")),
    }
}

/// Why a handshake with a client failed, for the server's log.
pub(crate) fn handshake_refused(error: &io::Error) -> String {
    match error.get_ref().and_then(|error| error.downcast_ref::<Error>()) {
        Some(Error::NoCertificatesPresented) => "the client shows no certificate".into(),
        Some(Error::InvalidCertificate(wrong)) => format!("the client's certificate is refused: {wrong}"),
        Some(Error::AlertReceived(alert)) => format!("the client refuses this server: {alert:?}"),
        Some(other) => other.to_string(),
        None => error.to_string(),
    }
}
