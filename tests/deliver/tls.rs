//! A backend that speaks TLS, for real: each thing that can be wrong with a certificate parks the destination
//! with words that name it and what to do, and what waited goes out once it is mended.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ccotel::config::destination::{DestinationConfig, Tls};
use ccotel::deliver::Manager;
use ccotel::deliver::status::State;
use ccotel::store::handle::Lane;
use libtest_mimic::Trial;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};

use super::server::{Server, status as reply};
use super::setup::{prometheus, running, samples, status_when, trial};
use super::store::Store;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("tls::a_certificate_of_the_configured_authority_is_trusted", trusted),
        trial("tls::an_expired_certificate_parks", expired),
        trial("tls::a_certificate_that_is_not_valid_yet_parks", not_valid_yet),
        trial("tls::a_certificate_of_another_host_parks", wrong_host),
        trial("tls::an_unknown_authority_parks_until_its_file_is_right", unknown_authority),
        trial("tls::an_authority_made_anew_parks_until_its_file_is_right", renewed_authority),
        trial("tls::a_client_certificate_is_shown_where_it_is_asked_for", client_certificate),
        trial("tls::without_a_client_certificate_it_parks", no_client_certificate),
        trial("tls::a_client_certificate_of_another_authority_parks", wrong_client_certificate),
    ]
}

/// What stands in a certificate.
#[derive(Clone, Copy)]
struct Made {
    name: &'static str,
    years: (i32, i32),
}

const VALID: Made = Made { name: "127.0.0.1", years: (2020, 2100) };
const EXPIRED: Made = Made { name: "127.0.0.1", years: (2020, 2021) };
const NOT_YET: Made = Made { name: "127.0.0.1", years: (2099, 2100) };
const OF_ANOTHER: Made = Made { name: "prom.example.com", years: (2020, 2100) };

/// An authority, and a folder for what it signs.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        Self::named("an authority")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder: tempfile::tempdir().unwrap() };
        authority.write("ca.pem", &authority.issuer.pem());
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn signs(&self, made: Made, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![made.name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(made.years.0, 1, 1);
        params.not_after = date_time_ymd(made.years.1, 1, 1);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A client's certificate and key, on disk.
    fn client(&self) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.signs(VALID, ExtendedKeyUsagePurpose::ClientAuth);
        let certificate = self.write("client.pem", &certificate.pem());
        (certificate, self.write("client.key", &key.serialize_pem()))
    }

    /// A server with such a certificate, which asks for one of `clients`.
    fn server(&self, made: Made, clients: Option<&Self>) -> Arc<ServerConfig> {
        let (certificate, key) = self.signs(made, ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            Some(clients) => builder.with_client_cert_verifier(clients.verifier(provider)),
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }

    fn verifier(
        &self,
        provider: Arc<rustls::crypto::CryptoProvider>,
    ) -> Arc<dyn rustls::server::danger::ClientCertVerifier> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from(self.issuer.der().to_vec())).unwrap();
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap()
    }
}

/// A TLS backend whose certificate can be exchanged.
struct Backend {
    server: Server,
    tls: Arc<Mutex<Arc<ServerConfig>>>,
}

impl Backend {
    fn start(config: Arc<ServerConfig>) -> Self {
        let tls = Arc::new(Mutex::new(config));
        Self { server: Server::start_tls(Arc::clone(&tls), reply(204)), tls }
    }

    fn becomes(&self, config: Arc<ServerConfig>) {
        *self.tls.lock().unwrap() = config;
    }

    fn destination(&self, ca: &Path) -> DestinationConfig {
        let url = self.server.url("/write").replace("http://", "https://");
        let tls = Tls { ca: Some(ca.to_path_buf()), ..Tls::default() };
        DestinationConfig { tls, ..prometheus(&url) }
    }
}

/// Parks with all these words, and keeps what waits.
async fn assert_parked(store: &Store, manager: &Manager, words: &[&str]) {
    let status = status_when(manager, State::Parked).await;
    let said = status.last_error.unwrap();
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    assert!(status.next_try.is_some(), "it is tried again by itself");
    assert_eq!((store.settled(), status.backlog.records), (0, 3));
}

/// Now that it is mended.
async fn assert_drains(store: &Store, manager: &Manager) {
    manager.retry(None).await;
    assert_eq!(store.wait_for(1).await[0].1.delivered, 3);
    assert_eq!(status_when(manager, State::Ok).await.last_error, None);
    manager.stop().await;
}

async fn trusted() {
    let authority = Authority::new();
    let backend = Backend::start(authority.server(VALID, None));
    let (store, manager) = running(&backend.destination(&authority.path("ca.pem"))).await;
    store.add(Lane::Samples, 3, samples(3));
    assert_drains(&store, &manager).await;
}

async fn parks_until_the_server_is_mended(wrong: Made, words: &[&str]) {
    let authority = Authority::new();
    let backend = Backend::start(authority.server(wrong, None));
    let (store, manager) = running(&backend.destination(&authority.path("ca.pem"))).await;
    store.add(Lane::Samples, 3, samples(3));
    assert_parked(&store, &manager, words).await;
    assert_eq!(backend.server.count(), 0, "nothing was sent");
    backend.becomes(authority.server(VALID, None));
    assert_drains(&store, &manager).await;
}

async fn expired() {
    parks_until_the_server_is_mended(EXPIRED, &["certificate has expired", "clock"]).await;
}

async fn not_valid_yet() {
    parks_until_the_server_is_mended(NOT_YET, &["certificate is not valid yet", "clock"]).await;
}

async fn wrong_host() {
    let words = ["certificate is for another name", "use that name in the url"];
    parks_until_the_server_is_mended(OF_ANOTHER, &words).await;
}

async fn unknown_authority() {
    let another = Authority::named("another one");
    parks_until_the_authority_is_right(&another, &["unknown authority", "tls.ca"]).await;
}

async fn renewed_authority() {
    let before = Authority::new();
    parks_until_the_authority_is_right(&before, &["one of the same name", "tls.ca"]).await;
}

async fn parks_until_the_authority_is_right(another: &Authority, words: &[&str]) {
    let authority = Authority::new();
    let backend = Backend::start(authority.server(VALID, None));
    let (store, manager) = running(&backend.destination(&another.path("ca.pem"))).await;
    store.add(Lane::Samples, 3, samples(3));
    assert_parked(&store, &manager, words).await;
    another.write("ca.pem", &authority.issuer.pem());
    assert_drains(&store, &manager).await;
}

async fn client_certificate() {
    let authority = Authority::new();
    let backend = Backend::start(authority.server(VALID, Some(&authority)));
    let (cert, key) = authority.client();
    let mut config = backend.destination(&authority.path("ca.pem"));
    (config.tls.cert, config.tls.key) = (Some(cert), Some(key));
    let (store, manager) = running(&config).await;
    store.add(Lane::Samples, 3, samples(3));
    assert_drains(&store, &manager).await;
}

async fn no_client_certificate() {
    let authority = Authority::new();
    let backend = Backend::start(authority.server(VALID, Some(&authority)));
    let mut config = backend.destination(&authority.path("ca.pem"));
    let (store, manager) = running(&config).await;
    store.add(Lane::Samples, 3, samples(3));
    let words = ["it wants a client certificate", "tls.cert and tls.key"];
    assert_parked(&store, &manager, &words).await;
    let (cert, key) = authority.client();
    (config.tls.cert, config.tls.key) = (Some(cert), Some(key));
    manager.apply(&[config]).await;
    assert_drains(&store, &manager).await;
}

async fn wrong_client_certificate() {
    let (authority, another) = (Authority::new(), Authority::named("another one"));
    let backend = Backend::start(authority.server(VALID, Some(&authority)));
    let mut config = backend.destination(&authority.path("ca.pem"));
    let (cert, key) = another.client();
    (config.tls.cert, config.tls.key) = (Some(cert.clone()), Some(key.clone()));
    let (store, manager) = running(&config).await;
    store.add(Lane::Samples, 3, samples(3));
    let words = ["the authority of this client's certificate", "tls.cert and tls.key"];
    assert_parked(&store, &manager, &words).await;
    // Renewed in its place.
    let (fresh_cert, fresh_key) = authority.client();
    std::fs::copy(fresh_cert, cert).unwrap();
    std::fs::copy(fresh_key, key).unwrap();
    assert_drains(&store, &manager).await;
}
