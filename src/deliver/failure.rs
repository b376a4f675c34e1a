//! Failure: why no answer came, in words that say what to do.

use std::error::Error;
use std::io::ErrorKind;

/// No answer. `place` is `host:port/path`, never with credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the name in {place} cannot be resolved: offline, or a typing error in the url")]
    Unresolved { place: String },
    #[error("{place} cannot be reached: {why}")]
    Unreachable { place: String, why: &'static str },
    #[error("{place} did not answer in time")]
    TimedOut { place: String },
    /// The request may or may not have been taken.
    #[error("{place} closed the connection before it answered")]
    Cut { place: String },
    #[error("no trusted TLS connection to {place}: {why}")]
    Tls { place: String, why: String },
    /// Something on this machine has to be put right first; the text says what.
    #[error("{0}")]
    Setup(String),
}

/// Reads the chain of sources, which is where reqwest, hyper and rustls say what happened.
pub fn explain(error: &reqwest::Error, place: &str) -> Failure {
    let place = place.to_owned();
    if error.is_builder() {
        return Failure::Setup(format!("no request to {place} can be made: {}", innermost(error)));
    }
    if let Some(tls) = find_tls(error) {
        return Failure::Tls { place, why: explain_tls(tls) };
    }
    if error.is_dns() {
        return Failure::Unresolved { place };
    }
    if error.is_timeout() {
        return if error.is_connect() {
            Failure::Unreachable { place, why: "no connection within 5 seconds" }
        } else {
            Failure::TimedOut { place }
        };
    }
    match io_kind(error) {
        Some(ErrorKind::ConnectionRefused) => {
            Failure::Unreachable { place, why: "the connection was refused; nothing listens there" }
        }
        Some(
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown,
        ) => Failure::Unreachable { place, why: "there is no way to that network now" },
        _ if error.is_connect() => {
            Failure::Unreachable { place, why: "the connection or the proxy failed" }
        }
        _ => Failure::Cut { place },
    }
}

/// The last source's own words.
pub fn innermost(error: &dyn Error) -> String {
    let mut last: &dyn Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| source(*error))
}

fn source<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<std::io::Error>() {
        // An I/O error's `source` is the source of what it wraps, and skips that itself.
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

fn find_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    sources(error).find_map(|source| source.downcast_ref::<rustls::Error>())
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    sources(error)
        .filter_map(|source| source.downcast_ref::<std::io::Error>())
        .last()
        .map(std::io::Error::kind)
}

fn explain_tls(error: &rustls::Error) -> String {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "its certificate has expired; check this machine's clock too".to_owned()
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet; check this machine's clock".to_owned()
            }
            Certificate::UnknownIssuer => {
                "its certificate is from an unknown authority; name that one with tls.ca (--ca)"
                    .to_owned()
            }
            // Another authority of the same name, as one that was made anew.
            Certificate::BadSignature => "its certificate was not signed by the authority that is \
                                          trusted here, only by one of the same name; renew the \
                                          file of tls.ca (--ca)"
                .to_owned(),
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name; use that name in the url".to_owned()
            }
            // What `openssl req -x509` makes by default; webpki has no variant of its own for it.
            other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                "its certificate is an authority's; a server needs one with CA:FALSE".to_owned()
            }
            Certificate::Revoked => "its certificate was revoked".to_owned(),
            other => format!("its certificate is not acceptable ({other})"),
        },
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS there; is the url http instead of https?".to_owned()
        }
        rustls::Error::AlertReceived(alert) => explain_alert(*alert),
        other => format!("{other}"),
    }
}

/// Why a server said no to a handshake: mostly for this client's certificate, or the lack of one.
fn explain_alert(alert: rustls::AlertDescription) -> String {
    use rustls::AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => {
            "it wants a client certificate; name one with tls.cert and tls.key (--cert, --key)"
                .to_owned()
        }
        Alert::CertificateExpired => {
            "this client's certificate has expired; renew the files of tls.cert and tls.key"
                .to_owned()
        }
        Alert::UnknownCA | Alert::DecryptError => {
            "it does not know the authority of this client's certificate; use one that it trusts \
             in tls.cert and tls.key"
                .to_owned()
        }
        other => format!("it turned this client away ({other:?}); check tls.cert and tls.key"),
    }
}
