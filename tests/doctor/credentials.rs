//! Whom a backend lets in, and whom this machine trusts.

use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::backends::{WRITE, backend, connected, destination, reconfigured};
use crate::place::Place;
use crate::server::{self, Request, Server};
use crate::table::{Act, Situation};

pub fn situations() -> Vec<Situation> {
    vec![
        Situation::by_hand("the_token_has_expired", expired_token).of("prom").fails(
            "destination_address",
            &["refuses the credentials", "(status 401)", "home/prom.token", "read before each"],
        ),
        Situation::by_hand("the_token_file_is_gone", missing_token)
            .of("prom")
            .fails("destination_address", &["home/prom.token", "does not exist"]),
        Situation::by_hand("the_token_command_hangs", hanging_command)
            .of("prom")
            .fails("destination_address", &["token_command ran for more than 10 seconds"]),
        Situation::by_hand("credentials_are_wanted_and_none_given", no_credentials)
            .of("prom")
            .fails("destination_address", &["(status 401)", "bearer_token_file"]),
        Situation::by_hand("the_authority_is_unknown", unknown_authority).of("prom").fails(
            "destination_address",
            &["no trusted TLS connection", "unknown authority", "ca"],
        ),
    ]
}

fn wants_token() -> Server {
    let good = |request: &Request| {
        request.path == WRITE && request.header("authorization") == Some("Bearer good")
    };
    backend(good, server::status(401))
}

fn with_token(text: Option<&str>) -> (Place, Act) {
    let server = wants_token();
    let mut place = Place::without_agent();
    let file = place.house.path("home/prom.token");
    if let Some(text) = text {
        write_token(&place, text);
    }
    let key = format!("bearer_token_file = \"{}\"", file.display());
    place.configure(&destination("prom", "prometheus", &server.url(WRITE), &key));
    place.ccotel(&["agent", "start"]);
    place.keep(server);
    (place, Box::new(|place| write_token(place, "good")))
}

fn write_token(place: &Place, text: &str) {
    let file = place.house.write("home/prom.token", text);
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
}

fn expired_token() -> (Place, Act) {
    with_token(Some("old"))
}

fn missing_token() -> (Place, Act) {
    with_token(None)
}

fn hanging_command() -> (Place, Act) {
    let server = wants_token();
    let url = server.url(WRITE);
    let mut place =
        connected(&destination("prom", "prometheus", &url, "token_command = \"sleep 99\""));
    place.keep(server);
    let act: Act = Box::new(move |place| {
        let key = "token_command = \"echo good\"";
        reconfigured(place, &destination("prom", "prometheus", &url, key));
    });
    (place, act)
}

fn no_credentials() -> (Place, Act) {
    let server = wants_token();
    let url = server.url(WRITE);
    let mut place = connected(&destination("prom", "prometheus", &url, ""));
    place.keep(server);
    let act: Act = Box::new(move |place| {
        write_token(place, "good");
        let file = place.house.path("home/prom.token");
        let key = format!("bearer_token_file = \"{}\"", file.display());
        reconfigured(place, &destination("prom", "prometheus", &url, &key));
    });
    (place, act)
}

/// A server whose certificate is of an authority that no system knows.
fn unknown_authority() -> (Place, Act) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap().der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let server = Server::start_tls(Arc::new(Mutex::new(Arc::new(tls))), server::status(204));
    let url = server.url(WRITE).replace("http://", "https://");
    let mut place = connected(&destination("prom", "prometheus", &url, ""));
    place.keep(server);
    let file = place.house.write("home/ca.pem", authority.pem());
    let act: Act = Box::new(move |place| {
        let key = format!("tls = {{ ca = \"{}\" }}", file.display());
        reconfigured(place, &destination("prom", "prometheus", &url, &key));
    });
    (place, act)
}
