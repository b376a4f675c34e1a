//! OTLP/gRPC. Tonic does the framing, compression, status and trailers; the codec hands the
//! message's bytes on as they are, because retries are told apart by the hash of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf as _, BufMut as _, Bytes};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};

use super::Door;
use super::admit::Admitted;
use super::body;
use super::failure::Failure;
use super::otlp::{self, Encoding, Signal};

/// A message's prefix: one byte of flags, four of length
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
const PREFIX_BYTES: usize = 5;

pub(super) async fn answer(
    door: &Door,
    admitted: &Admitted,
    signal: Signal,
    parts: Parts,
    mut body: Incoming,
) -> Response<Body> {
    door.counters.request();
    let mut share = body::share(door, admitted);
    let read = body::read(&mut body, &door.limits, &mut share).await;
    let message = match read.and_then(whole_message) {
        Ok(message) => message,
        Err(failure) => {
            door.failed(Some(admitted), &failure);
            body::discard(&mut body, true).await;
            return failure.to_grpc().into_http();
        }
    };
    let reached = AtomicBool::new(false);
    let service = Export { door, admitted, signal, reached: &reached };
    let response = Grpc::new(Verbatim)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(door.limits.decompressed_bytes_max)
        .unary(service, Request::from_parts(parts, Full::new(message)))
        .await;
    if !reached.load(Ordering::Relaxed) {
        count_unreached(door, admitted, &response);
    }
    response
}

/// Tonic makes room for the length a message announces: let it be true before it does.
fn whole_message(body: Bytes) -> Result<Bytes, Failure> {
    let announced = body
        .get(1..PREFIX_BYTES)
        .and_then(|length| length.try_into().ok())
        .map(u32::from_be_bytes)
        .ok_or_else(|| Failure::Malformed("there is no gRPC message in the body".to_owned()))?;
    let arrived = body.len() - PREFIX_BYTES;
    if announced as usize == arrived {
        return Ok(body);
    }
    Err(Failure::Malformed(format!(
        "the gRPC message announces {announced} bytes and has {arrived}"
    )))
}

/// Tonic said no before our service saw the message: bad gzip, unknown compression.
fn count_unreached(door: &Door, admitted: &Admitted, response: &Response<Body>) {
    let status = Status::from_header_map(response.headers());
    let words = status.as_ref().map_or("unreadable gRPC request", Status::message).to_owned();
    let failure = match status.map(|status| status.code()) {
        Some(Code::ResourceExhausted) => Failure::TooLarge {
            what: "decompressed message",
            bytes_max: door.limits.decompressed_bytes_max,
        },
        _ => Failure::Malformed(words),
    };
    door.failed(Some(admitted), &failure);
}

struct Export<'a> {
    door: &'a Door,
    admitted: &'a Admitted,
    signal: Signal,
    reached: &'a AtomicBool,
}

impl<'a> UnaryService<Bytes> for Export<'a> {
    type Response = Vec<u8>;
    type Future =
        Pin<Box<dyn Future<Output = Result<tonic::Response<Vec<u8>>, Status>> + Send + 'a>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        self.reached.store(true, Ordering::Relaxed);
        let (door, admitted, signal) = (self.door, self.admitted, self.signal);
        Box::pin(async move {
            otlp::accept(door, admitted, signal, Encoding::Protobuf, request.into_inner())
                .await
                .map(tonic::Response::new)
                .map_err(|failure| {
                    door.failed(Some(admitted), &failure);
                    failure.to_grpc()
                })
        })
    }
}

/// Messages as the bytes they are.
struct Verbatim;

impl Codec for Verbatim {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Verbatim {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
