//! The gateway's certificate, and those of its senders.
//!
//! PEM files: `cert` is the chain, leaf first, and `key` belongs to it; `client_ca` has one authority or
//! several. A client may show a certificate and need not: one with a token has none, nor has a probe.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::subject;
use crate::agent::files::words;
use crate::config::gateway::TlsFiles;

/// What is spoken inside: both are on one port.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// After this a certificate that was shown is looked at again: it may have expired.
const TRUSTED_FOR: Duration = Duration::from_mins(1);
/// More of a file is not read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// As the files were at one moment.
pub struct Tls {
    pub server: Arc<ServerConfig>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    /// Counts up with each change of the files.
    pub generation: u64,
    /// Of the files' content.
    hash: blake3::Hash,
}

/// A file of these cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot use {}: {why}", path.display())]
pub struct TlsError {
    path: PathBuf,
    why: String,
}

impl Tls {
    pub fn load(
        files: &TlsFiles,
        client_ca: Option<&Path>,
        generation: u64,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (cert, key) = (read(&files.cert)?, read(&files.key)?);
        let authorities = client_ca.map(|file| Ok((file, read(file)?))).transpose()?;
        let mut hasher = blake3::Hasher::new();
        let contents = [&cert, &key].into_iter().chain(authorities.as_ref().map(|(_, text)| text));
        for content in contents {
            hasher.update(&content.len().to_le_bytes()).update(content);
        }
        let chain = certificates(&files.cert, &cert)?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|why| of_pem(&files.key, &why))?;
        let clients = match authorities {
            None => None,
            Some((file, text)) => Some(verifier(file, &text, Arc::clone(&provider))?),
        };
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| wrong(&files.cert, &why))?;
        let builder = match &clients {
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients)),
            None => builder.with_no_client_auth(),
        };
        let mut server = builder.with_single_cert(chain, key).map_err(|why| match why {
            rustls::Error::InconsistentKeys(_) => {
                let cert = files.cert.display();
                wrong(&files.key, &format!("the key does not belong to the certificate in {cert}"))
            }
            why => wrong(&files.cert, &why),
        })?;
        server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Self { server: Arc::new(server), clients, generation, hash: hasher.finalize() })
    }

    /// Whether the files say what they said then.
    pub fn is_as(&self, before: &Self) -> bool {
        self.hash == before.hash
    }

    /// Whether a certificate that was shown at the handshake is one of ours now.
    pub fn still_trusts(&self, shown: &Shown) -> bool {
        let mut checked = shown.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((generation, at)) = *checked
            && generation == self.generation
            && at.elapsed() < TRUSTED_FOR
        {
            return true;
        }
        let trusted = self.clients.as_ref().is_some_and(|clients| {
            let [leaf, others @ ..] = shown.chain.as_slice() else { return false };
            clients.verify_client_cert(leaf, others, UnixTime::now()).is_ok()
        });
        *checked = trusted.then(|| (self.generation, Instant::now()));
        trusted
    }
}

/// What a client showed of itself.
#[derive(Debug)]
pub struct Shown {
    /// Its common name, then its DNS and URI names.
    pub names: Vec<String>,
    chain: Vec<CertificateDer<'static>>,
    checked: Mutex<Option<(u64, Instant)>>,
}

impl Shown {
    pub fn new(chain: Vec<CertificateDer<'static>>) -> Self {
        let names = chain.first().map(subject::names).unwrap_or_default();
        Self { names, chain, checked: Mutex::new(None) }
    }
}

fn verifier(
    file: &Path,
    text: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(file, text)? {
        roots.add(authority).map_err(|why| wrong(file, &why))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    builder.allow_unauthenticated().build().map_err(|why| wrong(file, &why))
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let mut content = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(FILE_BYTES_MAX).read_to_end(&mut content))
        .map_err(|error| wrong(file, &words(&error)))?;
    Ok(content)
}

fn certificates(file: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|why| of_pem(file, &why))?;
    if certificates.is_empty() {
        return Err(wrong(file, &"there is no certificate in it"));
    }
    Ok(certificates)
}

fn of_pem(file: &Path, error: &rustls::pki_types::pem::Error) -> TlsError {
    use rustls::pki_types::pem::Error;
    match error {
        Error::NoItemsFound => wrong(file, &"there is no PEM section of the right kind in it"),
        other => wrong(file, &format!("it is no PEM: {other}")),
    }
}

fn wrong(file: &Path, why: &impl ToString) -> TlsError {
    TlsError { path: file.to_path_buf(), why: why.to_string() }
}
