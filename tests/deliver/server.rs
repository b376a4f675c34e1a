//! A backend on loopback that answers what it is told to, and keeps what it was sent.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_mins(1);

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub at: Instant,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub manner: Manner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Whole,
    /// The connection is closed before any answer.
    Cut,
    /// The body is announced and does not come; the connection is reset.
    CutInBody,
    /// No answer while the server lives.
    Held,
}

pub fn status(status: u16) -> Reply {
    Reply { status, headers: Vec::new(), body: Vec::new(), manner: Manner::Whole }
}

impl Reply {
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }
}

/// What to answer, where the script does not say.
pub type Decide = Box<dyn FnMut(&Request) -> Option<Reply> + Send>;

struct Inner {
    script: VecDeque<Reply>,
    /// Asked once the script is played; none is `otherwise`.
    decide: Decide,
    otherwise: Reply,
    requests: Vec<Request>,
}

/// Ends with its tests' process; its threads hold nothing but sockets.
#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    inner: Arc<(Mutex<Inner>, Condvar)>,
}

impl Server {
    /// Plays the script, then answers `otherwise` for good.
    pub fn start(script: Vec<Reply>, otherwise: Reply) -> Self {
        Self::deciding(script, otherwise, Box::new(|_| None))
    }

    pub fn deciding(script: Vec<Reply>, otherwise: Reply, decide: Decide) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::serve(listener, script, otherwise, decide)
    }

    pub fn start_at(address: SocketAddr, otherwise: Reply) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        Self::serve(listener, Vec::new(), otherwise, Box::new(|_| None))
    }

    /// Speaks TLS, with whatever certificate `tls` has when somebody connects. Who cannot agree with it
    /// is cut off.
    pub fn start_tls(tls: Arc<Mutex<Arc<rustls::ServerConfig>>>, otherwise: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inner = Inner {
            script: VecDeque::new(),
            decide: Box::new(|_| None),
            otherwise,
            requests: Vec::new(),
        };
        Self::accept(listener, inner, move |server, stream| {
            let config = Arc::clone(&tls.lock().unwrap());
            let connection = rustls::ServerConnection::new(config).unwrap();
            server.converse(rustls::StreamOwned::new(connection, stream));
        })
    }

    fn serve(listener: TcpListener, script: Vec<Reply>, otherwise: Reply, decide: Decide) -> Self {
        let inner = Inner { script: script.into(), decide, otherwise, requests: Vec::new() };
        Self::accept(listener, inner, Self::converse)
    }

    fn accept(
        listener: TcpListener,
        inner: Inner,
        converse: impl Fn(&Self, TcpStream) + Clone + Send + 'static,
    ) -> Self {
        let server = Self {
            address: listener.local_addr().unwrap(),
            inner: Arc::new((Mutex::new(inner), Condvar::new())),
        };
        let accepting = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, converse) = (accepting.clone(), converse.clone());
                std::thread::spawn(move || converse(&server, stream));
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The first `count` requests, once they are there.
    pub fn wait_for(&self, count: usize) -> Vec<Request> {
        let (inner, arrived) = &*self.inner;
        let deadline = Instant::now() + DEADLINE;
        let mut inner = inner.lock().unwrap();
        while inner.requests.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} requests came", inner.requests.len());
            inner = arrived.wait_timeout(inner, left).unwrap().0;
        }
        inner.requests[..count].to_vec()
    }

    pub fn count(&self) -> usize {
        self.inner.0.lock().unwrap().requests.len()
    }

    fn converse<S: Read + Write>(&self, mut stream: S) {
        while let Some(request) = read_request(&mut stream) {
            let reply = {
                let (inner, arrived) = &*self.inner;
                let mut inner = inner.lock().unwrap();
                inner.requests.push(request.clone());
                arrived.notify_all();
                let scripted = inner.script.pop_front();
                let decided = scripted.or_else(|| (inner.decide)(&request));
                decided.unwrap_or_else(|| inner.otherwise.clone())
            };
            match reply.manner {
                Manner::Whole => {
                    if stream.write_all(&reply.to_bytes()).is_err() {
                        return;
                    }
                }
                Manner::Cut => return,
                Manner::CutInBody => {
                    let _ = stream.write_all(
                        format!("HTTP/1.1 {} x\r\ncontent-length: 1000\r\n\r\nhal", reply.status)
                            .as_bytes(),
                    );
                    return;
                }
                // Until the other side gives up.
                Manner::Held => {
                    let _ = stream.read(&mut [0]);
                    return;
                }
            }
        }
    }
}

impl Reply {
    fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} x\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&[name, ": ", value.as_str(), "\r\n"].concat());
        }
        if self.status != 204 {
            head.push_str(&["content-length: ", &self.body.len().to_string(), "\r\n"].concat());
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

fn read_request(stream: &mut (impl Read + Write)) -> Option<Request> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
        if !head[0].is_ascii_uppercase() {
            // What any server says to a TLS handshake on its plain port.
            let _ = stream.write_all(b"HTTP/1.1 400 x\r\n\r\n");
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Request { path, headers, body, at: Instant::now() })
}
