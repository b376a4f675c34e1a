//! Every request's way: who → where → how → body → answer.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, EXPECT, HeaderMap};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;

use super::admit::{Admitted, Token};
use super::body::{self, ContentEncoding};
use super::failure::Failure;
use super::otlp::{self, Encoding, Signal};
use super::peer::Peer;
use super::{Door, exposition, grpc};

/// OTLP/HTTP and the small pages answer whole; gRPC answers with trailers.
pub(super) type Reply = Response<Either<Full<Bytes>, tonic::body::Body>>;

/// Longest path that is repeated in an error.
const PATH_BYTES_SHOWN: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Otlp(Signal),
    Grpc(Signal),
    Health,
    Metrics,
}

/// A request's path, taken apart: `[/TOKEN]/v1/logs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub token: Option<&'a str>,
    pub endpoint: Option<Endpoint>,
}

/// Answers one request; never fails, since every failure is an answer.
pub(super) async fn answer(door: &Door, peer: &Peer, request: Request<Incoming>) -> Reply {
    let (parts, mut body) = request.into_parts();
    let target = Target::of(parts.uri.path());
    let admitted = if target.endpoint == Some(Endpoint::Health) {
        door.admission.check_origin(&parts, peer).map(|()| None)
    } else {
        door.admission.admit(&parts, target.token, target.endpoint, peer).map(Some)
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(failure) => return refuse(door, peer, None, &parts, body, &failure).await,
    };
    let turn = match admitted.as_ref().and_then(Admitted::sender) {
        Some(sender) => sender.usage.turn().await.map(Some),
        None => Ok(None),
    };
    let answered = match (turn, &admitted, target.endpoint) {
        (Err(failure), _, _) => Err(failure),
        (Ok(turn), Some(admitted), Some(Endpoint::Grpc(signal))) if is_grpc(&parts) => {
            let answer = grpc::answer(door, admitted, signal, parts, body).await;
            drop(turn);
            return answer.map(Either::Right);
        }
        (Ok(turn), Some(admitted), Some(Endpoint::Otlp(signal))) if !is_grpc(&parts) => {
            let answered = http_export(door, admitted, signal, &parts, &mut body).await;
            drop(turn);
            answered
        }
        (Ok(_), Some(_), Some(Endpoint::Metrics)) => match read_only(&parts) {
            Ok(()) => exposition::page(door, &parts).await,
            Err(failure) => Err(failure),
        },
        (Ok(_), _, Some(Endpoint::Health)) => read_only(&parts).map(|()| text("ok\n")),
        (Ok(_), _, _) => Err(not_found(parts.uri.path())),
    };
    match answered {
        Ok(response) => response.map(Either::Left),
        Err(failure) => refuse(door, peer, admitted.as_ref(), &parts, body, &failure).await,
    }
}

async fn http_export(
    door: &Door,
    admitted: &Admitted,
    signal: Signal,
    parts: &Parts,
    body: &mut Incoming,
) -> Result<Response<Full<Bytes>>, Failure> {
    if parts.method != Method::POST {
        return Err(Failure::Method("POST"));
    }
    door.counters.request();
    let encoding = encoding(&parts.headers)?;
    let content_encoding = ContentEncoding::of(&parts.headers)?;
    let mut share = body::share(door, admitted);
    let mut content = body::read(body, &door.limits, &mut share).await?;
    if content_encoding == ContentEncoding::Gzip {
        content = body::gunzip(&content, door.limits.decompressed_bytes_max, &mut share).await?;
    }
    let reply = otlp::accept(door, admitted, signal, encoding, content).await?;
    let mut response = Response::new(Full::from(reply));
    response.headers_mut().insert(CONTENT_TYPE, encoding.content_type());
    Ok(response)
}

/// Says no, in the request's own encoding, and lets the sender finish so that it can hear it.
async fn refuse(
    door: &Door,
    peer: &Peer,
    admitted: Option<&Admitted>,
    parts: &Parts,
    mut body: Incoming,
    failure: &Failure,
) -> Reply {
    door.failed(admitted, failure);
    // Who asked first whether to send a body has not sent it; who is slow was waited for already.
    if !parts.headers.contains_key(EXPECT) && !matches!(failure, Failure::Slow(_)) {
        body::discard(&mut body, peer.is_admitted()).await;
    }
    if is_grpc(parts) {
        return failure.to_grpc().into_http::<tonic::body::Body>().map(Either::Right);
    }
    let encoding = match essence(&parts.headers) {
        Some(Encoding::PROTOBUF) => Encoding::Protobuf,
        _ => Encoding::Json,
    };
    failure.to_http::<Full<Bytes>>(encoding).map(Either::Left)
}

fn read_only(parts: &Parts) -> Result<(), Failure> {
    match parts.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Failure::Method("GET, HEAD")),
    }
}

pub(super) fn text(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

fn not_found(path: &str) -> Failure {
    let mut path = without_tokens(path);
    path.truncate(path.floor_char_boundary(PATH_BYTES_SHOWN));
    Failure::NotFound(path)
}

/// With `TOKEN` for each segment that may be one, wherever it stands: what is answered ends in logs.
fn without_tokens(path: &str) -> String {
    let segments = path.split('/');
    let shown = segments.map(|it| if Token::parse(it).is_ok() { "TOKEN" } else { it });
    shown.collect::<Vec<_>>().join("/")
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Failure> {
    match essence(headers) {
        Some(Encoding::PROTOBUF) => Ok(Encoding::Protobuf),
        Some(Encoding::JSON) => Ok(Encoding::Json),
        other => Err(Failure::ContentType(other.unwrap_or_default().to_owned())),
    }
}

/// The content type without its parameters. OTLP's are written in lower case; browsers, too, only
/// take them as reason for a preflight when they are exact.
fn essence(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

/// gRPC needs HTTP/2: its status comes after the body.
fn is_grpc(parts: &Parts) -> bool {
    parts.version == Version::HTTP_2
        && matches!(essence(&parts.headers), Some("application/grpc" | "application/grpc+proto"))
}

impl<'a> Target<'a> {
    pub fn of(path: &'a str) -> Self {
        if let Some(endpoint) = endpoint(path) {
            return Self { token: None, endpoint: Some(endpoint) };
        }
        let Some(rest) = path.strip_prefix('/') else {
            return Self { token: None, endpoint: None };
        };
        let end = rest.find('/').unwrap_or(rest.len());
        Self { token: Some(&rest[..end]), endpoint: endpoint(&rest[end..]) }
    }
}

fn endpoint(path: &str) -> Option<Endpoint> {
    use Endpoint::{Grpc, Health, Metrics, Otlp};
    Some(match path {
        "/v1/metrics" => Otlp(Signal::Metrics),
        "/v1/logs" => Otlp(Signal::Logs),
        "/v1/traces" => Otlp(Signal::Traces),
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Grpc(Signal::Metrics),
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Grpc(Signal::Logs),
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Grpc(Signal::Traces),
        "/healthz" => Health,
        "/metrics" => Metrics,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_an_endpoint_with_or_without_a_token_in_front() {
        let check = |path: &'static str, token, endpoint| {
            assert_eq!(Target::of(path), Target { token, endpoint }, "{path}");
        };
        check("/v1/logs", None, Some(Endpoint::Otlp(Signal::Logs)));
        check("/secret/v1/logs", Some("secret"), Some(Endpoint::Otlp(Signal::Logs)));
        check("/secret/metrics", Some("secret"), Some(Endpoint::Metrics));
        check("/secret/v1/logs/", Some("secret"), None);
        check("/a/b/v1/logs", Some("a"), None);
        check("//v1/logs", Some(""), Some(Endpoint::Otlp(Signal::Logs)));
        check("/v1", Some("v1"), None);
        check("/", Some(""), None);
        check("*", None, None);
    }

    #[test]
    fn a_path_that_does_not_exist_is_named_without_its_token() {
        let check = |path, shown| {
            let Failure::NotFound(path) = not_found(path) else { panic!("{path} is not found") };
            assert_eq!(path, shown);
        };
        check("/c75d79aa0011223344556677/v1/nothing", "/TOKEN/v1/nothing");
        check("/c75d79aa0011223344556677//v1/metrics", "/TOKEN//v1/metrics");
        check("//c75d79aa0011223344556677/v1/metrics", "//TOKEN/v1/metrics");
        check("/telemetry/v1/metrics", "/telemetry/v1/metrics");
    }
}
