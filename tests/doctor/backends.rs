//! Backends: what answers there, whose clock it has, what it refuses.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use ccotel::deliver::loki::PushRequest;
use jiff::{SignedDuration, Timestamp};
use prost::Message as _;

use crate::harness::addresses;
use crate::harness::loki::{Loki, Which};
use crate::place::Place;
use crate::server::{self, Reply, Request, Server};
use crate::table::{Act, Situation};

pub const WRITE: &str = "/api/v1/write";
const PUSH: &str = "/loki/api/v1/push";

pub fn situations() -> Vec<Situation> {
    vec![
        Situation::new("the_url_is_wrong", || to_prometheus("/wrong", |it| it.path == WRITE))
            .of("prom")
            .fails("destination_address", &["(status 404)", "takes data"]),
        Situation::new("the_servers_prefix_is_half_of_the_url", || {
            to_prometheus("/prom", |it| it.path == "/prom/api/v1/write")
        })
        .of("prom")
        .fails("destination_address", &["/prom/api/v1/write takes data"]),
        Situation::new("mimir_takes_pushes", || {
            to_prometheus("/mimir", |it| it.path == "/mimir/api/v1/push")
        })
        .of("prom")
        .fails("destination_address", &["/mimir/api/v1/push takes data"]),
        Situation::new("there_is_no_tls_at_the_url", || {
            let server = backend(|it| it.path == WRITE, server::status(404));
            let url = server.url(WRITE).replace("http://", "https://");
            let mut place = connected(&destination("prom", "prometheus", &url, ""));
            place.keep(server);
            place
        })
        .of("prom")
        .fails("destination_address", &["answers, without TLS"]),
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
            .warns("destination_address", &["no answer within 12 seconds"]),
        Situation::by_hand("a_sign_in_page_answers", sign_in_page)
            .of("prom")
            .fails("destination_address", &["a web page answered"]),
        Situation::new("parked_for_what_is_mended_since", parked)
            .of("prom")
            .fails("destination_state", &["parked", "status 403"]),
        Situation::new("the_quarantine_is_not_empty", quarantined)
            .of("loki")
            .warns("destination_quarantine", &["refused for good", "label name too long"]),
    ]
}

/// `[[destination]]`, with more keys.
pub fn destination(name: &str, kind: &str, url: &str, more: &str) -> String {
    format!("[[destination]]\nname = \"{name}\"\ntype = \"{kind}\"\nurl = \"{url}\"\n{more}\n")
}

/// A place whose agent knows the destination.
pub fn connected(destinations: &str) -> Place {
    let place = Place::without_agent();
    place.configure(destinations);
    place.ccotel(&["agent", "start"]);
    place
}

pub fn reconfigured(place: &Place, destinations: &str) {
    place.configure(destinations);
    place.ccotel(&["agent", "restart"]);
}

/// Takes writes that are as wanted; has no query interface.
pub fn backend(wanted: impl FnMut(&Request) -> bool + Send + 'static, otherwise: Reply) -> Server {
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
    let address = addresses::free_address().unwrap();
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
