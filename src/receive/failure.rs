//! Why a request was not answered with success, and how that is told in each encoding.
//!
//! OTLP/HTTP wants a `google.rpc.Status` in the request's own encoding
//! (<https://opentelemetry.io/docs/specs/otlp/#failures>), gRPC the same in its trailers.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use prost::Message as _;
use tonic::{Code, Status};

use super::otlp::Encoding;
use crate::store::handle::Refused;

/// What a sender is told to wait before it tries again.
const RETRY_AFTER_SECONDS: i64 = 1;

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(
        "not let in: send the agent's token, in the path (/TOKEN/v1/…) or as `Authorization: Bearer TOKEN`"
    )]
    Unauthenticated,
    #[error(
        "not let in: send a sender's token, in the path (/TOKEN/v1/…) or as `Authorization: Bearer TOKEN`, or show its certificate; ask whoever runs the gateway for a token"
    )]
    UnknownSender,
    #[error(
        "not let in: /metrics takes the token of `[gateway] metrics_token_file`, as `Authorization: Bearer TOKEN`; a sender's only sends"
    )]
    NoReader,
    #[error("not let in: {0}")]
    Forbidden(&'static str),
    #[error("a client's certificate was refused: {0}")]
    Certificate(String),
    #[error("no TLS: {0}")]
    Handshake(String),
    #[error("this sender has {max} {what} already")]
    Crowded { what: &'static str, max: usize },
    #[error("the gateway has {0} connections already")]
    Full(usize),
    #[error("no `{0}` here: OTLP is at /v1/metrics, /v1/logs and /v1/traces")]
    NotFound(String),
    #[error("this address takes {0} only")]
    Method(&'static str),
    #[error(
        "content type `{0}` is none of OTLP's: send application/x-protobuf or application/json"
    )]
    ContentType(String),
    #[error("content encoding `{0}` is not supported: send gzip or identity")]
    ContentEncoding(String),
    #[error("{0}")]
    Malformed(String),
    #[error("the {what} is larger than {bytes_max} bytes: send fewer records a request")]
    TooLarge { what: &'static str, bytes_max: usize },
    #[error("the request holds more than {0} values: send fewer records a request")]
    TooManyValues(usize),
    #[error("the body did not arrive in {0} s")]
    Slow(u64),
    #[error("{0} bytes of requests are being read already")]
    Busy(usize),
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// What a failure counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody who may not come in.
    Denied,
    /// A request that cannot be read, now or later.
    Malformed,
    /// A good request that could not be stored: it may come again.
    Refused,
    /// A request to an address or by a method that does not exist.
    Misdirected,
}

impl Failure {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unauthenticated
            | Self::UnknownSender
            | Self::NoReader
            | Self::Certificate(_)
            | Self::Forbidden(_) => Kind::Denied,
            Self::NotFound(_) | Self::Method(_) => Kind::Misdirected,
            Self::Refused(_) | Self::Busy(_) | Self::Full(_) | Self::Crowded { .. } => {
                Kind::Refused
            }
            Self::Handshake(_)
            | Self::ContentType(_)
            | Self::ContentEncoding(_)
            | Self::Malformed(_)
            | Self::TooLarge { .. }
            | Self::TooManyValues(_)
            | Self::Slow(_) => Kind::Malformed,
        }
    }

    /// The answer over HTTP, its body in `encoding`.
    pub fn to_http<B: From<Bytes>>(&self, encoding: Encoding) -> Response<B> {
        let body = match encoding {
            Encoding::Protobuf => self.to_rpc_status().encode_to_vec(),
            Encoding::Json => self.to_json(),
        };
        let mut response = Response::new(B::from(Bytes::from(body)));
        *response.status_mut() = self.http_status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, encoding.content_type());
        match self {
            Self::Unauthenticated | Self::UnknownSender | Self::NoReader => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Method(allowed) => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Self::ContentEncoding(_) => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
            }
            _ if self.kind() == Kind::Refused => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
            }
            _ => {}
        }
        response
    }

    /// The answer over gRPC. Without `RetryInfo` a sender must not come again.
    pub fn to_grpc(&self) -> Status {
        let details = self.to_rpc_status().encode_to_vec();
        Status::with_details(self.code(), self.to_string(), details.into())
    }

    fn http_status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated | Self::UnknownSender | Self::NoReader | Self::Certificate(_) => {
                StatusCode::UNAUTHORIZED
            }
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType(_) | Self::ContentEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Malformed(_) | Self::Handshake(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } | Self::TooManyValues(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Busy(_) | Self::Full(_) | Self::Crowded { .. } | Self::Refused(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Unauthenticated | Self::UnknownSender | Self::NoReader | Self::Certificate(_) => {
                Code::Unauthenticated
            }
            Self::Forbidden(_) => Code::PermissionDenied,
            Self::NotFound(_) | Self::Method(_) | Self::ContentEncoding(_) => Code::Unimplemented,
            Self::ContentType(_) | Self::Malformed(_) | Self::Handshake(_) => Code::InvalidArgument,
            Self::TooLarge { .. } | Self::TooManyValues(_) => Code::ResourceExhausted,
            Self::Slow(_) => Code::DeadlineExceeded,
            Self::Busy(_) | Self::Full(_) | Self::Crowded { .. } | Self::Refused(_) => {
                Code::Unavailable
            }
        }
    }

    fn to_rpc_status(&self) -> rpc::Status {
        let details =
            if self.kind() == Kind::Refused { vec![rpc::retry_info()] } else { Vec::new() };
        rpc::Status { code: self.code() as i32, message: self.to_string(), details }
    }

    fn to_json(&self) -> Vec<u8> {
        let mut status =
            serde_json::json!({ "code": self.code() as i32, "message": self.to_string() });
        if self.kind() == Kind::Refused {
            status["details"] = serde_json::json!([{
                "@type": rpc::RETRY_INFO,
                "retryDelay": format!("{RETRY_AFTER_SECONDS}s"),
            }]);
        }
        status.to_string().into_bytes()
    }
}

/// The three messages of <https://github.com/googleapis/googleapis/tree/master/google/rpc> in use.
mod rpc {
    use prost::Message as _;

    pub const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Status {
        #[prost(int32, tag = "1")]
        pub code: i32,
        #[prost(string, tag = "2")]
        pub message: String,
        #[prost(message, repeated, tag = "3")]
        pub details: Vec<Any>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Any {
        #[prost(string, tag = "1")]
        pub type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        pub value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<Duration>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Duration {
        #[prost(int64, tag = "1")]
        seconds: i64,
    }

    pub fn retry_info() -> Any {
        let info =
            RetryInfo { retry_delay: Some(Duration { seconds: super::RETRY_AFTER_SECONDS }) };
        Any { type_url: RETRY_INFO.to_owned(), value: info.encode_to_vec() }
    }
}
