//! Backends: what answers there, whose clock it has, what it refuses.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::ensure;
use ccotel::deliver::loki::PushRequest;
use jiff::{SignedDuration, Timestamp};
use prost::Message as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::harness::loki::{Loki, Which};
use crate::harness::programs::Program;
use crate::harness::{http, poll};
use crate::place::Place;
use crate::server::{self, Reply, Request, Server};
use crate::table::{Act, Situation};

const WRITE: &str = "/api/v1/write";
const PUSH: &str = "/loki/api/v1/push";
/// A loaded machine takes its time.
const START_DEADLINE: Duration = Duration::from_secs(30);

pub fn situations() -> Vec<Situation> {
    vec![
        Situation::by_hand("the_token_has_expired", expired_token)
            .of("prom")
            .fails("destination_address", &["(status 401)", "home/prom.token", "read before each"]),
        Situation::by_hand("the_token_file_is_gone", missing_token)
            .of("prom")
            .fails("destination_address", &["home/prom.token", "not found"]),
        Situation::by_hand("credentials_are_wanted_and_none_given", no_credentials)
            .of("prom")
            .fails("destination_address", &["(status 401)", "bearer_token_file"]),
        Situation::new("the_url_is_wrong", || to_prometheus("/wrong", |it| it.path == WRITE))
            .of("prom")
            .fails("destination_address", &["(status 404)", "takes data"]),
        Situation::by_hand("prometheus_without_its_receiver", without_receiver)
            .needs(Program::Prometheus)
            .of("prom")
            .fails("destination_address", &["--web.enable-remote-write-receiver"]),
        Situation::by_hand("prometheus_without_an_out_of_order_window", without_window)
            .needs(Program::Prometheus)
            .of("prom")
            .warns("destination_window", &["no late samples", "out_of_order_time_window: 7d"]),
        Situation::by_hand("loki_without_structured_metadata", without_metadata)
            .of("loki")
            .fails("destination_record", &["refused for good", "allow_structured_metadata: true"]),
        Situation::by_hand("loki_wants_a_tenant", without_tenant)
            .of("loki")
            .fails("destination_address", &["(status 401)", "`tenant`"]),
        Situation::by_hand("the_clock_is_far_off", clock_off)
            .of("prom")
            .fails("destination_clock", &["600 s ahead of", "set the clock"]),
        Situation::by_hand("the_host_is_unknown", unknown_host)
            .of("prom")
            .fails("destination_address", &["cannot be resolved", "correct the url"]),
        Situation::by_hand("the_backend_is_down", down)
            .of("prom")
            .warns("destination_address", &["refused", "waits on disk"]),
        Situation::by_hand("the_backend_hangs", hanging)
            .of("prom")
            .warns("destination_address", &["no answer within 8 seconds"]),
        Situation::by_hand("a_sign_in_page_answers", sign_in_page)
            .of("prom")
            .fails("destination_address", &["a web page answered"]),
        Situation::by_hand("the_authority_is_unknown", unknown_authority).of("prom").fails(
            "destination_address",
            &["no trusted TLS connection", "unknown authority", "ca"],
        ),
        Situation::new("parked_for_what_is_mended_since", parked)
            .of("prom")
            .fails("destination_state", &["parked", "status 403"]),
        Situation::new("the_quarantine_is_not_empty", quarantined)
            .of("loki")
            .warns("destination_quarantine", &["refused for good", "label name too long"]),
    ]
}

/// `[[destination]]`, with more keys.
fn destination(name: &str, kind: &str, url: &str, more: &str) -> String {
    format!("[[destination]]\nname = \"{name}\"\ntype = \"{kind}\"\nurl = \"{url}\"\n{more}\n")
}

/// A place whose agent knows the destination.
fn connected(destinations: &str) -> Place {
    let place = Place::without_agent();
    place.configure(destinations);
    place.ccotel(&["agent", "start"]);
    place
}

fn reconfigured(place: &Place, destinations: &str) {
    place.configure(destinations);
    place.ccotel(&["agent", "restart"]);
}

/// Takes writes that are as wanted; has no query interface.
fn backend(wanted: impl FnMut(&Request) -> bool + Send + 'static, otherwise: Reply) -> Server {
    let mut wanted = wanted;
    let decide = move |request: &Request| {
        let is_write = [WRITE, PUSH].iter().any(|path| request.path == *path);
        match wanted(request) {
            true => Some(server::status(204)),
            false if is_write => None,
            false => Some(server::status(404)),
        }
    };
    Server::deciding(Vec::new(), otherwise, Box::new(decide))
}

fn to_prometheus(path: &str, wanted: impl FnMut(&Request) -> bool + Send + 'static) -> Place {
    let server = backend(wanted, server::status(404));
    let mut place = connected(&destination("prom", "prometheus", &server.url(path), ""));
    place.keep(server);
    place
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
    use std::os::unix::fs::PermissionsExt;
    let file = place.house.write("home/prom.token", text);
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
}

fn expired_token() -> (Place, Act) {
    with_token(Some("old"))
}

fn missing_token() -> (Place, Act) {
    with_token(None)
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

/// A real Prometheus at an address of its own, as somebody has set it up.
struct Prometheus {
    child: Child,
}

impl Prometheus {
    fn start(place: &Place, address: SocketAddr, config: &str, flags: &[&str]) -> Self {
        let file = place.house.write("prometheus/prometheus.yml", config);
        let child = Command::new(Program::Prometheus.find().unwrap())
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", place.house.path("prometheus/data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self { child };
        poll::until("Prometheus", START_DEADLINE, || {
            let (status, body) = http::get(&format!("http://{address}/-/ready"), &[])?;
            ensure!(status == 200, "{status}: {body}");
            Ok(())
        })
        .unwrap();
        started
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        http::end(&mut self.child);
    }
}

const RECEIVER: &str = "--web.enable-remote-write-receiver";

/// Started in one way, and by the person in another.
fn set_up_anew(
    before: (&'static str, &'static [&'static str]),
    after: (&'static str, &'static [&'static str]),
) -> (Place, Act) {
    let address = http::free_address().unwrap();
    let url = format!("http://{address}{WRITE}");
    let place = connected(&destination("prom", "prometheus", &url, ""));
    let running = Prometheus::start(&place, address, before.0, before.1);
    let act: Act = Box::new(move |place| {
        drop(running);
        let again = Prometheus::start(place, address, after.0, after.1);
        place.keep(again);
    });
    (place, act)
}

fn without_receiver() -> (Place, Act) {
    set_up_anew(("global: {}\n", &[]), ("global: {}\n", &[RECEIVER]))
}

fn without_window() -> (Place, Act) {
    let window = "storage: { tsdb: { out_of_order_time_window: 7d } }\n";
    set_up_anew(("global: {}\n", &[RECEIVER]), (window, &[RECEIVER]))
}

/// Answers as Loki 3 does where structured metadata is switched off.
fn without_metadata() -> (Place, Act) {
    let allowed = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&allowed);
    let has_metadata = |request: &Request| {
        let body = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap_or_default();
        let push = PushRequest::decode(&*body).unwrap_or_default();
        let mut entries = push.streams.iter().flat_map(|stream| &stream.entries);
        entries.any(|entry| !entry.structured_metadata.is_empty())
    };
    let words = "stream '{service_name=\"ccotel\"}' includes structured metadata, but this feature \
                 is disallowed. Please see `limits_config.allow_structured_metadata` or contact your \
                 Loki administrator to enable it.";
    let wanted = move |request: &Request| {
        request.path == PUSH && (switch.load(Ordering::SeqCst) || !has_metadata(request))
    };
    let server = backend(wanted, server::status(400).body(words));
    let mut place = connected(&destination("loki", "loki", &server.url(PUSH), ""));
    place.keep(server);
    (place, Box::new(move |_| allowed.store(true, Ordering::SeqCst)))
}

fn without_tenant() -> (Place, Act) {
    let loki = Loki::start_with_tenants(Which::StandIn).unwrap();
    let url = loki.push_url();
    let mut place = connected(&destination("loki", "loki", &url, ""));
    place.keep(loki);
    let act: Act = Box::new(move |place| {
        reconfigured(place, &destination("loki", "loki", &url, "tenant = \"payments\""));
    });
    (place, act)
}

fn clock_off() -> (Place, Act) {
    let ahead_seconds = Arc::new(AtomicI64::new(600));
    let clock = Arc::clone(&ahead_seconds);
    let decide = move |request: &Request| {
        let theirs = Timestamp::now() - SignedDuration::from_secs(clock.load(Ordering::SeqCst));
        let date = theirs.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let status = if request.path == WRITE { 204 } else { 404 };
        Some(server::status(status).with("date", &date))
    };
    let server = Server::deciding(Vec::new(), server::status(404), Box::new(decide));
    let mut place = connected(&destination("prom", "prometheus", &server.url(WRITE), ""));
    place.keep(server);
    (place, Box::new(move |_| ahead_seconds.store(0, Ordering::SeqCst)))
}

fn unknown_host() -> (Place, Act) {
    let url = format!("http://prometheus.invalid:9090{WRITE}");
    let place = connected(&destination("prom", "prometheus", &url, ""));
    let act: Act = Box::new(|place| {
        let server = backend(|it| it.path == WRITE, server::status(404));
        reconfigured(place, &destination("prom", "prometheus", &server.url(WRITE), ""));
        place.keep(server);
    });
    (place, act)
}

fn down() -> (Place, Act) {
    let address = http::free_address().unwrap();
    let url = format!("http://{address}{WRITE}");
    let place = connected(&destination("prom", "prometheus", &url, ""));
    let act: Act = Box::new(move |place| {
        place.keep(Server::start_at(address, server::status(204)));
    });
    (place, act)
}

fn hanging() -> (Place, Act) {
    answering(server::status(204).manner(server::Manner::Held))
}

fn sign_in_page() -> (Place, Act) {
    answering(server::status(200).with("content-type", "text/html").body("<html>sign in</html>"))
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

/// With this, until somebody puts it right.
fn answering(wrong: Reply) -> (Place, Act) {
    let now = Arc::new(Mutex::new(Some(wrong)));
    let then = Arc::clone(&now);
    let decide = move |request: &Request| {
        let right = server::status(if request.path == WRITE { 204 } else { 404 });
        Some(now.lock().unwrap().clone().unwrap_or(right))
    };
    let server = Server::deciding(Vec::new(), server::status(404), Box::new(decide));
    let mut place = connected(&destination("prom", "prometheus", &server.url(WRITE), ""));
    place.keep(server);
    (place, Box::new(move |_| *then.lock().unwrap() = None))
}

/// A backend that a first doctor's mark has met while it refused.
fn since_mended(kind: &'static str, name: &'static str, path: &'static str, wrong: Reply) -> Place {
    let mended = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&mended);
    // A write of nothing is taken, as by backends that look at the data only.
    let wanted = move |request: &Request| {
        request.path == path && (switch.load(Ordering::SeqCst) || request.body.len() < 4)
    };
    let server = backend(wanted, wrong);
    let mut place = connected(&destination(name, kind, &server.url(path), ""));
    place.keep(server);
    place.doctor("");
    mended.store(true, Ordering::SeqCst);
    place
}

fn parked() -> Place {
    let place = since_mended("prometheus", "prom", WRITE, server::status(403));
    place.status_until("a parked destination", |status| {
        status["destinations"][0]["state"] == "parked"
    });
    place
}

fn quarantined() -> Place {
    let wrong = server::status(400).body("label name too long");
    let place = since_mended("loki", "loki", PUSH, wrong);
    place.status_until("a quarantine", |status| status["destinations"][0]["quarantine_kept"] == 1);
    place
}
